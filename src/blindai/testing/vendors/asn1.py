"""Values in DER (X.690, section 10), for extensions that no library writes."""

from __future__ import annotations


def tlv(tag: int, *content: bytes) -> bytes:
    """One element: its tag, its length in the shortest form, and what is in it."""
    joined = b"".join(content)
    size = len(joined)
    if size < 0x80:
        return bytes([tag, size]) + joined
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 + len(length)]) + length + joined


def sequence(*content: bytes) -> bytes:
    """A SEQUENCE of elements."""
    return tlv(0x30, *content)


def integer(value: int) -> bytes:
    """An INTEGER of any size, not below 0."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1))
