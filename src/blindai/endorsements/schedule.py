"""When to fetch again. Pure: moments and a share of chance in, moments out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

DAY: Final = timedelta(days=1)
MIN_WAIT: Final = timedelta(minutes=1)
FIRST_RETRY: Final = timedelta(seconds=10)
LAST_RETRY: Final = timedelta(hours=1)
MAX_RETRY_AFTER: Final = DAY
_MAX_DOUBLINGS: Final = 16
_SPREAD: Final = 5  # a fifth of a wait is chance: a fleet does not ask all at once


def refresh_at(
    fetched_at: datetime, expires_at: datetime, chance: float, *, revised: bool
) -> datetime:
    """When half of the time a document had left is over, or somewhat earlier.

    So there are several tries before it expires, whether it lives a day or years.

    Args:
        fetched_at: When it came.
        expires_at: When it is no longer current.
        chance: 0 to 1.
        revised: Whether a newer one may come before that; then it is once a day.
    """
    wait = (expires_at - fetched_at) / 2
    if revised:
        wait = min(wait, DAY)
    return fetched_at + max(wait, MIN_WAIT) * (1 - chance / _SPREAD)


def retry_at(
    now: datetime, failures: int, retry_after: timedelta | None, chance: float
) -> datetime:
    """When to try again: later each time, and never before the source allows it.

    Args:
        now: When it failed.
        failures: How often it has failed in a row, 1 or more.
        retry_after: How long the source asked to be left alone, if it did.
        chance: 0 to 1.
    """
    doubled = FIRST_RETRY * (1 << min(failures - 1, _MAX_DOUBLINGS))
    wait = min(doubled, LAST_RETRY) * (1 - chance / _SPREAD)
    asked = min(retry_after or timedelta(), MAX_RETRY_AFTER)
    return now + max(wait, asked * (1 + chance / _SPREAD))
