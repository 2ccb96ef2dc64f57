"""From what people have in hand to named tensors.

NumPy arrays, torch tensors (torch is not imported), numbers, text and lists of these;
one for a model of one input, a list in the model's order or a dict by name for a model
of several. A file's bytes are a tensor for a model that takes UINT8.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from blindai.errors import TensorError
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from blindai.client.results import TensorSpec


_TEXT = "SUOT"  # kinds of NumPy's: bytes, text, objects, text of any length
_BF16_EXPONENT = 0x7F80  # all of it set: infinite, or no number
_OTHERS = {"S": "bytes", "U": "text", "c": "complex ones"}


def as_tensors(
    inputs: object,
    specs: Sequence[TensorSpec],
    dtype: object = None,
    shape: object = None,
) -> tuple[Tensor, ...]:
    """Name and type what a caller wants to send, in the model's order.

    Args:
        inputs: An array or tensor; a list of numbers or of text; one text, or the
            bytes of a file; a list of several of these, in the model's order; or a dict
            by input name.
        specs: What the model declares.
        dtype: Type of lists: a V2 name or a NumPy type, one or one an input; the
            model's own where it is not given.
        shape: Shape of flat lists, one or one an input.

    Raises:
        TensorError: If the inputs are not the model's.
    """
    known = {spec.name: spec for spec in specs}
    by_name = _by_name(inputs, known)
    if not by_name.keys() <= known.keys():
        unknown = ", ".join(name for name in by_name if name not in known)
        raise TensorError(f"inputs: expected {', '.join(known)}, got {unknown}")
    several = len(by_name) > 1
    tensors = {
        name: as_tensor(
            value,
            known[name],
            _one(dtype, index) if several else dtype,
            _one_shape(shape, index) if several else shape,
        )
        for index, (name, value) in enumerate(by_name.items())
    }
    return tuple([tensors[name] for name in known if name in tensors])


def as_tensor(
    value: object, spec: TensorSpec, dtype: object = None, shape: object = None
) -> Tensor:
    """One input.

    Raises:
        TensorError: If it is not of the type that the model declares.
    """
    datatype = spec.datatype if dtype is None else _datatype(dtype)
    array, is_bf16 = _as_array(value, datatype, spec)
    if shape is None and datatype is Datatype.BYTES and array.ndim == 0:
        shape = (1,) * len(spec.shape)  # one text, to a model of lists of them
    if shape is not None:
        array = _reshape(array, shape, spec.name)
    _require_type(array, spec, is_bf16=is_bf16)
    return Tensor(spec.name, spec.datatype, array.shape, array)


def _require_type(array: NDArray[Any], spec: TensorSpec, *, is_bf16: bool) -> None:
    """Require what the model declares.

    Raises:
        TensorError: If it is another type, or one that V2 has not.
    """
    try:
        actual = Datatype.BF16 if is_bf16 else Datatype.of(array.dtype)
    except TensorError:
        actual = None
    if actual is spec.datatype:
        return
    got = str(array.dtype) if actual is None else f"{actual.value} ({array.dtype})"
    if array.dtype.kind == "O":
        got = "an array of Python objects"
    raise TensorError(
        f"input {spec.name!r}: expected {spec.datatype.value} "
        f"({spec.datatype.numpy}), got {got}"
    )


def _by_name(inputs: object, names: Collection[str]) -> dict[str, object]:
    if isinstance(inputs, Mapping):
        return {str(name): value for name, value in inputs.items()}
    values = [inputs]
    if isinstance(inputs, list | tuple) and (
        len(names) > 1 or any(map(_is_array, inputs))
    ):
        values = list(inputs)
    if len(values) != len(names):
        raise TensorError(
            f"inputs: expected {len(names)} ({', '.join(names)}), got {len(values)}"
        )
    return dict(zip(names, values, strict=True))


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) or _is_torch(value)


def _is_torch(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _as_array(
    value: object, datatype: Datatype, spec: TensorSpec
) -> tuple[NDArray[Any], bool]:
    """The value as an array, and whether it holds the bits of BF16.

    Raises:
        TensorError: If it holds something else than the datatype has.
    """
    if _is_torch(value):
        return _from_torch(value, spec.name)
    if isinstance(value, np.ndarray):
        _require_unmasked(value, spec.name)
        if spec.datatype is Datatype.BYTES and value.dtype.kind in _TEXT:
            return _as_bytes(value, spec.name), False
        return value, datatype is Datatype.BF16 and value.dtype == np.uint16
    if datatype is Datatype.BYTES:
        return _as_bytes(np.array(value, dtype=object), spec.name), False
    if datatype is Datatype.UINT8 and isinstance(value, bytes | bytearray | memoryview):
        return np.frombuffer(value, np.uint8), False
    return _from_numbers(value, datatype, spec.name), datatype is Datatype.BF16


def _require_unmasked(array: NDArray[Any], name: str) -> None:
    """Require that nothing is sent which its owner has masked.

    Raises:
        TensorError: If some of it is masked.
    """
    if type(array) is not np.ndarray and np.ma.is_masked(array):
        raise TensorError(
            f"input {name!r}: expected an array without masked elements, got some; "
            "fill them first: array.filled(...)"
        )


def _from_numbers(value: object, datatype: Datatype, name: str) -> NDArray[Any]:
    """Numbers as an array of a datatype; BF16 as its bits.

    Raises:
        TensorError: If they are no numbers, ragged, or lose something.
    """
    expected = f"input {name!r}: expected numbers for {datatype.value}"
    # Everywhere without the cause: it may hold the value.
    try:
        given = np.array(value)
    except (ValueError, TypeError, OverflowError):
        raise TensorError(f"{expected} in lists of one length, got others") from None
    if given.dtype.kind not in "biuf":
        got = _OTHERS.get(given.dtype.kind, "others, or some that are too large")
        raise TensorError(f"{expected}, got {got}")
    array: NDArray[Any] | None
    try:
        with np.errstate(over="ignore"):
            if datatype is Datatype.BF16:
                array = _to_bf16(given.astype(np.float32))
            else:  # not of `given`: it may have lost
                array = np.array(value, dtype=datatype.numpy)
    except (ValueError, OverflowError):
        array = None
    if array is None or _loses(array, given, datatype):
        raise TensorError(f"{expected}, got some that it cannot hold")
    return array


def _loses(array: NDArray[Any], given: NDArray[Any], datatype: Datatype) -> bool:
    """Whether whole numbers have changed, or finite ones became infinite."""
    if datatype is Datatype.BF16:
        finite = array & _BF16_EXPONENT != _BF16_EXPONENT
    elif array.dtype.kind == "f":
        finite = np.isfinite(array)
    else:
        return not np.array_equal(array, given)
    return bool((np.isfinite(given) & ~finite).any())


def _to_bf16(numbers: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The nearest BF16, ties to even, as bits; any NaN becomes the quiet one."""
    bits = numbers.view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(np.isnan(numbers), 0x7FC0, rounded).astype(np.uint16)


