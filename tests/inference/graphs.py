"""ONNX models that run, for tests of what runs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from blindai.protocol.tensor import Tensor

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
BFLOAT16, BOOL = TensorProto.BFLOAT16, TensorProto.BOOL
Shape = Sequence[int | str | None] | None
FOR_EVER = [Tensor.of("n", np.array(1 << 60))]
"""What `endless` counts for longer than any test."""


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Shape]],
    outputs: Mapping[str, tuple[int, Shape]],
    initializers: Iterable[TensorProto] = (),
) -> onnx.ModelProto:
    """A model by its parts."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        list(initializers),
    )
    opset = helper.make_opsetid("", 20)
    return helper.make_model(graph, ir_version=10, opset_imports=[opset])


def identity(kind: int = FLOAT, shape: Shape = ("n",)) -> onnx.ModelProto:
    """`y` is `x`."""
    node = helper.make_node("Identity", ["x"], ["y"])
    return model([node], {"x": (kind, shape)}, {"y": (kind, shape)})


def add(value: float = 1.0) -> onnx.ModelProto:
    """`y` is `x` plus a number, FP32, (n, 4)."""
    kind: tuple[int, Shape] = (FLOAT, ["n", 4])
    node = helper.make_node("Add", ["x", "w"], ["y"])
    weight = helper.make_tensor("w", FLOAT, [1], [value])
    return model([node], {"x": kind}, {"y": kind}, [weight])


def repeated() -> onnx.ModelProto:
    """`y` is `x` n times over, FP32: a little in, as much as is wanted out."""
    return model(
        [helper.make_node("Tile", ["x", "n"], ["y"])],
        {"x": (FLOAT, ["m"]), "n": (INT64, [1])},
        {"y": (FLOAT, ["k"])},
    )


def lookup() -> onnx.ModelProto:
    """`y` is the row of a table at `x`: fails where there is none."""
    table = helper.make_tensor("table", FLOAT, [2], [1, 2])
    node = helper.make_node("Gather", ["table", "x"], ["y"])
    return model([node], {"x": (INT64, ["n"])}, {"y": (FLOAT, ["n"])}, [table])


def endless() -> onnx.ModelProto:
    """Counts to `n`, one by one."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["still_on"]),
            helper.make_node("Add", ["sum", "one"], ["next_sum"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("on", BOOL, []),
            helper.make_tensor_value_info("sum", FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("still_on", BOOL, []),
            helper.make_tensor_value_info("next_sum", FLOAT, []),
        ],
    )
    loop = helper.make_node("Loop", ["n", "", "zero"], ["y"], body=body)
    constants = [
        helper.make_tensor("one", FLOAT, [], [1.0]),
        helper.make_tensor("zero", FLOAT, [], [0.0]),
    ]
    return model([loop], {"n": (INT64, [])}, {"y": (FLOAT, [])}, constants)


def slow() -> onnx.ModelProto:
    """The largest of each 255 by 255: one operator, which nothing stops."""
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[255, 255])
    kind: tuple[int, Shape] = (FLOAT, [1, 1, "h", "w"])
    return model([node], {"x": kind}, {"y": (FLOAT, [1, 1, "v", "u"])})
