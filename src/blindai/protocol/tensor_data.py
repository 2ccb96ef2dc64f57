"""The elements of one tensor, in JSON and in binary, to NumPy and back.

Binary (Triton Inference Server, "Binary Tensor Data Extension"): little-endian, row
major, nothing between the elements; see `datatypes` for the sizes.

JSON (Open Inference Protocol V2, "Tensor Data"): one array, flat or nested as the shape
says, row major, of booleans, numbers or strings.

- BF16 has no JSON form, as in Triton.
- FP16 is accepted and written as numbers. Triton refuses it, since JSON has no such
  type; but every FP16 is exactly a JSON number, so nothing is lost either way.
- NaN and the infinities have no JSON form, and a number too large for its type is
  refused rather than made infinite. Fractions are rounded to the nearest.
- BYTES are strings, in UTF-8.

`what` names the tensor in errors. Callers have held the shape against their limits.
"""

from __future__ import annotations

from itertools import chain
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from blindai.errors import TensorError
from blindai.protocol.datatypes import Array, Datatype
from blindai.protocol.tensor_json import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.protocol.buffers import Bytes

_LENGTH_BYTES = 4

# By NumPy's kind of dtype: what JSON holds, and the word for it in errors.
_JSON_ELEMENTS: dict[str, tuple[frozenset[type], str]] = {
    "b": (frozenset({bool}), "booleans"),
    "i": (frozenset({int}), "integers"),
    "u": (frozenset({int}), "integers"),
    "f": (frozenset({int, float}), "numbers"),
    "O": (frozenset({str}), "strings"),
}


def parse_binary(
    buffer: memoryview, datatype: Datatype, shape: tuple[int, ...], what: str
) -> Array:
    """Read a tensor's elements from exactly the bytes of `buffer`.

    Returns:
        A view onto `buffer`, aligned or not; for `BYTES`, an array of copies.

    Raises:
        TensorError: If the bytes are not so many elements of this type.
    """
    if datatype is Datatype.BYTES:
        return _objects(_split_bytes(buffer, prod(shape), what), shape)
    dtype = datatype.numpy
    expected = prod(shape) * dtype.itemsize
    if len(buffer) != expected:
        raise TensorError(
            f"{what} binary_data_size: expected {expected} bytes for its shape,"
            f" got {len(buffer)}"
        )
    if datatype is Datatype.BOOL:
        _require_zeros_and_ones(buffer, what)
    return np.ndarray(shape, dtype, buffer)


def encode_binary(array: Array, datatype: Datatype) -> Bytes:
    """Write a tensor's elements in binary.

    Returns:
        A view onto the array, copied first only where it is not contiguous in row-major
        order or not little-endian; for `BYTES`, new bytes.
    """
    if datatype is Datatype.BYTES:
        return b"".join(
            part
            for element in array.ravel().tolist()
            for part in (len(element).to_bytes(_LENGTH_BYTES, "little"), element)
        )
    contiguous = np.ascontiguousarray(array, dtype=datatype.numpy)
    return contiguous.reshape(-1).view(np.uint8).data


def parse_json(
    data: object, datatype: Datatype, shape: tuple[int, ...], what: str
) -> Array:
    """Read a tensor's elements from its decoded `data`.

    Raises:
        TensorError: If `data` is not so many elements of this type.
    """
    if datatype is Datatype.BF16:
        raise TensorError(f"{what} data: expected BF16 as binary data, got JSON")
    elements = _flatten(data, shape, what)
    kind = datatype.numpy.kind
    expected, words = _JSON_ELEMENTS[kind]
    if others := set(map(type, elements)) - expected:
        got = min(map(kind_of, others))
        raise TensorError(f"{what} data: expected {words}, got {got}")
    if kind == "O":
        return _objects(_encode_strings(elements, what), shape)
    if kind == "f":
        return _floats(elements, datatype, what).reshape(shape)
    if kind in "iu":
        _require_range(elements, datatype, what)
    return np.array(elements, datatype.numpy).reshape(shape)