def _from_torch(tensor: Any, name: str) -> tuple[NDArray[Any], bool]:  # noqa: ANN401  torch is not a dependency
    """The values of a torch tensor on any device, and whether they are bits of BF16.

    Raises:
        TensorError: If they are no array: sparse, quantised, or of a type NumPy lacks.
    """
    torch = sys.modules["torch"]
    is_bf16 = tensor.dtype is torch.bfloat16
    try:
        tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
        if is_bf16:
            tensor = tensor.contiguous().view(torch.int16)
        array: NDArray[Any] = tensor.numpy()
    except (RuntimeError, TypeError) as error:
        raise TensorError(
            f"input {name!r}: expected a dense tensor of a NumPy type or bfloat16, "
            f"got {tensor.layout}, {tensor.dtype} on {tensor.device}"
        ) from error
    return array.view(np.uint16) if is_bf16 else array, is_bf16


def _as_bytes(array: NDArray[Any], name: str) -> NDArray[Any]:
    try:
        flat = [
            each.encode() if isinstance(each, str) else each for each in array.ravel()
        ]
    except UnicodeEncodeError:
        # Without the cause: it holds the text.
        raise TensorError(
            f"input {name!r}: expected text that UTF-8 can write, got half of a "
            "surrogate pair"
        ) from None
    if not all(isinstance(each, bytes) for each in flat):
        raise TensorError(
            f"input {name!r}: expected text or bytes for BYTES, got others"
        )
    out = np.empty(len(flat), dtype=object)
    out[:] = [bytes(each) for each in flat]
    return out.reshape(array.shape)


def _reshape(array: NDArray[Any], shape: object, name: str) -> NDArray[Any]:
    wanted = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    try:
        return array.reshape(wanted)
    except (ValueError, TypeError) as error:
        raise TensorError(
            f"input {name!r}: expected {array.size} elements to fill the shape, "
            f"got {wanted}"
        ) from error


def _datatype(dtype: object) -> Datatype:
    if isinstance(dtype, str) and dtype.upper() in Datatype.__members__:
        return Datatype(dtype.upper())
    try:
        return Datatype.of(np.dtype(dtype))  # type: ignore[call-overload]  # any object may be tried
    except (TypeError, ValueError):
        # Without the cause: it may hold an input that was given in its place.
        raise TensorError(
            "dtype: expected a V2 name (FP32, INT64, ...) or a NumPy type, got another "
            f"{type(dtype).__name__}; several inputs are one list or dict"
        ) from None


def _one(values: object, index: int) -> object:
    if isinstance(values, list | tuple):
        return values[index] if index < len(values) else None
    return values


def _one_shape(shapes: object, index: int) -> object:
    nested = isinstance(shapes, list | tuple) and all(
        isinstance(each, list | tuple) for each in shapes
    )
    return _one(shapes, index) if nested else shapes
