"""How large a model's tensors get, as far as its file says.

A few bytes can declare, or have a runtime compute, a tensor that no memory holds. What
is declared is added up here; what follows from it is inferred by ONNX's own shape
inference, as far as it goes without computing values: that of values as well can be
made to take any time and memory. What shows only in a run meets the worker's limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import shape_inference

from blindai.errors import ModelRefusedError
from blindai.inference.shown import shown, shown_dimensions, shown_node
from blindai.inference.weights import BITS, volume

if TYPE_CHECKING:
    from collections.abc import Iterable


def require_sparse(graphs: Iterable[onnx.GraphProto], max_bytes: int) -> None:
    """Require that sparse initializers fit as runtimes have them: written out.

    Raises:
        ModelRefusedError: If together they are larger than a tensor may be.
    """
    total = 0
    for graph in graphs:
        for tensor in graph.sparse_initializer:
            what = f"sparse tensor {shown(tensor.values.name)}"
            bits = BITS.get(tensor.values.data_type, max(BITS.values()))
            total += volume(what, tensor.dims) * bits // 8
            _require(what, total, tensor.dims, max_bytes)


def require_sizes(model: onnx.ModelProto, max_bytes: int, *, infer: bool) -> None:
    """Require that no tensor is declared, or inferred, to be larger than the limit.

    Args:
        model: The outline of one.
        max_bytes: The limit.
        infer: Whether to infer any.

    Raises:
        ModelRefusedError: If one is.
    """
    for kind, infos in (
        ("input", model.graph.input),
        ("output", model.graph.output),
        ("tensor", model.graph.value_info),
    ):
        for info in infos:
            _require_info(f"{kind} {shown(info.name)}", info, max_bytes)
    if not infer:
        return
    try:
        inferred = shape_inference.infer_shapes(model)
    except (shape_inference.InferenceError, RuntimeError, ValueError):
        return  # what is wrong with it, the runtime says better
    _require_graph(inferred.graph, max_bytes)


def _require_graph(graph: onnx.GraphProto, max_bytes: int) -> None:
    infos = {info.name: info for info in (*graph.value_info, *graph.output)}
    for node in graph.node:
        for name in node.output:
            if name in infos:
                _require_info(shown_node(node), infos[name], max_bytes)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _require_graph(inner, max_bytes)


def _require_info(what: str, info: onnx.ValueInfoProto, max_bytes: int) -> None:
    """Hold one tensor to the limit; symbols count as one element."""
    tensor = info.type.tensor_type
    sizes = [each.dim_value for each in tensor.shape.dim if each.dim_value > 0]
    bits = BITS.get(tensor.elem_type, 8)
    _require(what, volume(what, sizes) * bits // 8, sizes, max_bytes)


def _require(what: str, size: int, dimensions: Iterable[int], max_bytes: int) -> None:
    if size > max_bytes:
        raise ModelRefusedError(
            f"{what}: expected at most {max_bytes} bytes in a tensor, got"
            f" {size} for dimensions {shown_dimensions(dimensions)}"
        )
