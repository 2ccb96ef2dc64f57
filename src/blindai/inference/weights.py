"""The data of a model's tensors: as much as their dimensions say, and all of it there.

A runtime makes room for what dimensions say, before it looks for the data. Data lies in
the ONNX file, or, of initializers of the main graph, in the files of its bundle.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from onnx import TensorProto

from blindai.errors import ModelRefusedError
from blindai.inference.outline import data_of
from blindai.inference.shown import shown, shown_dimensions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Of one element. A string's is what an empty one takes in memory.
BITS: Final[Mapping[int, int]] = {
    TensorProto.FLOAT: 32,
    TensorProto.UINT8: 8,
    TensorProto.INT8: 8,
    TensorProto.UINT16: 16,
    TensorProto.INT16: 16,
    TensorProto.INT32: 32,
    TensorProto.INT64: 64,
    TensorProto.STRING: 256,
    TensorProto.BOOL: 8,
    TensorProto.FLOAT16: 16,
    TensorProto.DOUBLE: 64,
    TensorProto.UINT32: 32,
    TensorProto.UINT64: 64,
    TensorProto.COMPLEX64: 64,
    TensorProto.COMPLEX128: 128,
    TensorProto.BFLOAT16: 16,
    TensorProto.FLOAT8E4M3FN: 8,
    TensorProto.FLOAT8E4M3FNUZ: 8,
    TensorProto.FLOAT8E5M2: 8,
    TensorProto.FLOAT8E5M2FNUZ: 8,
    TensorProto.UINT4: 4,
    TensorProto.INT4: 4,
    TensorProto.FLOAT4E2M1: 4,
    TensorProto.FLOAT8E8M0: 8,
    TensorProto.UINT2: 2,
    TensorProto.INT2: 2,
}
MAX_DIMENSIONS: Final = 64
_RAW: Final = 9
# onnx.proto, TensorProto: the field that holds a type's elements, and how many bits of
# elements one entry of it stands for; of all other types that is int32_data.
_FIELDS: Final[Mapping[int, tuple[int, int]]] = {
    TensorProto.FLOAT: (4, 32),
    TensorProto.COMPLEX64: (4, 32),
    TensorProto.STRING: (6, 256),
    TensorProto.INT64: (7, 64),
    TensorProto.DOUBLE: (10, 64),
    TensorProto.COMPLEX128: (10, 64),
    TensorProto.UINT32: (11, 32),
    TensorProto.UINT64: (11, 64),
}
_INT32_DATA: Final = 5
_EXTERNAL_KEYS: Final = {"location", "offset", "length", "checksum"}
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


class Files:
    """The files of a bundle, and which of their bytes a model has asked for.

    Args:
        sizes: Bytes of each, by name.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes
        self._left = sum(sizes.values())
        self._asked: set[str] = set()
        self.tensors = 0

    def require(self, tensor: TensorProto) -> None:
        """Require that a tensor's external data is in one of them.

        Raises:
            ModelRefusedError: If it is not.
        """
        where = f"tensor {shown(tensor.name)}"
        values = _external(tensor, where)
        location = values.get("location", "")
        if location not in self._sizes:
            raise ModelRefusedError(
                f"{where}: expected its data in the ONNX file, or in a file of its"
                f" bundle, got external data in {shown(location)}"
            )
        offset = int(values.get("offset", "0"))
        length = int(values.get("length", self._sizes[location] - offset))
        expected = stored_bytes(tensor)
        if length != expected or not offset + length <= self._sizes[location]:
            raise ModelRefusedError(
                f"{where}: expected {expected} bytes within {shown(location)} of"
                f" {self._sizes[location]}, got {length} at {offset}"
            )
        self._left -= length
        if self._left < 0:
            raise ModelRefusedError(
                f"{where}: expected each byte of the bundle in one tensor, got it twice"
            )
        self._asked.add(location)
        self.tensors += 1

    def require_all_asked(self, initializers: int) -> None:
        """Require that there was no other file, and no other tensor than these.

        Args:
            initializers: Of the main graph, those with external data.

        Raises:
            ModelRefusedError: If there was.
        """
        if self.tensors != initializers:
            raise ModelRefusedError(
                "external data: expected in initializers of the main graph only, got"
                " it in another tensor"
            )
        if unused := sorted(self._sizes.keys() - self._asked):
            raise ModelRefusedError(
                f"bundle: expected only files that the model refers to, got"
                f" {shown(unused[0])}"
            )


def is_external(tensor: TensorProto) -> bool:
    """Whether a tensor's data is said to be elsewhere."""
    return tensor.data_location != TensorProto.DEFAULT or bool(tensor.external_data)


def require_data(tensor: TensorProto) -> None:
    """Require that a tensor has as much data as its dimensions say.

    Raises:
        ModelRefusedError: If it has not.
    """
    entries = data_of(tensor)
    if _RAW in entries:
        field, expected = _RAW, stored_bytes(tensor)
    else:
        total = elements(tensor) * BITS[tensor.data_type]
        packed = _INT32_DATA, max(BITS[tensor.data_type], 8)
        field, bits = _FIELDS.get(tensor.data_type, packed)
        expected = -(-total // bits)
    if entries.get(field, 0) != expected:
        raise ModelRefusedError(
            f"tensor {shown(tensor.name)}: expected {expected}"
            f" {'bytes' if field == _RAW else 'values'} for dimensions"
            f" {shown_dimensions(tensor.dims)}, got {entries.get(field, 0)}"
        )


def stored_bytes(tensor: TensorProto) -> int:
    """Bytes that a tensor's elements take, by its dimensions."""
    return -(-elements(tensor) * BITS[tensor.data_type] // 8)


def elements(tensor: TensorProto) -> int:
    """How many elements a tensor says it has.

    Raises:
        ModelRefusedError: If it has no such type, or a negative dimension.
    """
    if tensor.data_type not in BITS:
        raise ModelRefusedError(
            f"tensor {shown(tensor.name)}: expected a known type of elements, got"
            f" {tensor.data_type}"
        )
    return volume(f"tensor {shown(tensor.name)}", tensor.dims)


def volume(what: str, dimensions: Sequence[int]) -> int:
    """How many elements dimensions make.

    Raises:
        ModelRefusedError: If one is negative, or there are too many.
    """
    if len(dimensions) > MAX_DIMENSIONS or any(size < 0 for size in dimensions):
        raise ModelRefusedError(
            f"{what}: expected at most {MAX_DIMENSIONS} dimensions from 0 up, got"
            f" {len(dimensions)}: {shown_dimensions(dimensions)}"
        )
    return math.prod(dimensions)


def _external(tensor: TensorProto, where: str) -> dict[str, str]:
    """What a tensor says about where its data is.

    Raises:
        ModelRefusedError: If it is said twice, in other words, or there is data too.
    """
    values = {entry.key: entry.value for entry in tensor.external_data}
    known = values.keys() <= _EXTERNAL_KEYS
    numbers = (values.get(key, "0") for key in ("offset", "length"))
    if (
        not known
        or len(values) != len(tensor.external_data)
        or not all(isinstance(each, str) for each in values.values())
        or not all(_NUMBER.fullmatch(number) for number in numbers)
        or tensor.data_location != TensorProto.EXTERNAL
        or tensor.data_type == TensorProto.STRING
        or any(data_of(tensor).values())
    ):
        raise ModelRefusedError(
            f"{where}: expected external data as location, offset and length, each"
            " once, and no other data"
        )
    return values
