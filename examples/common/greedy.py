"""The loop of greedy generation, as a part of an ONNX graph.

Its first round reads all that is given, each further one the token before it. Keys and
values of attention are carried from round to round. It ends when each row of a batch
has come to its stop token, or after a number of rounds. Exporters cannot write it: they
unroll a loop, or leave it to the client, who would then be asked for every word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from onnx import TensorProto

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.pipelines.graph import Graph, Operand, Value

OPSET = 23
"""The first with Attention, RotaryEmbedding and RMSNormalization."""
_NEVER = -1e9  # added to the score of what may not be looked at
_END = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Round:
    """What a network is given in a round.

    Attributes:
        number: From 0 on; int64 without dimensions.
        now: Tokens that are new, int64 (batch, new).
        places: Their positions, int64 (batch, new).
        bias: What is added to attention's scores, float32 (batch, 1, new, so far).
        kept: Keys and values of the rounds before, a key and a value for each layer,
            float32 (batch, heads, before, head).
    """

    number: Value
    now: Value
    places: Value
    bias: Value
    kept: Sequence[Value]


class Network(Protocol):
    """What is run in each round."""

    @property
    def cache(self) -> tuple[int, int, int]:
        """Layers, heads and numbers in a head of what is kept."""

    def step(self, graph: Graph, given: Round) -> tuple[Value, list[Value]]:
        """Add a round's nodes.

        Returns:
            The score of each token to be the next one, float32 (batch, vocabulary), and
            `kept` with the new tokens' added.
        """


@dataclass(frozen=True, slots=True)
class Prompt:
    """What generation goes on from.

    Attributes:
        ids: Tokens, int64 (batch, tokens); padding may be anywhere but at the end.
        mask: 0 for padding, 1 for what is not, int64 (batch, tokens).
    """

    ids: Value
    mask: Value


def generate(
    graph: Graph, network: Network, prompt: Prompt, most: Operand, stop: int
) -> Value:
    """Add a loop that generates; gives the tokens that follow, int64 (batch, tokens).

    After a row's stop token come stop tokens, until the longest row is done.

    Args:
        graph: Where to.
        network: What is run in each round.
        prompt: What is gone on from.
        most: How many tokens follow at most, int64 without dimensions.
        stop: The token after which nothing follows.
    """
    layers, heads, head = network.cache
    batch = graph.op("Shape", prompt.ids, start=0, end=1)
    nobody = graph.op("ConstantOfShape", batch)
    done = graph.op("Cast", nobody, to=TensorProto.BOOL)
    empty = graph.op(
        "ConstantOfShape", graph.op("Concat", batch, [heads, 0, head], axis=0)
    )

    def step(body: Graph, number: Value, carried: tuple[Value, ...]) -> list[Value]:
        now, seen, done, *kept = carried
        places, bias = _seen(body, now, seen)
        scores, keep = network.step(body, Round(number, now, places, bias, kept))
        best = body.op("ArgMax", scores, axis=1, keepdims=0)
        best = body.op("Where", done, stop, best)
        finished = body.op("Or", done, body.op("Equal", best, stop))
        least = body.op("Cast", finished, to=TensorProto.INT64)
        least = body.op("ReduceMin", least, keepdims=0)
        more = body.op("Not", body.op("Cast", least, to=TensorProto.BOOL))
        column = body.op("Unsqueeze", best, [1])
        one = body.op("Expand", 1, body.op("Shape", column))
        longer = body.op("Concat", seen, one, axis=1)
        return [more, column, longer, finished, *keep, best]

    carried = [
        (prompt.ids, TensorProto.INT64),
        (prompt.mask, TensorProto.INT64),
        (done, TensorProto.BOOL),
        *[(empty, TensorProto.FLOAT)] * (2 * layers),
    ]
    *_, rounds = graph.loop(most, carried, step, [TensorProto.INT64])
    tokens = graph.op("Transpose", rounds, perm=[1, 0])
    return graph.known(tokens, TensorProto.INT64, [None, None])


def _seen(step: Graph, now: Value, seen: Value) -> tuple[Value, Value]:
    """Positions of the new tokens, and what each of them may look at."""
    counted = step.op("CumSum", seen, 1)  # padding does not count
    places = step.op("Max", step.op("Sub", counted, 1), 0)
    first = step.op("Neg", step.op("Shape", now, start=1, end=2))
    places = step.op("Slice", places, first, [_END], [1])
    total = step.op("Squeeze", step.op("Shape", seen, start=1, end=2))
    columns = step.op("Range", 0, total, 1)
    rows = step.op("Unsqueeze", step.op("Slice", columns, first, [_END]), [1])
    causal = step.op("LessOrEqual", columns, rows)
    real = step.op("Cast", seen, to=TensorProto.BOOL)
    allowed = step.op("And", causal, step.op("Unsqueeze", real, [1, 2]))
    return places, step.op("Where", allowed, 0.0, _NEVER)
