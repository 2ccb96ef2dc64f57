"""The element types of the Open Inference Protocol V2, and NumPy's names for them.

Names and sizes: Open Inference Protocol, "Tensor Data Types"; BF16: Triton Inference
Server, "Binary Tensor Data Extension". All numbers are little-endian on the wire.

    BOOL                            1 byte, 0 or 1
    UINT8  UINT16  UINT32  UINT64   1, 2, 4, 8 bytes
    INT8   INT16   INT32   INT64    1, 2, 4, 8 bytes, two's complement
    FP16   FP32    FP64             2, 4, 8 bytes, IEEE 754
    BF16                            2 bytes, the upper half of an FP32
    BYTES                           4-byte length, then that many bytes
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from blindai.errors import TensorError

Array: TypeAlias = NDArray[Any]


_NUMPY = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "BF16": "<u2",
    "BYTES": "O",
}


class Datatype(StrEnum):
    """The type of a tensor's elements.

    NumPy has no bfloat16. Elements of `BF16` are therefore kept as their bit patterns,
    in arrays of `uint16`; `Tensor.as_float32` gives the numbers. Elements of `BYTES`
    are `bytes`, in arrays of objects.

    Attributes:
        numpy: NumPy's type for the elements, little-endian; `uint16` for `BF16`.
    """

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    BF16 = "BF16"
    BYTES = "BYTES"

    def __init__(self, name: str) -> None:
        self.numpy: np.dtype[Any] = np.dtype(_NUMPY[name])

    @classmethod
    def of(cls, dtype: np.dtype[Any]) -> Datatype:
        """The datatype of an array's elements, whatever their byte order.

        Never `BF16`: an array of `uint16` holds integers unless one says otherwise.

        Raises:
            TensorError: If the protocol has no such type.
        """
        try:
            return _DATATYPES[dtype.newbyteorder("<")]
        except KeyError:
            expected = ", ".join(map(str, _DATATYPES))
            raise TensorError(f"dtype: expected {expected}, got {dtype}") from None


_DATATYPES = {each.numpy: each for each in Datatype if each is not Datatype.BF16}
