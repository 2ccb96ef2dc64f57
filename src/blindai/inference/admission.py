"""What an ONNX file says about itself, and whether it may be loaded.

A model is hostile code's cousin. It is admitted by its outline, before a runtime sees
it, and refused if it reaches outside itself (external data, custom operators), if a
request could not be put in the words of the protocol, or if it passes a limit. Refusals
name the node or tensor, and why.

    1. the file in the wire format, under limits              outline, protocol.bundle
    2. versions, domains, operators, nodes, depth             here, functions
    3. the data of tensors: there, and of their dimensions    weights
    4. how large tensors get                                  sizes
    5. inputs and outputs in the protocol's words             declaration
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import onnx
from google.protobuf.message import (  # type: ignore[import-untyped]  # none shipped
    DecodeError,
)

from blindai.errors import ModelRefusedError
from blindai.inference import extensions
from blindai.inference.declaration import declared
from blindai.inference.functions import Functions, messages, operator
from blindai.inference.outline import outline
from blindai.inference.shown import shown, shown_node
from blindai.inference.sizes import require_sizes, require_sparse
from blindai.inference.weights import Files, is_external, require_data
from blindai.protocol.bundle import Bundle, is_bundle, parse_bundle

if TYPE_CHECKING:
    from blindai.inference.admission_limits import AdmissionLimits
    from blindai.inference.model import ModelSpec

_ONNX_DOMAINS: Final = ("", "ai.onnx")
_DOMAINS: Final = (*_ONNX_DOMAINS, "ai.onnx.ml", "com.microsoft")
# It names a file, or holds what some accelerator runs, which no limit here is about.
_REFUSED: Final = {("com.microsoft", "EPContext")}
_OPSETS: Final = range(7, onnx.defs.onnx_opset_version() + 1)
_ML_OPSETS: Final = range(1, onnx.helper.VERSION_TABLE[-1][3] + 1)
_IR_VERSIONS: Final = range(3, onnx.IR_VERSION + 1)


def admit(contents: memoryview, limits: AdmissionLimits) -> ModelSpec:
    """Read what a model takes and gives, and refuse one that may not be loaded.

    Args:
        contents: The ONNX file, or the bundle of it, in any quality.
        limits: What reading it may cost.

    Raises:
        ModelRefusedError: If the file is not an ONNX model, reaches outside itself,
            uses what this server does not have, or passes a limit.
    """
    bundle = parse_bundle(contents) if is_bundle(contents) else Bundle(contents, {})
    model = _parse(bundle.model, limits)
    functions = Functions(model.functions)
    _require_versions(model)
    files = Files({name: len(data) for name, data in bundle.files.items()})
    _require_parts(model, functions, files, limits)
    files.require_all_asked(sum(map(is_external, model.graph.initializer)))
    _require_at_most("nodes", limits.max_nodes, functions.count(model.graph.node))
    spec = declared(model.graph)
    require_sizes(model, limits.max_tensor_bytes, infer=limits.infer)
    return spec


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
    if not any(opset.domain in _ONNX_DOMAINS for opset in model.opset_import):
        raise ModelRefusedError("opset: expected a version of ai.onnx, got none")
    for part in (model, *model.functions):
        domains = Counter(operator(each.domain, "")[0] for each in part.opset_import)
        for domain, count in domains.items():
            if count > 1:
                raise ModelRefusedError(
                    f"opset: expected one version of a domain, got {count} of"
                    f" {shown(domain or 'ai.onnx')}"
                )
        for opset in part.opset_import:
            _require_opset(opset)


def _require_opset(opset: onnx.OperatorSetIdProto) -> None:
    known = {"": _OPSETS, "ai.onnx": _OPSETS, "ai.onnx.ml": _ML_OPSETS}
    versions = known.get(opset.domain)
    if versions is not None and opset.version not in versions:
        raise ModelRefusedError(
            f"opset: expected {opset.domain or 'ai.onnx'} {versions[0]} to"
            f" {versions[-1]}, got {opset.version}"
        )


def _require_parts(
    model: onnx.ModelProto,
    functions: Functions,
    files: Files,
    limits: AdmissionLimits,
) -> None:
    initializers = 0
    graphs = []
    for number, message in enumerate(messages(model)):
        _require_at_most("messages", limits.max_messages, number)
        match message:
            case onnx.NodeProto():
                _require_operator(message, functions, limits)
            case onnx.TensorProto():
                _require_own_data(message, files)
            case onnx.GraphProto():
                graphs.append(message)
                _require_at_most("nodes", limits.max_nodes, len(message.node))
                initializers += len(message.initializer)
                initializers += len(message.sparse_initializer)
                _require_at_most("initializers", limits.max_initializers, initializers)
            case _:
                pass
    require_sparse(graphs, limits.max_tensor_bytes)


def _require_at_most(what: str, limit: int, count: int) -> None:
    if count > limit:
        raise ModelRefusedError(f"{what}: expected at most {limit}, got {count}")


def _require_operator(
    node: onnx.NodeProto, functions: Functions, limits: AdmissionLimits
) -> None:
    name = operator(node.domain, node.op_type)
    if (node.domain in _DOMAINS and name not in _REFUSED) or name in functions:
        return
    if node.domain in extensions.DOMAINS:
        _require_extension(node, limits)
        return
    raise ModelRefusedError(
        f"{shown_node(node)}: expected an operator of"
        " ai.onnx, ai.onnx.ml or com.microsoft, or a function of the model,"
        f" got domain {shown(node.domain)}"
    )


def _require_extension(node: onnx.NodeProto, limits: AdmissionLimits) -> None:
    """Require that an operator of onnxruntime-extensions may run here.

    Raises:
        ModelRefusedError: If it may not.
    """
    if not limits.extensions:
        raise ModelRefusedError(
            f"{shown_node(node)}: expected extensions = true in the measured"
            f" configuration for operators of {node.domain}, got false"
        )
    if node.op_type in extensions.ENDS_PROCESS and not limits.own_process:
        raise ModelRefusedError(
            f'{shown_node(node)}: expected isolation = "process" for an operator that'
            " ends its process where data is malformed, got threads of the enclave's"
        )


def _require_own_data(tensor: onnx.TensorProto, files: Files) -> None:
    if is_external(tensor):
        files.require(tensor)
    else:
        require_data(tensor)
