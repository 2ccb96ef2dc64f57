"""Writes ONNX graphs node by node: for models with a loop inside, which exporters unroll.

Weights belong to the whole model, wherever they are used: a loop's body sees those of
the graph around it, so they exist once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

OPSET = 23  # the first with Attention, RotaryEmbedding and RMSNormalization
_IR_VERSION = 11


def value(
    name: str, datatype: int = TensorProto.FLOAT, shape: Sequence[int | str] | None = None
) -> ValueInfoProto:
    """An input's or output's description; a name in its shape stands for any size."""
    return helper.make_tensor_value_info(name, datatype, shape)


@dataclass(slots=True)
class Graph:
    """Nodes as they are added, and the weights of the model they belong to.

    Attributes:
        nodes: In order.
        weights: By name; shared with the graph around this one.
        prefix: Of the names of this graph's tensors.
    """

    nodes: list[NodeProto] = field(default_factory=list)
    weights: dict[str, TensorProto] = field(default_factory=dict)
    prefix: str = ""

    def inside(self, prefix: str) -> Graph:
        """An empty graph that sees this one's tensors."""
        return Graph([], self.weights, f"{self.prefix}{prefix}/")

    def op(self, operator: str, *inputs: str, **attributes: object) -> str:
        """Add a node with one output; gives that output's name."""
        return self.ops(operator, *inputs, outputs=1, **attributes)[0]

    def ops(
        self, operator: str, *inputs: str, outputs: int, **attributes: object
    ) -> list[str]:
        """Add a node with several outputs; `Domain::Name` names another domain."""
        domain, _, name = operator.rpartition("::")
        stem = f"{self.prefix}{name}_{len(self.nodes)}"
        names = [stem] + [f"{stem}.{index}" for index in range(1, outputs)]
        node = helper.make_node(name, list(inputs), names, domain=domain, **attributes)
        self.nodes.append(node)
        return names

    def weight(self, name: str, values: object) -> str:
        """Add a weight under its own name; gives the name."""
        self.weights[name] = numpy_helper.from_array(np.asarray(values), name)
        return name

    def integers(self, *values: int) -> str:
        """A vector of int64, once for each content."""
        name = "ints_" + "_".join(map(str, values)).replace("-", "m")
        return self.weight(name, np.array(values, np.int64))

    def scalar(self, number: float, datatype: type[np.generic] = np.int64) -> str:
        """A number without dimensions."""
        name = f"{np.dtype(datatype).name}_{number}".replace("-", "m")
        return self.weight(name, np.array(number, datatype))

    def empty(self, datatype: int, *shape: str | int, fill: float = 0) -> str:
        """A tensor of one number; a dimension is an int, or the name of a [1] tensor."""
        sizes = [self.integers(s) if isinstance(s, int) else s for s in shape]
        filled = helper.make_tensor("value", datatype, [1], [fill])
        whole = self.op("Concat", *sizes, axis=0) if sizes else self.integers()
        return self.op("ConstantOfShape", whole, value=filled)

    def loop(
        self, body: GraphProto, trips: str, going: str, carried: Sequence[str]
    ) -> list[str]:
        """Add a loop; gives its final states, and what each round gave, stacked."""
        outputs = len(body.output) - 1
        return self.ops("Loop", trips, going, *carried, outputs=outputs, body=body)

    def as_body(
        self, takes: Sequence[ValueInfoProto], gives: Sequence[ValueInfoProto]
    ) -> GraphProto:
        """These nodes as the body of a loop."""
        return helper.make_graph(self.nodes, self.prefix.strip("/"), takes, gives)

    def named(self, tensor: str, name: str) -> None:
        """Give a tensor the name of an output."""
        self.nodes.append(helper.make_node("Identity", [tensor], [name]))

    def model(
        self,
        name: str,
        takes: Sequence[ValueInfoProto],
        gives: Sequence[ValueInfoProto],
        about: Mapping[str, str],
    ) -> ModelProto:
        """These nodes as a model; `about` is kept in it as metadata."""
        graph = helper.make_graph(
            self.nodes, name, takes, gives, list(self.weights.values())
        )
        domains = {node.domain for node in _all_nodes(graph)} - {""}
        opsets = [helper.make_opsetid("", OPSET)]
        opsets += [helper.make_opsetid(domain, 1) for domain in sorted(domains)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        helper.set_model_props(made, dict(about))
        return made


def _all_nodes(graph: GraphProto) -> list[NodeProto]:
    nodes = []
    for node in graph.node:
        nodes.append(node)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                nodes += _all_nodes(attribute.g)
    return nodes
