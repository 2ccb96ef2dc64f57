"""Models to measure with: small ones, and ones of known networks' sizes and work.

Weights are random: only shapes and operations matter here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

IMAGE = (1, 3, 224, 224)


def reduction(shape: tuple[int | str, ...]) -> bytes:
    """The largest of a float32 tensor of a shape; a name stands for any size."""
    nodes = [helper.make_node("ReduceMax", ["x"], ["y"], keepdims=0)]
    return file_of(model(nodes, shape, (), []))


@dataclass(slots=True)
class Graph:
    """Nodes and weights, as they are drawn."""

    random: np.random.Generator
    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        """Add a node; gives the name of its output."""
        output = f"t{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(
                operator,
                list(inputs),
                [output],
                **attributes,  # type: ignore[arg-type]  # typed as make_node's own
            )
        )
        return output

    def weight(self, *shape: int) -> str:
        """Add a weight of a shape; gives its name."""
        scale = (2 / max(1, int(np.prod(shape[1:])))) ** 0.5
        values = self.random.standard_normal(shape).astype(np.float32) * scale
        return self.constant(values.astype(np.float32))

    def constant(self, values: object) -> str:
        """Add values; gives their name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def convolution(
        self, x: str, channels: tuple[int, int], size: int, stride: int
    ) -> str:
        """A convolution with bias, as batch normalisation leaves it when folded in."""
        before, after = channels
        weight, bias = self.weight(after, before, size, size), self.weight(after)
        pads = [size // 2] * 4
        return self.add("Conv", x, weight, bias, strides=[stride] * 2, pads=pads)

    def block(self, x: str, channels: tuple[int, int], stride: int) -> str:
        """A basic residual block of two convolutions."""
        _, after = channels
        y = self.add("Relu", self.convolution(x, channels, 3, stride))
        y = self.convolution(y, (after, after), 3, 1)
        if stride != 1 or channels[0] != after:
            x = self.convolution(x, channels, 1, stride)
        return self.add("Relu", self.add("Add", x, y))


def linear(seed: int = 0) -> bytes:
    """Four numbers in, four out: one matrix and a bias."""
    graph = Graph(np.random.default_rng(seed))
    product = graph.add("MatMul", "x", graph.weight(4, 4))
    graph.nodes.append(helper.make_node("Add", [product, graph.weight(4)], ["y"]))
    return file_of(model(graph.nodes, (1, 4), (1, 4), graph.weights))


def mean(shape: tuple[int, ...]) -> bytes:
    """The mean of a float32 tensor of a shape."""
    nodes = [helper.make_node("ReduceMean", ["x"], ["m"], keepdims=0)]
    one = numpy_helper.from_array(np.array([1], np.int64), "one")
    nodes.append(helper.make_node("Reshape", ["m", "one"], ["y"]))
    return file_of(model(nodes, shape, (1,), [one]))


def resnet18() -> bytes:
    """ResNet-18 (He and others 2015, table 1): 11.7 million weights, 1.8 GMAC."""
    graph = Graph(np.random.default_rng(18))
    x = graph.add("Relu", graph.convolution("x", (3, 64), 7, 2))
    x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    before = 64
    for after in (64, 128, 256, 512):
        x = graph.block(x, (before, after), 1 if after == before else 2)
        x = graph.block(x, (after, after), 1)
        before = after
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    x = graph.add("MatMul", x, graph.weight(512, 1000))
    graph.nodes.append(helper.make_node("Add", [x, graph.weight(1000)], ["y"]))
    return file_of(model(graph.nodes, IMAGE, (1, 1000), graph.weights))


def weights_of(size_bytes: int) -> bytes:
    """A model whose file is about one big weight."""
    values = np.zeros((size_bytes // 4096, 1024), np.float32)
    weight = numpy_helper.from_array(values, "w")
    nodes = [helper.make_node("Gather", ["w", "i"], ["y"])]
    index = helper.make_tensor_value_info("i", TensorProto.INT64, [1])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1024])
    graph = helper.make_graph(nodes, "weights", [index], [output], [weight])
    return file_of(_versioned(graph))


def model(
    nodes: list[NodeProto],
    takes: tuple[int | str, ...],
    gives: tuple[int, ...],
    weights: list[TensorProto],
    datatype: int = TensorProto.FLOAT,
) -> ModelProto:
    """A model with one input `x` and one output `y`, float32 if not said otherwise."""
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info("x", datatype, takes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, gives)],
        weights,
    )
    return _versioned(graph)


def file_of(made: ModelProto) -> bytes:
    """The bytes of a model's file."""
    return bytes(made.SerializeToString())


def _versioned(graph: GraphProto) -> ModelProto:
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10)
