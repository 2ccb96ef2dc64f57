"""A model's declaration of its tensors, in CBOR and back.

It is read by the process that judged a hostile file, so the server reads it as if the
file's maker had written it.
"""

from __future__ import annotations

from blindai.errors import ProtocolError
from blindai.inference.model import (
    MAX_NAME_CHARACTERS,
    MAX_TENSORS,
    ModelSpec,
    TensorSpec,
)
from blindai.protocol.datatypes import Datatype

_MAX_DIMENSIONS = 64
_MAX_SIZE = 1 << 63  # of one, as ONNX has it
_MALFORMED = "worker: expected a declaration of tensors, got another value"


def encode(spec: ModelSpec) -> dict[str, object]:
    """A declaration as a map."""
    return {
        "inputs": [_tensor(each) for each in spec.inputs],
        "outputs": [_tensor(each) for each in spec.outputs],
    }


def parse(value: object) -> ModelSpec:
    """A map as a declaration.

    Raises:
        ProtocolError: If it is not one.
    """
    match value:
        case {"inputs": list(inputs), "outputs": list(outputs)}:
            return ModelSpec(_parse_all(inputs), _parse_all(outputs))
        case _:
            raise ProtocolError(_MALFORMED)


def _tensor(spec: TensorSpec) -> list[object]:
    shape = None if spec.shape is None else list(spec.shape)
    return [spec.name, spec.datatype.value, shape]


def _parse_all(values: list[object]) -> tuple[TensorSpec, ...]:
    if len(values) > MAX_TENSORS:
        raise ProtocolError(_MALFORMED)
    return tuple(map(_parse_tensor, values))


def _parse_tensor(value: object) -> TensorSpec:
    match value:
        case [str(name), str(datatype), None] if _fits(name, datatype):
            return TensorSpec(name, Datatype(datatype), None)
        case [str(name), str(datatype), list(shape)] if (
            _fits(name, datatype)
            and len(shape) <= _MAX_DIMENSIONS
            and all(map(_is_dimension, shape))
        ):
            return TensorSpec(name, Datatype(datatype), tuple(shape))
    raise ProtocolError(_MALFORMED)


def _fits(name: str, datatype: str) -> bool:
    return _is_text(name) and datatype in Datatype.__members__


def _is_text(text: str) -> bool:
    """Whether it can be written in UTF-8: JSON also has halves of surrogate pairs."""
    half = any("\ud800" <= each <= "\udfff" for each in text)
    return len(text) <= MAX_NAME_CHARACTERS and not half


def _is_dimension(value: object) -> bool:
    return (
        value is None
        or (type(value) is int and 0 <= value < _MAX_SIZE)
        or (isinstance(value, str) and _is_text(value))
    )
