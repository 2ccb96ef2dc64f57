"""Protocol Buffers, as far as files of other projects need them: a flat reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindai.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def messages(data: bytes, *, numbers: bool = False) -> Iterator[tuple[int, bytes]]:
    """The fields of a protobuf message: byte strings, and numbers if they are wanted.

    Protocol Buffers, "Encoding": a tag is the field's number and a wire type, 0 for a
    number and 2 for a byte string with its length before it.

    Raises:
        EvidenceError: If the bytes are anything else.
    """
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        value, place = _varint(data, place)
        match tag & 7:
            case 0:
                if numbers:
                    yield tag >> 3, value.to_bytes(8, "big")
            case 2 if value <= len(data) - place:
                yield tag >> 3, data[place : place + value]
                place += value
            case _:
                raise EvidenceError("protobuf: expected a message")


def _varint(data: Sequence[int], place: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, below 2^63.

    Raises:
        EvidenceError: If there is none.
    """
    value = 0
    for shift, octet in enumerate(data[place : place + 9]):
        value |= (octet & 0x7F) << 7 * shift
        if octet < 0x80:
            return value, place + shift + 1
    raise EvidenceError("protobuf: expected a message")
