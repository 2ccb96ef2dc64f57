"""One named array, and the limits within which arrays are read from bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from blindai.errors import TensorError
from blindai.protocol.datatypes import Array, Datatype


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a body may cost before it is read.

    Decoded JSON takes up to some 25 times its bytes in memory.

    Attributes:
        max_tensors: Inputs, requested outputs or outputs, each.
        max_dims: Dimensions of a tensor, 32 at most, as NumPy 1 has no more.
        max_elements: Product of a tensor's dimensions, those of 0 left out;
            2**59 at most, so that sizes in bytes fit in 63 bits.
        max_strings: Elements of all `BYTES` tensors together: each becomes an object.
        max_json_bytes: A body of JSON alone.
        max_header_bytes: The JSON before binary data, with the tensors in it.
    """

    max_tensors: int = 64
    max_dims: int = 16
    max_elements: int = 2**31
    max_strings: int = 1 << 20
    max_json_bytes: int = 64 << 20
    max_header_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        if self.max_dims > 32 or self.max_elements > 2**59:
            raise ValueError(
                "limits: expected at most 32 dimensions and 2**59 elements,"
                f" got {self.max_dims} and {self.max_elements}"
            )


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A named array.

    Attributes:
        name: The model's name for it.
        datatype: The type of its elements on the wire.
        shape: Its dimensions.
        array: Its elements, in this shape and of `datatype.numpy`, in any byte order
            and memory layout: for `BF16` bit patterns, for `BYTES` objects of `bytes`.
            Read-only, and perhaps unaligned, where it is a view onto a parsed body.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    array: Array = field(repr=False)

    def __post_init__(self) -> None:
        if self.array.shape != self.shape:
            raise TensorError(
                f"tensor {self.name!r}: expected an array of shape {self.shape},"
                f" got {self.array.shape}"
            )
        expected = self.datatype.numpy
        dtype = self.array.dtype
        if dtype != expected and dtype.newbyteorder("<") != expected:
            raise TensorError(
                f"tensor {self.name!r}: expected an array of {expected} for"
                f" {self.datatype}, got {dtype}"
            )
        if self.datatype is Datatype.BYTES and not (
            {bytes}.issuperset(map(type, self.array.flat))
        ):
            raise TensorError(
                f"tensor {self.name!r}: expected elements of bytes, got others"
            )

    @classmethod
    def of(cls, name: str, array: Array) -> Tensor:
        """The tensor that an array is, its datatype taken from its dtype.

        Raises:
            TensorError: If the protocol has no such dtype.
        """
        return cls(name, Datatype.of(array.dtype), array.shape, array)

    def as_float32(self) -> Array:
        """The elements as `float32`, exact for `BF16`; a copy unless they are.

        Raises:
            TensorError: If the elements are `BYTES`.
        """
        if self.datatype is Datatype.BYTES:
            raise TensorError(f"tensor {self.name!r}: expected numbers, got BYTES")
        if self.datatype is not Datatype.BF16:
            return self.array.astype(np.float32, copy=False)
        bits = self.array.astype(np.uint32)
        bits <<= 16
        return bits.view(np.float32)
