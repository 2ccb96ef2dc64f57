"""Refusing what was seen before: the sealed date and the cache of encapsulated keys.

A request counts once. Its sealed `Date` lies within the window around the enclave's
clock, and within that window its encapsulated key, which names it, is remembered. The
cache never forgets what could still be replayed: when it is full, it refuses (RFC
9458, section 6.5). The clock is the host's: set back, it brings no forgotten date back.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache

from blindai.errors import OverloadedError, ReplayedRequestError, StaleRequestError

_HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"
_HTTP_DATE_BYTES = 29  # IMF-fixdate
_NAME_BYTES = 16  # of SHA-256 of the encapsulated key


class ReplayCache:
    """Remembers requests for as long as their dates are acceptable."""

    def __init__(self, window: timedelta, max_entries: int) -> None:
        """Remember nothing yet.

        Args:
            window: How far a date may be from the enclave's clock, either way.
            max_entries: How many requests are remembered at most.
        """
        self._window = window
        self._max_entries = max_entries
        self._entries = 0
        self._forgotten_before = 0
        self._seen: dict[int, set[bytes]] = {}  # by the request's second

    def admit(self, enc: bytes, date: bytes | None, now: datetime) -> None:
        """Let a request in, once.

        Args:
            enc: Its encapsulated key.
            date: Its sealed `Date` field (RFC 9110, section 5.6.7).
            now: The enclave's clock, in UTC.

        Raises:
            StaleRequestError: If the date is missing, malformed or outside the window.
            ReplayedRequestError: If the request was seen before.
            OverloadedError: If no more requests can be remembered.
        """
        second = int(self._require_fresh(date, now).timestamp())
        self._forget(before=int((now - self._window).timestamp()))
        if second < self._forgotten_before:
            raise StaleRequestError("date: expected one that the clock has not passed")
        name = hashlib.sha256(enc).digest()[:_NAME_BYTES]
        seen = self._seen.setdefault(second, set())
        if name in seen:
            raise ReplayedRequestError("sealed request: expected a new one, got a copy")
        if self._entries >= self._max_entries:
            raise OverloadedError(
                f"replay cache: expected fewer than {self._max_entries} requests "
                f"within {self._window.total_seconds():.0f} s"
            )
        seen.add(name)
        self._entries += 1

    def _require_fresh(self, date: bytes | None, now: datetime) -> datetime:
        if date is None:
            raise StaleRequestError("date: expected a Date field, got none")
        if len(date) != _HTTP_DATE_BYTES:
            raise StaleRequestError("date: expected an HTTP date")
        try:
            sent = _parse_http_date(date)
        except ValueError as error:
            raise StaleRequestError("date: expected an HTTP date") from error
        if abs(sent - now) > self._window:
            raise StaleRequestError(
                f"date: expected within {self._window.total_seconds():.0f} s of "
                f"{http_date(now)}, got {http_date(sent)}"
            )
        return sent

    def _forget(self, before: int) -> None:
        if before <= self._forgotten_before:
            return
        self._forgotten_before = before
        for second in [each for each in self._seen if each < before]:
            self._entries -= len(self._seen.pop(second))


@lru_cache(maxsize=1024)
def _parse_http_date(date: bytes) -> datetime:
    return datetime.strptime(date.decode("ascii"), _HTTP_DATE).replace(tzinfo=UTC)


def http_date(moment: datetime) -> str:
    """A date as HTTP writes it (RFC 9110, section 5.6.7)."""
    return format_datetime(moment, usegmt=True)
