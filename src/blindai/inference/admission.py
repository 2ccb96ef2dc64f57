"""What an ONNX file says about itself, and whether it may be loaded.

A model is hostile code's cousin. It is admitted by its outline, before a runtime sees
it, and refused if it reaches outside itself (external data, custom operators), if a
request could not be put in the words of the protocol, or if it passes a limit.

Graph inputs that are initializers as well are defaults: they are no part of the spec,
and no request can replace them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import (  # type: ignore[import-untyped]  # none shipped
    DecodeError,
    Message,
)
from onnx import TensorProto

from blindai.errors import ModelRefusedError
from blindai.inference.model import Dimension, ModelSpec, TensorSpec
from blindai.inference.outline import outline
from blindai.protocol.datatypes import Datatype

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    _Operator = tuple[str, str]  # domain, name

_ONNX_DOMAINS = ("", "ai.onnx")
_DOMAINS = (*_ONNX_DOMAINS, "ai.onnx.ml", "com.microsoft")
_OPSETS = range(7, onnx.defs.onnx_opset_version() + 1)
_IR_VERSIONS = range(3, onnx.IR_VERSION + 1)
_MAX_CALL_DEPTH = 100
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """What admitting a model may cost.

    Attributes:
        max_nodes: Nodes, those of subgraphs too, with every function written out at
            each of its calls.
        max_initializers: Initializers, those of subgraphs too.
        max_outline_bytes: The file without the data of tensors. In memory it takes up
            to some forty times as much.
        max_messages: Protobuf messages and fields that are looked at.
    """

    max_nodes: int = 100_000
    max_initializers: int = 100_000
    max_outline_bytes: int = 32 << 20
    max_messages: int = 2_000_000


def admit(contents: memoryview, limits: AdmissionLimits) -> ModelSpec:
    """Read what a model takes and gives, and refuse one that may not be loaded.

    Args:
        contents: The ONNX file, in any quality.
        limits: What reading it may cost.

    Raises:
        ModelRefusedError: If the file is not an ONNX model, reaches outside itself,
            uses what this server does not have, or passes a limit.
    """
    model = _parse(contents, limits)
    functions = _Functions(model.functions)
    _require_versions(model)
    _require_parts(model, functions, limits)
    _require_at_most("nodes", limits.max_nodes, functions.count(model.graph.node))
    return _spec(model.graph)


def _parse(contents: memoryview, limits: AdmissionLimits) -> onnx.ModelProto:
    outlined = outline(
        contents,
        max_bytes=limits.max_outline_bytes,
        max_fields=limits.max_messages,
    )
    model = onnx.ModelProto()
    try:
        model.ParseFromString(outlined)
    except DecodeError as error:
        raise ModelRefusedError(
            "ONNX file: expected a protobuf message, got other bytes"
        ) from error
    if not model.graph.node or not model.graph.output:
        raise ModelRefusedError(
            "graph: expected at least one node and one output,"
            f" got {len(model.graph.node)} and {len(model.graph.output)}"
        )
    return model


def _require_versions(model: onnx.ModelProto) -> None:
    if model.ir_version not in _IR_VERSIONS:
        raise ModelRefusedError(
            f"IR version: expected {_IR_VERSIONS[0]} to {_IR_VERSIONS[-1]},"
            f" got {model.ir_version}"
        )
    opsets = [*model.opset_import]
    for function in model.functions:
        opsets.extend(function.opset_import)
    if not any(opset.domain in _ONNX_DOMAINS for opset in model.opset_import):
        raise ModelRefusedError("opset: expected a version of ai.onnx, got none")
    for opset in opsets:
        if opset.domain in _ONNX_DOMAINS and opset.version not in _OPSETS:
            raise ModelRefusedError(
                f"opset: expected ai.onnx {_OPSETS[0]} to {_OPSETS[-1]},"
                f" got {opset.version}"
            )


def _require_parts(
    model: onnx.ModelProto, functions: _Functions, limits: AdmissionLimits
) -> None:
    initializers = 0
    for number, message in enumerate(_messages(model)):
        _require_at_most("messages", limits.max_messages, number)
        match message:
            case onnx.NodeProto():
                _require_operator(message, functions)
            case onnx.TensorProto():
                _require_own_data(message)
            case onnx.GraphProto():
                _require_at_most("nodes", limits.max_nodes, len(message.node))
                initializers += len(message.initializer)
                initializers += len(message.sparse_initializer)
                _require_at_most("initializers", limits.max_initializers, initializers)
            case _:
                pass


def _require_at_most(what: str, limit: int, count: int) -> None:
    if count > limit:
        raise ModelRefusedError(f"{what}: expected at most {limit}, got {count}")


def _messages(root: Message) -> Iterator[Message]:
    """A message and all messages in it, whatever fields they are in."""
    stack = [iter((root,))]
    while stack:
        message = next(stack[-1], None)
        if message is None:
            stack.pop()
            continue
        yield message
        stack.append(_children(message))


def _children(message: Message) -> Iterator[Message]:
    for _, value in message.ListFields():
        if isinstance(value, Message):
            yield value
        elif not isinstance(value, (int, float, str, bytes)):
            yield from (child for child in value if isinstance(child, Message))


def _require_operator(node: onnx.NodeProto, functions: _Functions) -> None:
    operator = _operator(node.domain, node.op_type)
    if node.domain not in _DOMAINS and operator not in functions:
        raise ModelRefusedError(
            f"node {node.name!r} ({node.op_type}): expected an operator of ai.onnx,"
            " ai.onnx.ml or com.microsoft, or a function of the model,"
            f" got domain {node.domain!r}"
        )


def _require_own_data(tensor: TensorProto) -> None:
    if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
        raise ModelRefusedError(
            f"tensor {tensor.name!r}: expected its data in the ONNX file,"
            " got external data"
        )


class _Functions:
    """The model's own functions, and how many nodes a call of one stands for.

    A runtime writes functions out. A few that call one another can ask for more nodes
    than memory holds. Overloads are counted together, as runtimes may not tell them
    apart.
    """

    def __init__(self, functions: Iterable[onnx.FunctionProto]) -> None:
        self._bodies: dict[_Operator, list[onnx.NodeProto]] = {}
        self._sizes: dict[_Operator, int] = {}
        for function in functions:
            operator = _operator(function.domain, function.name)
            self._bodies.setdefault(operator, []).extend(function.node)

    def __contains__(self, operator: _Operator) -> bool:
        return operator in self._bodies

    def count(self, nodes: Iterable[onnx.NodeProto], depth: int = 0) -> int:
        """Count nodes, those of subgraphs and of called functions among them.

        Raises:
            ModelRefusedError: If calls are nested too deeply, or without end.
        """
        if depth > _MAX_CALL_DEPTH:
            raise ModelRefusedError(
                f"functions: expected at most {_MAX_CALL_DEPTH} calls in one another"
            )
        messages = (message for node in nodes for message in _messages(node))
        found = [node for node in messages if isinstance(node, onnx.NodeProto)]
        calls = (_operator(node.domain, node.op_type) for node in found)
        return len(found) + sum(
            self._size(call, depth) for call in calls if call in self
        )

    def _size(self, call: _Operator, depth: int) -> int:
        if call not in self._sizes:
            self._sizes[call] = self.count(self._bodies[call], depth + 1)
        return self._sizes[call]


def _operator(domain: str, name: str) -> _Operator:
    return ("" if domain == "ai.onnx" else domain), name


def _spec(graph: onnx.GraphProto) -> ModelSpec:
    defaults = {tensor.name for tensor in graph.initializer}
    defaults |= {tensor.values.name for tensor in graph.sparse_initializer}
    required = [info for info in graph.input if info.name not in defaults]
    return ModelSpec(_specs("input", required), _specs("output", graph.output))


def _require_text(what: str, text: object) -> None:
    # Protobuf gives bytes for a string that is not UTF-8.
    if not isinstance(text, str):
        raise ModelRefusedError(f"{what}: expected UTF-8, got other bytes")


# What requests may name (protocol.tensor.Limits and tensor_json).
_MAX_TENSORS = 64
_MAX_NAME_CHARACTERS = 1024


def _specs(kind: str, infos: Sequence[onnx.ValueInfoProto]) -> tuple[TensorSpec, ...]:
    if len(infos) > _MAX_TENSORS:
        raise ModelRefusedError(
            f"{kind}s: expected at most {_MAX_TENSORS}, got {len(infos)}"
        )
    names = Counter(info.name for info in infos)
    for name, count in names.items():
        _require_text(f"name of an {kind}", name)
        if len(name) > _MAX_NAME_CHARACTERS:
            raise ModelRefusedError(
                f"name of an {kind}: expected at most {_MAX_NAME_CHARACTERS} "
                f"characters, got {len(name)}"
            )
        if not name or count > 1:
            raise ModelRefusedError(
                f"{kind}s: expected each name once, got {name!r} {count} times"
            )
    return tuple(_tensor_spec(kind, info) for info in infos)


def _tensor_spec(kind: str, info: onnx.ValueInfoProto) -> TensorSpec:
    if info.type.WhichOneof("value") != "tensor_type":
        raise ModelRefusedError(
            f"{kind} {info.name!r}: expected a tensor,"
            f" got {info.type.WhichOneof('value')}"
        )
    tensor = info.type.tensor_type
    if tensor.elem_type not in _DATATYPES:
        raise ModelRefusedError(
            f"{kind} {info.name!r}: expected a type that the protocol has a name for,"
            f" got ONNX type {tensor.elem_type}"
        )
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(_dimension(dimension) for dimension in tensor.shape.dim)
    return TensorSpec(info.name, _DATATYPES[tensor.elem_type], shape)


def _dimension(dimension: onnx.TensorShapeProto.Dimension) -> Dimension:
    """A size or a symbol; exporters write "any" as no symbol, or a negative size."""
    _require_text("symbol of a dimension", dimension.dim_param)
    if dimension.HasField("dim_value"):
        return dimension.dim_value if dimension.dim_value >= 0 else None
    return dimension.dim_param or None
