"""Writes ONNX graphs by hand, shortly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Shape = Sequence[int | str]

FLOAT, STRING, UINT8 = TensorProto.FLOAT, TensorProto.STRING, TensorProto.UINT8
INT64 = TensorProto.INT64
_OPSETS = {"": 20, "ai.onnx.ml": 3}
_IR_VERSION = 10


def node(kind: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    """A node.

    Args:
        kind: The operator.
        inputs: The names of what it takes, separated by spaces.
        outputs: Likewise, of what it gives.
        attributes: Its attributes; `domain` is the operator's.
    """
    given: dict[str, Any] = attributes
    return helper.make_node(kind, inputs.split(), outputs.split(), **given)


def model(
    nodes: Iterable[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Shape]],
    outputs: Mapping[str, tuple[int, Shape]],
    constants: Mapping[str, NDArray[Any]],
) -> onnx.ModelProto:
    """A whole model, checked by ONNX's own checker.

    Args:
        nodes: In an order in which they can run.
        inputs: Type and shape of each, by name; a word stands for any size.
        outputs: Likewise.
        constants: The tensors that the nodes name, by name.
    """
    graph = helper.make_graph(
        list(nodes),
        "example",
        [helper.make_tensor_value_info(name, *each) for name, each in inputs.items()],
        [helper.make_tensor_value_info(name, *each) for name, each in outputs.items()],
        [onnx.numpy_helper.from_array(each, name) for name, each in constants.items()],
    )
    opsets = [helper.make_opsetid(*each) for each in _OPSETS.items()]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    onnx.checker.check_model(made, full_check=True)
    return made
