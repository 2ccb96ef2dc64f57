"""The outline of an ONNX file: all of it but the weights, read before it is parsed.

A protobuf parser allocates many times what a hostile file weighs (two bytes make a
node), and copies the weights of an honest one. So the wire format is walked first,
under limits, and the data of large tensors is left out; what remains is small, and
says the same about nodes, names, types and external data. How much was left out of a
tensor is noted in it: see `data_of`.

Wire format: Protocol Buffers, "Encoding". Field numbers: onnx.proto, IR version 14.
Fields are kept in their order, repeated ones and unknown ones too, so that every
parser merges the outline as it would merge the file.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import numpy as np

from blindai.errors import ModelRefusedError

if TYPE_CHECKING:
    from onnx import TensorProto

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
    _Kind.TENSOR: dict.fromkeys((4, 5, 6, 7, 9, 10, 11), _Kind.DATA),
}
_DATA_FIELDS: Final = {
    4: "float_data",
    5: "int32_data",
    6: "string_data",
    7: "int64_data",
    9: "raw_data",
    10: "double_data",
    11: "uint64_data",
}
_STRINGS, _RAW = 6, 9
_ENTRY_BYTES: Final = {4: 4, 10: 8}  # packed; of all others, integers of any length
# An entry of metadata_props (TensorProto, field 16) that no file can have written.
_METADATA: Final = 16 << 3 | 2
_MARK: Final = secrets.token_hex(8)
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


def data_of(tensor: TensorProto) -> dict[int, int]:
    """How much data a tensor of the outline had in the file.

    Returns:
        By the number of the field in TensorProto: how many values, or of raw_data how
        many bytes. A tensor without raw_data has no entry for it.
    """
    for entry in tensor.metadata_props:
        if entry.key == _MARK:
            pairs = (pair.split(":") for pair in entry.value.split())
            return {int(number): int(count) for number, count in pairs}
    counts = {
        number: len(getattr(tensor, name)) for number, name in _DATA_FIELDS.items()
    }
    if not tensor.HasField("raw_data"):
        del counts[_RAW]
    return counts


@dataclass(slots=True)
class _Parts:
    """One message being rewritten.

    Attributes:
        kept: What the outline has of it, up to `start`.
        start: Where bytes begin that are to be kept as they are.
        data: In a tensor, as `data_of` gives it.
        short: Whether data was left out.
    """

    kept: list[bytes] = field(default_factory=list)
    start: int = 0
    data: dict[int, int] = field(default_factory=dict)
    short: bool = False

    def count(self, number: int, size: int, values: int) -> None:
        """Note a field that holds data of a tensor."""
        if number == _RAW:  # the last one is what counts
            self.data[_RAW] = size
        else:
            self.data[number] = self.data.get(number, 0) + values

    def mark(self) -> None:
        """Note in the tensor how much data it had."""
        text = " ".join(f"{number}:{count}" for number, count in self.data.items())
        entry = _text(1, _MARK) + _text(2, text)
        self.kept += (_encode(_METADATA), _encode(len(entry)), entry)


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
                if fields.get(tag >> 3) is _Kind.DATA:
                    parts.count(tag >> 3, 0, 1)
                continue
            size, at = _varint(view, at)
            end = _advance(view, at, size)
            inner = fields.get(tag >> 3)
            if inner is _Kind.DATA:
                parts.count(tag >> 3, size, _values(tag >> 3, view[at:end]))
            if inner is not None and size > SMALL_BYTES:
                self._keep(parts, view, begin)
                body = self._inside(view[at:end], inner, depth)
                parts.short |= inner is _Kind.DATA
                parts.kept += (_encode(tag), _encode(len(body)), body)
                parts.start = end
            at = end
        self._keep(parts, view, at)
        if parts.short:
            parts.mark()
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


def _values(number: int, data: memoryview) -> int:
    """How many values a field of a tensor holds."""
    if number in _ENTRY_BYTES:
        return len(data) // _ENTRY_BYTES[number]
    if number in {_STRINGS, _RAW}:
        return 1
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) < 0x80))


def _text(number: int, text: str) -> bytes:
    return _encode(number << 3 | _BYTES) + _encode(len(text)) + text.encode()


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
