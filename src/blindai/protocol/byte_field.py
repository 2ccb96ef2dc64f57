"""Bytes in a header field: an item of structured fields (RFC 9651, section 3.3.5).

blindai-prove: :AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:
"""

from __future__ import annotations

import base64
import binascii

from blindai.errors import ProtocolError


def encode(value: bytes) -> str:
    """Bytes as a field's value."""
    return f":{base64.b64encode(value).decode('ascii')}:"


def parse(text: str, name: str, size: int | None = None) -> bytes:
    """The bytes in a field's value.

    Args:
        text: The value.
        name: The field's name, for messages.
        size: How many bytes there have to be, or None for any number.

    Raises:
        ProtocolError: If it holds anything else.
    """
    words = "bytes" if size is None else f"{size} bytes"
    wrong = ProtocolError(f"{name}: expected {words} as :base64:")
    inner = text.strip(" ")
    if len(inner) < 2 or not inner.startswith(":") or not inner.endswith(":"):
        raise wrong
    try:
        value = base64.b64decode(inner[1:-1].encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise wrong from None
    if size is not None and len(value) != size:
        raise wrong
    return value
