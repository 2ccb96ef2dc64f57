"""The tensors of a request or response: a JSON array, and the binary data behind it.

    {"name": string, "shape": [integer, ...], "datatype": string, and one of
     "data": array                                   Open Inference Protocol V2
     "parameters": {"binary_data_size": integer}}    "Binary Tensor Data Extension"

Binary data stands behind the JSON in the array's order, with nothing between. Other
parameters of tensors are ignored. Triton's shared memory is not offered: a tensor that
lies there has neither form and is refused.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from blindai.errors import TensorError
from blindai.protocol import tensor_data, tensor_json
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Limits, Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from blindai.protocol.buffers import Bytes
    from blindai.protocol.tensor_json import Fields

_DATATYPES = Datatype.__members__


def encode(
    tensors: Sequence[Tensor], key: str, binary: Callable[[str], bool]
) -> tuple[list[Fields], list[Bytes]]:
    """Write tensors.

    Args:
        tensors: What to write.
        key: `inputs` or `outputs`, for errors.
        binary: Whether the tensor of a name goes as binary data.

    Returns:
        The JSON array, and a buffer for each binary tensor.

    Raises:
        TensorError: If JSON has no form for an element.
    """
    entries: list[Fields] = []
    buffers: list[Bytes] = []
    for tensor in tensors:
        entry: Fields = {
            "name": tensor.name,
            "shape": tensor.shape,
            "datatype": tensor.datatype,
        }
        if binary(tensor.name):
            buffer = tensor_data.encode_binary(tensor.array, tensor.datatype)
            entry["parameters"] = {"binary_data_size": len(buffer)}
            buffers.append(buffer)
        else:
            what = f"{key} {tensor.name!r}"
            entry["data"] = tensor_data.encode_json(tensor.array, tensor.datatype, what)
        entries.append(entry)
    return entries, buffers


def parse(
    fields: Fields, key: str, rest: memoryview, limits: Limits
) -> tuple[Tensor, ...]:
    """Read the tensors under `key`, and all binary data in `rest`.

    Raises:
        TensorError: If they are malformed, pass a limit, or do not fill `rest`.
    """
    tensors: list[Tensor] = []
    strings = 0
    for what, entry in read(fields, key, limits):
        name = tensor_json.read_text(entry, "name", what)
        named = f"{key} {name!r}"
        datatype = _read_datatype(entry, named)
        shape = _read_shape(entry, named, limits)
        strings += prod(shape) if datatype is Datatype.BYTES else 0
        if strings > limits.max_strings:
            raise TensorError(
                f"{key}: expected at most {limits.max_strings} strings, got {strings}"
            )
        size = _read_size(entry, named, len(rest))
        if size is None:
            array = tensor_data.parse_json(entry["data"], datatype, shape, named)
        else:
            array = tensor_data.parse_binary(rest[:size], datatype, shape, named)
            rest = rest[size:]
        tensors.append(Tensor(name, datatype, shape, array))
    if rest:
        raise TensorError(
            f"{key}: expected no bytes behind the last tensor, got {len(rest)}"
        )
    return tuple(tensors)


def read(fields: Fields, key: str, limits: Limits) -> list[tuple[str, Fields]]:
    """The objects in the array under `key`, each with a name for errors.

    Raises:
        TensorError: If there is no such array, it is too long, or holds other things.
    """
    entries = tensor_json.read_array(fields, key, "body")
    if len(entries) > limits.max_tensors:
        raise TensorError(
            f"{key}: expected at most {limits.max_tensors}, got {len(entries)}"
        )
    objects = []
    for index, entry in enumerate(entries):
        what = f"{key}[{index}]"
        objects.append((what, tensor_json.require_object(entry, what)))
    return objects


def _read_datatype(entry: Fields, what: str) -> Datatype:
    name = tensor_json.read_text(entry, "datatype", what)
    if name not in _DATATYPES:
        raise TensorError(
            f"{what} datatype: expected one of {', '.join(Datatype)}, got {name!r}"
        )
    return _DATATYPES[name]


def _read_shape(entry: Fields, what: str, limits: Limits) -> tuple[int, ...]:
    dims = tensor_json.read_array(entry, "shape", what)
    if len(dims) > limits.max_dims:
        raise TensorError(
            f"{what} shape: expected at most {limits.max_dims} dimensions,"
            f" got {len(dims)}"
        )
    shape = []
    elements = 1
    for dim in dims:
        if type(dim) is not int or dim < 0:
            raise TensorError(
                f"{what} shape: expected integers of 0 or more, got something else"
            )
        shape.append(dim)
        elements *= dim or 1  # NumPy multiplies the others of a 0 all the same
    # The product may have more digits than Python prints.
    if elements > limits.max_elements:
        raise TensorError(
            f"{what} shape: expected at most {limits.max_elements} elements, got more"
        )
    return tuple(shape)


def _read_size(entry: Fields, what: str, left: int) -> int | None:
    parameters = tensor_json.read_parameters(entry, what)
    size = parameters.get("binary_data_size")
    if ("data" in entry) == (size is not None):
        got = "neither" if size is None else "both"
        raise TensorError(f"{what}: expected data or binary_data_size, got {got}")
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise TensorError(
            f"{what} binary_data_size: expected an integer of 0 or more,"
            " got something else"
        )
    if size > left:
        raise TensorError(
            f"{what} binary_data_size: expected at most the {left} bytes left, got more"
        )
    return size
