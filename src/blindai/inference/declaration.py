"""What a model says it takes and gives, in the words of the protocol."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from onnx import TensorProto

from blindai.errors import ModelRefusedError
from blindai.inference.model import (
    MAX_NAME_CHARACTERS,
    MAX_TENSORS,
    Dimension,
    ModelSpec,
    TensorSpec,
)
from blindai.inference.shown import shown
from blindai.inference.weights import MAX_DIMENSIONS
from blindai.protocol.datatypes import Datatype

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

_DATATYPES: dict[int, Datatype] = {
    TensorProto.BOOL: Datatype.BOOL,
    TensorProto.UINT8: Datatype.UINT8,
    TensorProto.UINT16: Datatype.UINT16,
    TensorProto.UINT32: Datatype.UINT32,
    TensorProto.UINT64: Datatype.UINT64,
    TensorProto.INT8: Datatype.INT8,
    TensorProto.INT16: Datatype.INT16,
    TensorProto.INT32: Datatype.INT32,
    TensorProto.INT64: Datatype.INT64,
    TensorProto.FLOAT16: Datatype.FP16,
    TensorProto.FLOAT: Datatype.FP32,
    TensorProto.DOUBLE: Datatype.FP64,
    TensorProto.BFLOAT16: Datatype.BF16,
    TensorProto.STRING: Datatype.BYTES,
}


def declared(graph: onnx.GraphProto) -> ModelSpec:
    """A graph's inputs and outputs.

    Graph inputs that are initializers as well are defaults: they are no part of the
    declaration, and no request can replace them.

    Raises:
        ModelRefusedError: If a request could not be put in the words of the protocol.
    """
    defaults = {tensor.name for tensor in graph.initializer}
    defaults |= {tensor.values.name for tensor in graph.sparse_initializer}
    required = [info for info in graph.input if info.name not in defaults]
    return ModelSpec(_specs("input", required), _specs("output", graph.output))


def _require_name(what: str, text: object) -> None:
    # Protobuf gives bytes for a string that is not UTF-8.
    if not isinstance(text, str):
        raise ModelRefusedError(f"{what}: expected UTF-8, got other bytes")
    if len(text) > MAX_NAME_CHARACTERS:
        raise ModelRefusedError(
            f"{what}: expected at most {MAX_NAME_CHARACTERS} characters,"
            f" got {len(text)}"
        )


def _specs(kind: str, infos: Sequence[onnx.ValueInfoProto]) -> tuple[TensorSpec, ...]:
    if len(infos) > MAX_TENSORS:
        raise ModelRefusedError(
            f"{kind}s: expected at most {MAX_TENSORS}, got {len(infos)}"
        )
    names = Counter(info.name for info in infos)
    for name, count in names.items():
        _require_name(f"name of an {kind}", name)
        if not name or count > 1:
            raise ModelRefusedError(
                f"{kind}s: expected each name once, got {shown(name)} {count} times"
            )
    return tuple(_tensor_spec(kind, info) for info in infos)


def _tensor_spec(kind: str, info: onnx.ValueInfoProto) -> TensorSpec:
    what = f"{kind} {shown(info.name)}"
    if info.type.WhichOneof("value") != "tensor_type":
        raise ModelRefusedError(
            f"{what}: expected a tensor, got {info.type.WhichOneof('value')}"
        )
    tensor = info.type.tensor_type
    if tensor.elem_type not in _DATATYPES:
        raise ModelRefusedError(
            f"{what}: expected a type that the protocol has a name for,"
            f" got ONNX type {tensor.elem_type}"
        )
    if len(tensor.shape.dim) > MAX_DIMENSIONS:
        raise ModelRefusedError(
            f"{what}: expected at most {MAX_DIMENSIONS} dimensions,"
            f" got {len(tensor.shape.dim)}"
        )
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(_dimension(dimension) for dimension in tensor.shape.dim)
    return TensorSpec(info.name, _DATATYPES[tensor.elem_type], shape)


def _dimension(dimension: onnx.TensorShapeProto.Dimension) -> Dimension:
    """A size or a symbol; exporters write "any" as no symbol, or a negative size."""
    _require_name("symbol of a dimension", dimension.dim_param)
    if dimension.HasField("dim_value"):
        return dimension.dim_value if dimension.dim_value >= 0 else None
    return dimension.dim_param or None
