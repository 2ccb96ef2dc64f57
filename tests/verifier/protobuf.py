"""As much of Protocol Buffers' encoding as one vector needs."""

from __future__ import annotations


def read_fields(data: bytes) -> dict[int, list[bytes]]:
    """The fields of a message by number; integers big-endian."""
    found: dict[int, list[bytes]] = {}
    offset = 0
    while offset < len(data):
        key, offset = _varint(data, offset)
        value, offset = _varint(data, offset)
        content = value.to_bytes(8)
        if key & 7 == 2:
            content = data[offset : offset + value]
            offset += value
        found.setdefault(key >> 3, []).append(content)
    return found


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while data[offset] & 0x80:
        value |= (data[offset] & 0x7F) << shift
        shift += 7
        offset += 1
    return value | data[offset] << shift, offset + 1
