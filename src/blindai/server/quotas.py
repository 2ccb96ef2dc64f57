"""What each API key may use: requests a second, and requests at the same time.

A bucket of tokens for each key (one second's worth, at least one) fills at its rate;
a request takes one, or is refused with the time until there is one again. What a key
keeps, models and bytes, is counted where they are kept (`inference.room`).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindai.errors import QuotaError
from blindai.inference.room import Quota

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from blindai.server.settings import Settings
    from blindai.server.storage_settings import QuotaSettings


@dataclass(slots=True)
class _Used:
    """What a key uses now."""

    quota: QuotaSettings
    tokens: float
    filled_at: float
    running: int = field(default=0)

    def __enter__(self) -> None:
        self.running += 1

    def __exit__(self, *_: object) -> None:
        self.running -= 1


class Quotas:
    """Counts requests by key.

    Args:
        settings: The measured configuration.
        clock: Monotonic, in seconds.
    """

    def __init__(
        self, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._default = settings.quota
        self._quotas = {
            key.name: key.quota for key in settings.api_keys if key.quota is not None
        }
        self._clock = clock
        self._used: dict[str, _Used] = {}

    def kept(self, tenant: str) -> Quota:
        """What a key may keep."""
        quota = self._quota(tenant)
        return Quota(max_models=quota.max_models, max_bytes=quota.max_bytes)

    def request(self, tenant: str) -> AbstractContextManager[None]:
        """Let a request in; it counts for as long as what is returned is entered.

        Args:
            tenant: The name of its key; all requests without one count together.

        Raises:
            QuotaError: If it is one too many.
        """
        used = self._used_by(tenant)
        self._require_concurrent(used)
        self._take_token(used)
        return used

    def _quota(self, tenant: str) -> QuotaSettings:
        return self._quotas.get(tenant, self._default)

    def _used_by(self, tenant: str) -> _Used:
        used = self._used.get(tenant)
        if used is None:  # as many as there are keys, at most
            quota = self._quota(tenant)
            used = _Used(quota, _burst(quota), self._clock())
            self._used[tenant] = used
        return used

    def _require_concurrent(self, used: _Used) -> None:
        limit = used.quota.max_concurrent
        if limit and used.running >= limit:
            raise QuotaError(
                f"quota max_concurrent: expected at most {limit} requests at once,"
                " got one more"
            )

    def _take_token(self, used: _Used) -> None:
        rate = used.quota.requests_per_second
        if not rate:
            return
        now = self._clock()
        filled = used.tokens + (now - used.filled_at) * rate
        used.tokens, used.filled_at = min(_burst(used.quota), filled), now
        if used.tokens < 1:
            raise QuotaError(
                f"quota requests_per_second: expected at most {rate:g}, got more",
                retry_after_s=math.ceil((1 - used.tokens) / rate),
            )
        used.tokens -= 1


def _burst(quota: QuotaSettings) -> float:
    return max(1.0, quota.requests_per_second)
