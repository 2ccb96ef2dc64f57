"""Writes ONNX graphs: values, the operators between them, loops."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from onnx import (
    GraphProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

from blindai.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

EXTENSIONS: Final = "ai.onnx.contrib"
VISION: Final = "com.microsoft.extensions"
Literal: TypeAlias = (
    "int | float | str | Sequence[int] | Sequence[str] | np.generic | NDArray[Any]"
)


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """Something that a graph computes.

    Attributes:
        graph: Where it is computed.
        name: Its name there.
    """

    graph: Graph
    name: str


Operand: TypeAlias = "Value | Literal | None"


@dataclass(slots=True, eq=False)
class Graph:
    """A graph, or the body of a loop, while it is written.

    Attributes:
        nodes: Its nodes so far.
        initializers: Its constants, those of the bodies in it too.
        domains: Which sets of operators it uses beside ONNX's own.
        infos: What is known of values that ONNX cannot tell by itself.
    """

    nodes: list[NodeProto] = field(default_factory=list)
    initializers: list[TensorProto] = field(default_factory=list)
    domains: set[str] = field(default_factory=set)
    infos: list[ValueInfoProto] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def op(self, kind: str, *inputs: Operand, **attributes: Any) -> Value:  # noqa: ANN401  as ONNX has them
        """The one output of an operator.

        Args:
            kind: Its name, `domain:Name` where it is not one of ONNX's own.
            inputs: Values and literals; None where an optional input is left out.
            attributes: Its attributes; `node` is the node's name.
        """
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(
        self,
        kind: str,
        outputs: int,
        *inputs: Operand,
        **attributes: Any,  # noqa: ANN401  as ONNX has them
    ) -> tuple[Value, ...]:
        """The first outputs of an operator; else as `op`."""
        domain, _, name = kind.rpartition(":")
        if domain:
            self.domains.add(domain)
        values = tuple(Value(self, self._name(name)) for _ in range(outputs))
        self.nodes.append(
            helper.make_node(
                name,
                ["" if each is None else self.value(each).name for each in inputs],
                [value.name for value in values],
                str(attributes.pop("node", values[0].name)),
                domain=domain,
                **attributes,
            )
        )
        return values

    def known(self, value: Value, kind: int, shape: Sequence[int | None]) -> Value:
        """Note the type and shape of a value, for operators that ONNX does not know."""
        self.infos.append(helper.make_tensor_value_info(value.name, kind, shape))
        return value

    def value(self, operand: Value | Literal) -> Value:
        """A value as it is, or a literal as a constant.

        Whole numbers of Python are INT64, others FP32, text is STRING; what is of
        NumPy keeps its type.
        """
        if isinstance(operand, Value):
            return operand
        array = np.asarray(operand)
        if not isinstance(operand, np.ndarray | np.generic) and array.dtype.kind == "f":
            array = array.astype(np.float32)
        tensor = numpy_helper.from_array(
            array.astype(object) if array.dtype.kind == "U" else array,
            self._name("constant"),
        )
        self.initializers.append(tensor)
        return Value(self, tensor.name)

    def require(self, value: Value, holds: Value, message: str) -> Value:
        """A value of any rank above 0, if a condition holds; else the run fails.

        Args:
            value: What is passed on.
            holds: A truth value, of one element.
            message: What was expected and what there was instead; the server tells it
                to the client. It cannot hold values.
        """
        shape = self.op("Shape", value)
        wrong = self.op("Sub", self.op("Mul", shape, 0), 2)
        shape = self.op("Where", self.op("Reshape", holds, [1]), shape, wrong)
        return self.op(
            "Reshape", value, shape, node=self.expecting(message), allowzero=1
        )

    def expecting(self, message: str) -> str:
        """The name of a node whose failure the server tells in these words."""
        return f"expect {next(self._numbers)}: {message}"

    def loop(
        self,
        times: Operand,
        carried: Sequence[tuple[Value | Literal, int]],
        step: Callable[[Graph, Value, tuple[Value, ...]], Sequence[Value]],
        given: Sequence[int] = (),
    ) -> tuple[Value, ...]:
        """A loop.

        Args:
            times: How often at most; None for no limit.
            carried: What goes from one step to the next: first values, and their types.
            step: Writes a step: from its graph, its number and what is carried to
                whether to go on, what is carried on, and what is given.
            given: The types of what each step gives, which is stacked.

        Returns:
            What was carried out of the last step, and what was given.

        Raises:
            ConfigurationError: If a step gives another number of values.
        """
        body = self._body()
        kinds = [TensorProto.INT64, TensorProto.BOOL, *(kind for _, kind in carried)]
        inputs = [Value(body, self._name("step")) for _ in kinds]
        results = step(body, inputs[0], tuple(inputs[2:]))
        kinds_out = [TensorProto.BOOL, *(kind for _, kind in carried), *given]
        if len(results) != len(kinds_out):
            raise ConfigurationError(
                f"loop: expected {len(kinds_out)} values of a step, got {len(results)}"
            )
        shapes = [(), (), *(None for _ in carried)]
        infos = list(map(_info, inputs, kinds, shapes))
        graph = self._end(body, infos, zip(results, kinds_out, strict=True))
        firsts = [first for first, _ in carried]
        condition = self.op("Cast", self.value(1), to=TensorProto.BOOL)
        return self.ops(
            "Loop", len(kinds_out) - 1, times, condition, *firsts, body=graph
        )

    def choose(
        self,
        holds: Value,
        kind: int,
        then: Callable[[Graph], Value],
        otherwise: Callable[[Graph], Value],
    ) -> Value:
        """One of two values; only the one that is chosen is computed.

        Args:
            holds: Which: a truth value, of one element.
            kind: The type of both.
            then: Writes the one where it holds.
            otherwise: Writes the other.
        """
        branches = []
        for write in (then, otherwise):
            body = self._body()
            branches.append(self._end(body, (), [(write(body), kind)]))
        holds = self.op("Reshape", holds, np.zeros(0, np.int64))
        return self.op("If", holds, then_branch=branches[0], else_branch=branches[1])

    def _body(self) -> Graph:
        return Graph(domains=self.domains, infos=self.infos, _numbers=self._numbers)

    def _end(
        self,
        body: Graph,
        inputs: Iterable[ValueInfoProto],
        results: Iterable[tuple[Value, int]],
    ) -> GraphProto:
        """The graph of a loop's or a choice's body; its constants become this one's."""
        given = [(body.op("Identity", value), kind) for value, kind in results]
        self.initializers.extend(body.initializers)
        return helper.make_graph(
            body.nodes,
            self._name("body"),
            list(inputs),
            [_info(*each) for each in given],
        )

    def _name(self, kind: str) -> str:
        return f"pipeline/{kind}_{next(self._numbers)}"


def _info(
    value: Value, kind: int, shape: tuple[int, ...] | None = None
) -> ValueInfoProto:
    return helper.make_tensor_value_info(value.name, kind, shape)
