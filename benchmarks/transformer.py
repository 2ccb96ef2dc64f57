"""A sentence transformer of MiniLM-L6-H384's size and work, with random weights.

Wang and others 2020, "MiniLM"; sizes as in all-MiniLM-L6-v2: vocabulary 30522, 6
layers, width 384, 12 heads, 1536 in between, 22.7 million weights.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from benchmarks.models import Graph, file_of, model

VOCABULARY = 30522
_POSITIONS = 512
_LAYERS = 6
_WIDTH = 384
_HEADS = 12
_BETWEEN = 1536


def minilm(tokens: int) -> bytes:
    """Token ids, int64, (1, tokens), 0 for padding, to their mean, (1, 384)."""
    graph = _Transformer(np.random.default_rng(6))
    words = graph.add("Gather", graph.weight(VOCABULARY, _WIDTH), "x")
    places = graph.add(
        "Gather",
        graph.weight(_POSITIONS, _WIDTH),
        graph.constant(np.arange(tokens, dtype=np.int64)),
    )
    y = graph.normal(
        graph.add("Add", graph.add("Add", words, places), graph.weight(_WIDTH))
    )
    padding = graph.add("Equal", "x", graph.constant(np.array(0, np.int64)))
    masked = graph.add("Cast", padding, to=TensorProto.FLOAT)
    masked = graph.add("Mul", masked, graph.constant(np.array(-1e4, np.float32)))
    masked = graph.add("Unsqueeze", masked, graph.constant(np.array([1, 2])))
    for _ in range(_LAYERS):
        y = graph.layer(y, masked, tokens)
    y = graph.add("ReduceMean", y, axes=[1], keepdims=0)
    graph.nodes.append(helper.make_node("Identity", [y], ["y"]))
    takes, gives = (1, tokens), (1, _WIDTH)
    return file_of(model(graph.nodes, takes, gives, graph.weights, TensorProto.INT64))


class _Transformer(Graph):
    """Draws a transformer's layers."""

    def layer(self, x: str, masked: str, tokens: int) -> str:
        """Attention, and two dense layers; the sum is normalised after each."""
        x = self.normal(self.add("Add", x, self._attention(x, masked, tokens)))
        y = self._dense(x, _WIDTH, _BETWEEN)
        y = self._dense(self._gelu(y), _BETWEEN, _WIDTH)
        return self.normal(self.add("Add", x, y))

    def normal(self, x: str) -> str:
        """Layer normalisation."""
        scale = self.constant(np.ones(_WIDTH, np.float32))
        bias = self.constant(np.zeros(_WIDTH, np.float32))
        return self.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-12)

    def _attention(self, x: str, masked: str, tokens: int) -> str:
        size = _WIDTH // _HEADS
        split = self.constant(np.array([1, tokens, _HEADS, size]))

        def heads(order: list[int]) -> str:
            part = self.add("Reshape", self._dense(x, _WIDTH, _WIDTH), split)
            return self.add("Transpose", part, perm=order)

        query, key = heads([0, 2, 1, 3]), heads([0, 2, 3, 1])
        scale = self.constant(np.array(size**-0.5, np.float32))
        scores = self.add("Mul", self.add("MatMul", query, key), scale)
        weights = self.add("Softmax", self.add("Add", scores, masked), axis=-1)
        y = self.add("MatMul", weights, heads([0, 2, 1, 3]))
        y = self.add("Transpose", y, perm=[0, 2, 1, 3])
        y = self.add("Reshape", y, self.constant(np.array([1, tokens, _WIDTH])))
        return self._dense(y, _WIDTH, _WIDTH)

    def _dense(self, x: str, before: int, after: int) -> str:
        product = self.add("MatMul", x, self.weight(before, after))
        return self.add("Add", product, self.weight(after))

    def _gelu(self, x: str) -> str:
        half, one, root = (
            self.constant(np.array(each, np.float32)) for each in (0.5, 1, 2**-0.5)
        )
        erf = self.add("Erf", self.add("Mul", x, root))
        y = self.add("Mul", x, self.add("Add", erf, one))
        return self.add("Mul", y, half)
