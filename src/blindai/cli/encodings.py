"""Bytes as they lie in files: raw, or as text in hexadecimal, base64 or PEM."""

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
_PEM: Final = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]{1,64})-----\s*([A-Za-z0-9+/=\s]+?)-----END \1-----"
)


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


def pem_blocks(text: bytes) -> tuple[tuple[str, bytes], ...]:
    """The PEM blocks in a text (RFC 7468): labels and contents, in order."""
    found = ((each[1].decode("ascii"), decode(each[2])) for each in _PEM.finditer(text))
    return tuple((label, content) for label, content in found if content is not None)


def pem(label: str, content: bytes) -> bytes:
    """One PEM block."""
    body = base64.encodebytes(content).decode("ascii")
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode()


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
