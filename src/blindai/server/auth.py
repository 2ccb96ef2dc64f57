"""Who asks, and what they may do: bearer tokens inside the sealed request (RFC 6750).

The configuration knows API keys by their SHA-256 only. Keys are 32 random bytes, so
there is nothing to guess and the digest needs no salt. Where the configuration names no
key, everybody may infer and upload, and a model belongs to whoever holds the owner
token that its upload returned.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blindai.errors import ForbiddenError, UnauthenticatedError
from blindai.protocol.names import OWNER_TOKEN_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blindai.server.settings import ApiKey

KEY_PREFIX: Final = "bai_"
_OPEN_SCOPES = frozenset({"infer", "upload"})


def generate_key() -> str:
    """Draw a new API key: a prefix that scanners find, and 32 random bytes."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """SHA-256 of an API key or owner token, 64 hex digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        owner: Whose models they may replace and delete.
        scopes: What else they may do.
        tenant: The name of their key; empty for all who have none.
        new_owner_token: The token to give back with an upload, where it was made now.
    """

    owner: str
    scopes: frozenset[str]
    tenant: str = ""
    new_owner_token: str | None = field(default=None, repr=False)

    def require(self, scope: str) -> None:
        """Require a scope; `admin` has all.

        Raises:
            ForbiddenError: If it is missing.
        """
        if scope not in self.scopes and "admin" not in self.scopes:
            raise ForbiddenError(
                f"scope: expected {scope}, got {', '.join(sorted(self.scopes))}"
            )

    def with_token(self) -> Principal:
        """The owner of what they upload: who has no key or token gets a new token."""
        if self is not _STRANGER:
            return self
        token = secrets.token_urlsafe(32)
        return Principal(f"token:{digest(token)}", _OPEN_SCOPES, new_owner_token=token)


_STRANGER = Principal("token:", _OPEN_SCOPES)
"""Who has neither key nor token, and owns nothing: no digest is empty."""


class Authenticator:
    """Knows the API keys."""

    def __init__(self, api_keys: tuple[ApiKey, ...]) -> None:
        self._keys = {key.sha256: key for key in api_keys}

    def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """Who sent a request.

        Args:
            headers: Of the request, by lower-case name.

        Raises:
            UnauthenticatedError: If it carries no API key, or an unknown one.
        """
        if not self._keys:
            return _holder(headers.get(OWNER_TOKEN_HEADER))
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("API key: expected a bearer token, got none")
        key = self._keys.get(digest(token.strip()))
        if key is None:
            raise UnauthenticatedError("API key: expected a known one, got another")
        return Principal(f"key:{key.name}", frozenset(key.scopes), key.name)


def _holder(token: str | None) -> Principal:
    if not token:
        return _STRANGER
    return Principal(f"token:{digest(token)}", _OPEN_SCOPES)
