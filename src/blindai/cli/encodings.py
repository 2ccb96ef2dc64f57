"""Bytes as they lie in files: raw, or as text in hexadecimal or base64."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Final

_HEX: Final = re.compile(rb"(?:0x)?((?:[0-9a-fA-F]{2})+)")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_BASE64_URL: Final = re.compile(rb"[A-Za-z0-9_-]+={0,2}")
_NOT_TEXT: Final = re.compile(rb"[^\t\n\r -~]")
_SPACE: Final = re.compile(rb"\s+")


def decode(text: bytes) -> bytes | None:
    """What text in hexadecimal or base64 stands for; None if it is neither.

    Args:
        text: The text; white space in it means nothing.
    """
    packed = _SPACE.sub(b"", text)
    if found := _HEX.fullmatch(packed):
        return bytes.fromhex(found[1].decode("ascii"))
    if _BASE64_URL.fullmatch(packed):
        packed = packed.replace(b"-", b"+").replace(b"_", b"/")
    if not _BASE64.fullmatch(packed):
        return None
    padding = b"=" * (-len(packed.rstrip(b"=")) % 4)
    try:
        return base64.b64decode(packed.rstrip(b"=") + padding, validate=True)
    except binascii.Error:
        return None


def decode_json(data: bytes) -> object:
    """A JSON object or array; None if the bytes are neither, or a member is twice."""
    if not data.lstrip().startswith((b"{", b"[")):
        return None
    try:
        return json.loads(data, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member twice")
    return found


def describe(data: bytes) -> str:
    """What bytes look like, in a few words, for a message."""
    if not data:
        return "an empty file"
    if decode_json(data) is not None:
        return f"{len(data)} bytes of JSON"
    text = data.isascii() and all(
        each.isprintable() or each in "\r\n\t" for each in data.decode("ascii")
    )
    return f"{len(data)} bytes of {'text' if text else 'something else'}"
