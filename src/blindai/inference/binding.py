"""A request's tensors and a model's declaration of them, brought together.

What does not fit is refused here, by name, before a runtime sees it.

    require_inputs(spec, tensors)       before the request waits for its turn
    feed(tensors)                       what the runtime takes: str for bytes
    Tensor(...) = tensor(spec, array)   and what it gives
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blindai.errors import TensorError
from blindai.protocol.datatypes import Array, Datatype
from blindai.protocol.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from blindai.inference.model import Dimension, ModelSpec, TensorSpec


def require_inputs(spec: ModelSpec, tensors: Sequence[Tensor]) -> None:
    """Compare a request's tensors with the inputs a model declares.

    Raises:
        TensorError: If an input is missing, unknown or there twice, or has another
            datatype or shape; if a symbolic dimension has two sizes.
    """
    given = {tensor.name: tensor for tensor in tensors}
    expected = {declared.name for declared in spec.inputs}
    if len(given) != len(tensors) or given.keys() != expected:
        names = [tensor.name for tensor in tensors]
        raise TensorError(f"inputs: expected {_listed(expected)}, got {_listed(names)}")
    symbols: dict[str, int] = {}
    for declared in spec.inputs:
        tensor = given[declared.name]
        if tensor.datatype is not declared.datatype:
            raise TensorError(
                f"input {declared.name!r}: expected {declared.datatype},"
                f" got {tensor.datatype}"
            )
        if declared.shape is not None:
            _require_shape(declared.name, declared.shape, tensor.shape, symbols)


def select_outputs(spec: ModelSpec, names: Iterable[str]) -> tuple[TensorSpec, ...]:
    """Find the outputs a request asks for; all of them where it names none.

    Raises:
        TensorError: If the model has no such output.
    """
    wanted = dict.fromkeys(names)
    if not wanted:
        return spec.outputs
    declared = {output.name: output for output in spec.outputs}
    if unknown := [name for name in wanted if name not in declared]:
        raise TensorError(
            f"outputs: expected {_listed(declared)}, got {_listed(unknown)}"
        )
    return tuple(declared[name] for name in wanted)


def feed(tensors: Iterable[Tensor]) -> dict[str, Array]:
    """Turn tensors into arrays for the runtime: aligned, in C order, text as `str`.

    Raises:
        TensorError: If an element of `BYTES` is not UTF-8, as strings of ONNX are.
    """
    return {tensor.name: _array(tensor) for tensor in tensors}


def tensor(declared: TensorSpec, array: Array) -> Tensor:
    """Turn an array of the runtime's into the tensor that a model declares."""
    if declared.datatype is Datatype.BYTES:
        array = _objects([text.encode() for text in array.flat], array.shape)
    return Tensor(declared.name, declared.datatype, array.shape, array)


def size_of(arrays: Iterable[Array], datatype: Datatype) -> int:
    """Bytes that elements take in binary, those of all arrays together."""
    if datatype is Datatype.BYTES:
        return sum(4 + len(element) for each in arrays for element in each.flat)
    size = 0
    for each in arrays:
        size += each.nbytes
    return size


def _require_shape(
    name: str,
    declared: tuple[Dimension, ...],
    shape: tuple[int, ...],
    symbols: dict[str, int],
) -> None:
    if len(shape) != len(declared):
        raise TensorError(
            f"input {name!r}: expected {len(declared)} dimensions, got {len(shape)}"
        )
    for index, (expected, size) in enumerate(zip(declared, shape, strict=True)):
        known = (
            symbols.setdefault(expected, size)
            if isinstance(expected, str)
            else (expected)
        )
        if known not in {None, size}:
            raise TensorError(
                f"input {name!r}, dimension {index}"
                f" ({expected}): expected {known}, got {size}"
            )


def _array(tensor: Tensor) -> Array:
    if tensor.datatype is not Datatype.BYTES:
        array = np.asarray(tensor.array, tensor.datatype.numpy, order="C")
        return array if array.flags.aligned else array.copy()
    try:
        texts = [element.decode() for element in tensor.array.flat]
    except UnicodeDecodeError:
        # Without the cause: it holds the bytes.
        raise TensorError(
            f"input {tensor.name!r}: expected UTF-8 in BYTES, got other bytes"
        ) from None
    return _objects(texts, tensor.shape)


def _objects(elements: list[str] | list[bytes], shape: tuple[int, ...]) -> Array:
    array = np.empty(len(elements), np.object_)
    array[:] = elements
    return array.reshape(shape)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names))) or "none"