def encode_json(array: Array, datatype: Datatype, what: str) -> list[object]:
    """Write a tensor's elements as a flat list for JSON, row major.

    Raises:
        TensorError: If there is no JSON for this type, or for one of the elements.
    """
    if datatype is Datatype.BF16:
        raise TensorError(f"{what}: expected binary data for BF16, got JSON")
    if datatype.numpy.kind == "f" and not np.isfinite(array).all():
        raise TensorError(f"{what}: expected finite numbers for JSON, got others")
    if datatype is Datatype.BYTES:
        return _decode_strings(array.ravel().tolist(), what)
    elements: list[object] = array.ravel().tolist()
    return elements


def _objects(elements: list[bytes], shape: tuple[int, ...]) -> Array:
    array = np.fromiter(elements, np.dtype("O"), count=len(elements))
    return array.reshape(shape)


def _split_bytes(buffer: memoryview, count: int, what: str) -> list[bytes]:
    elements: list[bytes] = []
    start = 0
    for index in range(count):
        head = buffer[start : start + _LENGTH_BYTES]
        start += _LENGTH_BYTES
        end = start + int.from_bytes(head, "little")
        if end > len(buffer):
            raise TensorError(
                f"{what} element {index}: expected a 4-byte length and so many bytes,"
                f" got the end after {len(buffer)} bytes"
            )
        elements.append(bytes(buffer[start:end]))
        start = end
    if start != len(buffer):
        raise TensorError(
            f"{what} binary_data_size: expected {start} bytes for its elements,"
            f" got {len(buffer)}"
        )
    return elements


def _require_zeros_and_ones(buffer: memoryview, what: str) -> None:
    if np.ndarray(len(buffer), np.uint8, buffer).max(initial=0) > 1:
        raise TensorError(f"{what}: expected bytes 0 and 1 for BOOL, got others")


def _flatten(data: object, shape: tuple[int, ...], what: str) -> list[object]:
    if not isinstance(data, list):
        raise TensorError(f"{what} data: expected an array, got {kind_of(type(data))}")
    elements = data
    if list in map(type, data):
        elements = [data]
        for size in shape:
            elements = _join(elements, size, what)
    if len(elements) != prod(shape):
        raise TensorError(
            f"{what} data: expected {prod(shape)} elements for its shape,"
            f" got {len(elements)}"
        )
    return elements


def _join(arrays: list[object], size: int, what: str) -> list[object]:
    rows = [row for row in arrays if isinstance(row, list) and len(row) == size]
    if len(rows) != len(arrays):
        raise TensorError(
            f"{what} data: expected a flat array, or arrays of {size} elements where"
            " its shape has them, got others"
        )
    return list(chain.from_iterable(rows))


def _require_range(elements: Sequence[object], datatype: Datatype, what: str) -> None:
    integers = [element for element in elements if isinstance(element, int)]
    limits = np.iinfo(datatype.numpy)
    lowest, highest = int(limits.min), int(limits.max)
    if integers and not lowest <= min(integers) <= max(integers) <= highest:
        raise TensorError(
            f"{what} data: expected integers from {lowest} to {highest} for"
            f" {datatype}, got one outside"
        )


def _floats(elements: Sequence[object], datatype: Datatype, what: str) -> Array:
    try:
        with np.errstate(over="ignore", under="ignore"):
            array = np.array(elements, np.float64).astype(datatype.numpy)
        if np.isfinite(array).all():
            return array
    except OverflowError:  # an integer beyond FP64
        pass
    raise TensorError(
        f"{what} data: expected numbers in the range of {datatype}, got one outside"
    )


def _encode_strings(elements: Sequence[object], what: str) -> list[bytes]:
    try:
        return [str(element).encode() for element in elements]
    except UnicodeEncodeError:
        # Not chained: the foreign error holds the element.
        raise TensorError(
            f"{what} data: expected Unicode strings, got half a surrogate pair"
        ) from None


def _decode_strings(elements: Sequence[bytes], what: str) -> list[object]:
    try:
        return [element.decode() for element in elements]
    except UnicodeDecodeError:
        # Not chained: the foreign error holds the element.
        raise TensorError(
            f"{what}: expected UTF-8 in BYTES for JSON, got other bytes"
        ) from None
