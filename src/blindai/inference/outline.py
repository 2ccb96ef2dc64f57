"""The outline of an ONNX file: all of it but the weights, read before it is parsed.

A protobuf parser allocates many times what a hostile file weighs (two bytes make a
node), and copies the weights of an honest one. So the wire format is walked first,
under limits, and the data of large tensors is left out; what remains is small, and
says the same about nodes, names, types and external data.

Wire format: Protocol Buffers, "Encoding". Field numbers: onnx.proto, IR version 14.
Fields are kept in their order, repeated ones and unknown ones too, so that every
parser merges the outline as it would merge the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from blindai.errors import ModelRefusedError

# Messages and tensor data shorter than this are kept as they are.
SMALL_BYTES: Final = 1024
MAX_DEPTH: Final = 100  # as protobuf's own parsers


class _Kind(Enum):
    MODEL = auto()
    FUNCTION = auto()
    GRAPH = auto()
    NODE = auto()
    ATTRIBUTE = auto()
    SPARSE_TENSOR = auto()
    TENSOR = auto()
    DATA = auto()


# Where the data of tensors may lie: field number -> what it holds.
_FIELDS: dict[_Kind, dict[int, _Kind]] = {
    _Kind.MODEL: {7: _Kind.GRAPH, 25: _Kind.FUNCTION},
    _Kind.FUNCTION: {7: _Kind.NODE},
    _Kind.GRAPH: {1: _Kind.NODE, 5: _Kind.TENSOR, 15: _Kind.SPARSE_TENSOR},
    _Kind.NODE: {5: _Kind.ATTRIBUTE},
    _Kind.ATTRIBUTE: {
        5: _Kind.TENSOR,
        6: _Kind.GRAPH,
        10: _Kind.TENSOR,
        11: _Kind.GRAPH,
        22: _Kind.SPARSE_TENSOR,
        23: _Kind.SPARSE_TENSOR,
    },
    _Kind.SPARSE_TENSOR: {1: _Kind.TENSOR, 2: _Kind.TENSOR},
    # float_data, int32_data, string_data, int64_data, raw_data, double_data,
    # uint64_data
    _Kind.TENSOR: dict.fromkeys((4, 5, 6, 7, 9, 10, 11), _Kind.DATA),
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}


def outline(contents: memoryview, *, max_bytes: int, max_fields: int) -> bytes:
    """Leave the data of large tensors out of an ONNX file.

    Args:
        contents: The file, in any quality.
        max_bytes: The size of the outline.
        max_fields: How many fields are looked at.

    Returns:
        A protobuf message that parses if and only if the file does, up to the fields
        left out. Tensors in it may have no data.

    Raises:
        ModelRefusedError: If the file is not in the wire format, or passes a limit.
    """
    return _Outline(max_bytes, max_fields).message(contents, _Kind.MODEL, 0)


@dataclass(slots=True)
class _Parts:
    """One message being rewritten.

    Attributes:
        kept: What the outline has of it, up to `start`.
        start: Where bytes begin that are to be kept as they are.
    """

    kept: list[bytes] = field(default_factory=list)
    start: int = 0


class _Outline:
    """The limits of one file, counted down."""

    def __init__(self, max_bytes: int, max_fields: int) -> None:
        self._max_bytes, self._bytes_left = max_bytes, max_bytes
        self._max_fields, self._fields_left = max_fields, max_fields

    def message(self, view: memoryview, kind: _Kind, depth: int) -> bytes:
        """Rewrite one message, `depth` messages inside the file's.

        Raises:
            ModelRefusedError: As `outline`.
        """
        if depth > MAX_DEPTH:
            raise ModelRefusedError(
                f"ONNX file: expected at most {MAX_DEPTH} messages in one another"
            )
        fields, parts, at = _FIELDS[kind], _Parts(), 0
        while at < len(view):
            begin = at
            tag, at = self._tag(view, at)
            if tag & 7 != _BYTES:
                at = _skip(view, at, tag & 7)
                continue
            size, at = _varint(view, at)
            end = _advance(view, at, size)
            inner = fields.get(tag >> 3)
            if inner is not None and size > SMALL_BYTES:
                self._keep(parts, view, begin)
                body = self._inside(view[at:end], inner, depth)
                parts.kept += (_encode(tag), _encode(len(body)), body)
                parts.start = end
            at = end
        self._keep(parts, view, at)
        return b"".join(parts.kept)

    def _inside(self, view: memoryview, kind: _Kind, depth: int) -> bytes:
        return b"" if kind is _Kind.DATA else self.message(view, kind, depth + 1)

    def _tag(self, view: memoryview, at: int) -> tuple[int, int]:
        if not self._fields_left:
            raise ModelRefusedError(
                f"ONNX file: expected at most {self._max_fields} fields, got more"
            )
        self._fields_left -= 1
        tag, at = _varint(view, at)
        if tag >> 32:  # parsers differ in what they make of these
            raise ModelRefusedError("ONNX file: expected field tags of 32 bits")
        return tag, at

    def _keep(self, parts: _Parts, view: memoryview, end: int) -> None:
        self._bytes_left -= end - parts.start
        if self._bytes_left < 0:
            raise ModelRefusedError(
                f"ONNX file: expected at most {self._max_bytes} bytes besides the data"
                " of tensors, got more"
            )
        parts.kept.append(bytes(view[parts.start : end]))


def _skip(view: memoryview, at: int, wire_type: int) -> int:
    if wire_type == _VARINT:
        return _varint(view, at)[1]
    if wire_type not in _FIXED_BYTES:
        raise ModelRefusedError(
            f"ONNX file: expected protobuf wire types 0, 1, 2 and 5, got {wire_type}"
        )
    return _advance(view, at, _FIXED_BYTES[wire_type])


def _advance(view: memoryview, at: int, size: int) -> int:
    if size > len(view) - at:
        raise ModelRefusedError(
            f"ONNX file: expected {size} more bytes, got {len(view) - at}"
        )
    return at + size


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(view[at : at + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise ModelRefusedError("ONNX file: expected an integer of at most 10 bytes")


def _encode(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
