"""Names that stay here: each gets an id that means nothing outside this process."""

from __future__ import annotations

import hmac
import secrets
from typing import Final

OTHERS: Final = "others"
_DIGITS: Final = 8


class OpaqueIds:
    """Ids for names, a bounded number of them.

    An id is HMAC-SHA256 of the name under a key drawn at the start and never written
    down, cut to 8 hexadecimal digits: who sees it can tell one name from another until
    the next start, and can not try names out.
    """

    def __init__(self, limit: int) -> None:
        """Draw a key.

        Args:
            limit: How many names get an id of their own.
        """
        self._key = secrets.token_bytes(32)
        self._limit = limit
        self._ids: set[str] = set()

    def of(self, name: str) -> str:
        """The id of a name; `OTHERS` once there are as many as may be."""
        made = hmac.digest(self._key, name.encode(), "sha256").hex()[:_DIGITS]
        if made not in self._ids:
            if len(self._ids) >= self._limit:
                return OTHERS
            self._ids.add(made)
        return made
