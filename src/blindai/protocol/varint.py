"""Variable-length integers, RFC 9000, section 16 (big endian).

    first two bits  size  holds
    00              1     0 .. 2^6 - 1
    01              2     0 .. 2^14 - 1
    10              4     0 .. 2^30 - 1
    11              8     0 .. 2^62 - 1

Written in the smallest size; read in any (RFC 9292, section 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blindai.protocol.buffers import Bytes

MAX = (1 << 62) - 1

_SHORT = tuple(value.to_bytes(1, "big") for value in range(0x40))


def encode(value: int) -> bytes:
    """Encode an integer of 0 to `MAX` in 1, 2, 4 or 8 bytes.

    Raises:
        ValueError: If the integer is outside that range.
    """
    if not 0 <= value <= MAX:
        raise ValueError(f"varint: expected 0 to {MAX}, got {value}")
    if value < 0x40:
        return _SHORT[value]
    if value < 0x4000:
        return (value | 0x4000).to_bytes(2, "big")
    if value < 0x4000_0000:
        return (value | 0x8000_0000).to_bytes(4, "big")
    return (value | 0xC000_0000_0000_0000).to_bytes(8, "big")


def encode_strings(strings: Iterable[bytes]) -> bytes:
    """Write strings, each with its length before it."""
    parts: list[bytes] = []
    for string in strings:
        size = len(string)
        parts += (_SHORT[size] if size < 0x40 else encode(size), string)
    return b"".join(parts)


def decode(buffer: Bytes, at: int = 0) -> tuple[int, int] | None:
    """Read the integer that begins at `at`.

    Returns:
        The integer and the offset after it, or None where the buffer ends before the
        integer does and more bytes are needed. Every sequence of bytes is a beginning
        of some integer, so there is nothing to refuse.
    """
    if at >= len(buffer):
        return None
    first = buffer[at]
    if first < 0x40:
        return first, at + 1
    size = 1 << (first >> 6)
    end = at + size
    if end > len(buffer):
        return None
    mask = (1 << (8 * size - 2)) - 1
    return int.from_bytes(buffer[at:end], "big") & mask, end
