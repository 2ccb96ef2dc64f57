"""Transformers with random weights; one of MiniLM-L6-H384's size and work.

Wang and others 2020, "MiniLM"; sizes as in all-MiniLM-L6-v2: vocabulary 30522, 6
layers, width 384, 12 heads, 1536 in between, 22.7 million weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from onnx import TensorProto, helper

from benchmarks.models import Graph, file_of, model

VOCABULARY = 30522
_POSITIONS = 512
_LAYERS = 6


def minilm(tokens: int) -> bytes:
    """Token ids, int64, (1, tokens), 0 for padding, to their mean, (1, 384)."""
    graph = Transformer(np.random.default_rng(6), sizes=Sizes(384, 12, 1536, tokens))
    y = graph.normal(
        graph.add("Add", graph.embed("x", VOCABULARY, _POSITIONS), graph.weight(384))
    )
    padding = graph.add("Equal", "x", graph.constant(np.array(0, np.int64)))
    masked = graph.add("Cast", padding, to=TensorProto.FLOAT)
    masked = graph.add("Mul", masked, graph.constant(np.array(-1e4, np.float32)))
    masked = graph.add("Unsqueeze", masked, graph.constant(np.array([1, 2])))
    for _ in range(_LAYERS):
        y = graph.layer(y, masked)
    y = graph.add("ReduceMean", y, axes=[1], keepdims=0)
    graph.nodes.append(helper.make_node("Identity", [y], ["y"]))
    takes, gives = (1, tokens), (1, 384)
    return file_of(model(graph.nodes, takes, gives, graph.weights, TensorProto.INT64))


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a transformer.

    Attributes:
        width: Numbers a token.
        heads: Of attention.
        between: Width of what is between a layer's two dense ones.
        tokens: In a sequence.
        epsilon: Of layer normalisation.
    """

    width: int
    heads: int
    between: int
    tokens: int
    epsilon: float = 1e-12


class Transformer(Graph):
    """Draws a transformer's layers."""

    def __init__(self, random: np.random.Generator, sizes: Sizes) -> None:
        super().__init__(random)
        self.sizes = sizes

    def embed(self, ids: str, vocabulary: int, positions: int) -> str:
        """Tokens and their places, as vectors."""
        width, tokens = self.sizes.width, self.sizes.tokens
        words = self.add("Gather", self.weight(vocabulary, width), ids)
        places = self.add(
            "Gather",
            self.weight(positions, width),
            self.constant(np.arange(tokens, dtype=np.int64)),
        )
        return self.add("Add", words, places)

    def layer(self, x: str, masked: str | None = None) -> str:
        """Attention, and two dense layers; the sum is normalised after each."""
        x = self.normal(self.add("Add", x, self.attention(x, masked)))
        return self.normal(self.add("Add", x, self.forward(x, self.gelu)))

    def layer_normal_first(self, x: str, masked: str | None, gelu: Activation) -> str:
        """The same, but what goes into each is normalised."""
        x = self.add("Add", x, self.attention(self.normal(x), masked))
        return self.add("Add", x, self.forward(self.normal(x), gelu))

    def normal(self, x: str, width: int | None = None) -> str:
        """Layer normalisation."""
        width = width or self.sizes.width
        scale = self.constant(np.ones(width, np.float32))
        bias = self.constant(np.zeros(width, np.float32))
        return self.add(
            "LayerNormalization", x, scale, bias, axis=-1, epsilon=self.sizes.epsilon
        )

    def attention(self, x: str, masked: str | None) -> str:
        """Of each token to all; `masked` is added to the scores."""
        width, heads, tokens = self.sizes.width, self.sizes.heads, self.sizes.tokens
        size = width // heads
        split = self.constant(np.array([1, tokens, heads, size]))

        def part(order: list[int]) -> str:
            whole = self.add("Reshape", self.dense(x, width, width), split)
            return self.add("Transpose", whole, perm=order)

        query, key = part([0, 2, 1, 3]), part([0, 2, 3, 1])
        scale = self.constant(np.array(size**-0.5, np.float32))
        scores = self.add("Mul", self.add("MatMul", query, key), scale)
        if masked is not None:
            scores = self.add("Add", scores, masked)
        weights = self.add("Softmax", scores, axis=-1)
        y = self.add("MatMul", weights, part([0, 2, 1, 3]))
        y = self.add("Transpose", y, perm=[0, 2, 1, 3])
        y = self.add("Reshape", y, self.constant(np.array([1, tokens, width])))
        return self.dense(y, width, width)

    def forward(self, x: str, gelu: Activation) -> str:
        """Two dense layers."""
        width, between = self.sizes.width, self.sizes.between
        return self.dense(gelu(self.dense(x, width, between)), between, width)

    def dense(self, x: str, before: int, after: int) -> str:
        """A matrix and a bias."""
        product = self.add("MatMul", x, self.weight(before, after))
        return self.add("Add", product, self.weight(after))

    def gelu(self, x: str) -> str:
        """By the error function."""
        half, one, root = self._numbers(0.5, 1, 2**-0.5)
        erf = self.add("Erf", self.add("Mul", x, root))
        y = self.add("Mul", x, self.add("Add", erf, one))
        return self.add("Mul", y, half)

    def gelu_tanh(self, x: str) -> str:
        """By the hyperbolic tangent, as in GPT-2."""
        three, part, root, one, half = self._numbers(3, 0.044715, 0.7978845608, 1, 0.5)
        cubed = self.add("Mul", self.add("Pow", x, three), part)
        inner = self.add("Mul", self.add("Add", x, cubed), root)
        y = self.add("Add", self.add("Tanh", inner), one)
        return self.add("Mul", self.add("Mul", x, half), y)

    def _numbers(self, *numbers: float) -> list[str]:
        return [self.constant(np.array(each, np.float32)) for each in numbers]


class Activation(Protocol):
    """What is between two dense layers."""

    def __call__(self, x: str, /) -> str:
        """Add it; gives its output's name."""
