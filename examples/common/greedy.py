"""The loop of greedy generation, as a part of an ONNX graph.

Its first round reads all that is given, each further one the token before it. Keys and
values of attention are carried from round to round. It ends when each row of a batch
has come to its stop token, or after a number of rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from onnx import TensorProto

from examples.common.graph import Graph, value

if TYPE_CHECKING:
    from onnx import GraphProto

_NEVER = -1e9  # added to the score of what may not be looked at
_END = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Round:
    """What a network is given in a round: names of tensors.

    Attributes:
        number: From 0 on; int64 without dimensions.
        now: Tokens that are new, int64 (batch, new).
        places: Their positions, int64 (batch, new).
        bias: What is added to attention's scores, float32 (batch, 1, new, so far).
        kept: Keys and values of the rounds before, a key and a value for each layer,
            float32 (batch, heads, before, head).
    """

    number: str
    now: str
    places: str
    bias: str
    kept: list[str]


class Network(Protocol):
    """What is run in each round."""

    @property
    def cache(self) -> tuple[int, int, int]:
        """Layers, heads and numbers in a head of what is kept."""

    def step(self, graph: Graph, given: Round) -> tuple[str, list[str]]:
        """Add a round's nodes.

        Returns:
            The score of each token to be the next one, float32 (batch, vocabulary), and
            `kept` with the new tokens' added.
        """


def generate(  # noqa: PLR0913  what a loop is given
    graph: Graph, network: Network, ids: str, mask: str, max_tokens: str, stop: int
) -> str:
    """Add a loop that generates; gives the tokens that follow, int64 (batch, tokens).

    After a row's stop token come stop tokens, until the longest row is done.

    Args:
        graph: Where to.
        network: What is run in each round.
        ids: Tokens, padded on the left, int64 (batch, tokens).
        mask: 0 for padding, 1 for what is not, int64 (batch, tokens).
        max_tokens: The most that follow, int64 without dimensions.
        stop: The token after which nothing follows.
    """
    layers, heads, head = network.cache
    batch = graph.op("Shape", ids, start=0, end=1)
    done = graph.op("Cast", graph.empty(TensorProto.INT64, batch), to=TensorProto.BOOL)
    none = graph.empty(TensorProto.FLOAT, batch, heads, 0, head)
    going = graph.weight("going", np.array(True))  # noqa: FBT003  a tensor's content
    carried = [ids, mask, done, *[none] * (2 * layers)]
    body = _body(graph.inside("step"), network, stop)
    return graph.op("Transpose", graph.loop(body, max_tokens, going, carried)[-1], perm=[1, 0])


def _body(step: Graph, network: Network, stop: int) -> GraphProto:
    layers, heads, head = network.cache
    int64, boolean = TensorProto.INT64, TensorProto.BOOL
    kept = [f"{kind}{layer}" for layer in range(layers) for kind in "kv"]
    shape = ["batch", heads, None, head]
    places, bias = _seen(step)
    scores, keep = network.step(step, Round("round", "now", places, bias, kept))
    best = step.op("ArgMax", scores, axis=1, keepdims=0)
    best = step.op("Where", "done", step.scalar(stop), best)
    finished = step.op("Or", "done", step.op("Equal", best, step.scalar(stop)))
    all_done = step.op("ReduceMin", step.op("Cast", finished, to=int64), keepdims=0)
    column = step.op("Unsqueeze", best, step.integers(1))
    one = step.op("Expand", step.scalar(1), step.op("Shape", column))
    longer = step.op("Concat", "seen", one, axis=1)
    more = step.op("Not", step.op("Cast", all_done, to=boolean))
    takes = [
        value("round", int64, []),
        value("more", boolean, []),
        value("now", int64, ["batch", None]),
        value("seen", int64, ["batch", None]),
        value("done", boolean, ["batch"]),
        *[value(name, shape=shape) for name in kept],
    ]
    gives = [
        value(more, boolean, []),
        value(column, int64, ["batch", None]),
        value(longer, int64, ["batch", None]),
        value(finished, boolean, ["batch"]),
        *[value(name, shape=shape) for name in keep],
        value(best, int64, ["batch"]),
    ]
    return step.as_body(takes, gives)


def _seen(step: Graph) -> tuple[str, str]:
    """Positions of the new tokens, and what each of them may look at."""
    one = step.scalar(1)
    counted = step.op("CumSum", "seen", one)  # padding does not count
    places = step.op("Max", step.op("Sub", counted, one), step.scalar(0))
    first = step.op("Neg", step.op("Shape", "now", start=1, end=2))
    end = step.integers(_END)
    places = step.op("Slice", places, first, end, step.integers(1))
    total = step.op("Squeeze", step.op("Shape", "seen", start=1, end=2))
    columns = step.op("Range", step.scalar(0), total, one)
    rows = step.op("Unsqueeze", step.op("Slice", columns, first, end), step.integers(1))
    causal = step.op("LessOrEqual", columns, rows)
    real = step.op("Cast", "seen", to=TensorProto.BOOL)
    allowed = step.op("And", causal, step.op("Unsqueeze", real, step.integers(1, 2)))
    zero, never = step.scalar(0.0, np.float32), step.scalar(_NEVER, np.float32)
    return places, step.op("Where", allowed, zero, never)
