"""Whisper as one ONNX graph: log-mel in, tokens out, the decoder's loop inside.

Radford and others 2022, "Robust Speech Recognition via Large-Scale Weak Supervision".
The weights are read from CTranslate2's file, and stay in half precision in the model;
they are computed with in single precision.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from examples.common.greedy import Prompt, generate
from onnx import TensorProto

if TYPE_CHECKING:
    from collections.abc import Sequence

    from examples.common.greedy import Round

    from blindai.pipelines.graph import Graph, Value

# Tokens of the multilingual vocabulary.
STOP = 50257
PROMPT = (50258, 50259, 50359, 50363)  # start, English, transcribe, no timestamps
MAX_TOKENS = 448 - len(PROMPT)
_FLOAT16 = 4  # ctranslate2/types.h, DataType
_VERSION = 6
_HEADS = 8
LAYERS = 6
WIDTH = 512
_EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class Never:
    """Tokens that are not generated.

    Attributes:
        always: Not anywhere.
        first: Not as the first one.
    """

    always: tuple[int, ...]
    first: tuple[int, ...]


def read_ctranslate2(content: bytes) -> dict[str, np.ndarray]:
    """The float16 tensors of a model.bin of CTranslate2, version 6, by name.

    Source: `ctranslate2/specs/model_spec.py`, `_serialize`. Numbers are little-endian;
    text has its length, with a zero at its end, before it.

    Raises:
        ValueError: If it is of another version, or not one.
    """
    at = 0

    def take(form: str) -> int:
        nonlocal at
        (number,) = struct.unpack_from(f"<{form}", content, at)
        at += struct.calcsize(form)
        return int(number)

    def text() -> str:
        nonlocal at
        size = take("H")
        at += size
        return content[at - size : at - 1].decode()

    if (version := take("I")) != _VERSION:
        raise ValueError(f"model.bin: expected version {_VERSION}, got {version}")
    text(), take("I")  # which kind of model, and its revision
    found = {}
    for _ in range(take("I")):
        name = text()
        shape = [take("I") for _ in range(take("B"))]
        kind, size = take("B"), take("I")
        if kind == _FLOAT16:
            flat = np.frombuffer(content, np.float16, size // 2, at)
            found[name] = flat.reshape(shape)
        at += size
    return found


class Whisper:
    """Adds the encoder, and the decoder's rounds."""

    def __init__(
        self,
        graph: Graph,
        tensors: dict[str, np.ndarray],
        never: Never,
    ) -> None:
        """Nothing yet.

        Args:
            graph: The outermost one; weights become single precision in it.
            tensors: Of `read_ctranslate2`.
            never: Tokens that are not generated.
        """
        self._outer = graph
        self._tensors = tensors
        self._never = never
        self._widened: dict[str, Value] = {}
        self._heard: list[tuple[Value, ...]] = []

    @property
    def cache(self) -> tuple[int, int, int]:
        """Layers, heads and numbers in a head of what is kept."""
        return LAYERS, _HEADS, WIDTH // _HEADS

    def encode(self, mel: Value) -> None:
        """Add the encoder, and what each layer of the decoder looks up in its output."""
        graph = self._outer
        x = mel
        for name, stride in (("encoder/conv1", 1), ("encoder/conv2", 2)):
            weight, bias = self._weight(f"{name}/weight"), self._weight(f"{name}/bias")
            x = graph.op("Conv", x, weight, bias, pads=[1, 1], strides=[stride])
            x = graph.op("Gelu", x)
        x = graph.op("Transpose", x, perm=[0, 2, 1])
        x = graph.op("Add", x, self._weight("encoder/position_encodings/encodings"))
        for layer in range(LAYERS):
            name = f"encoder/layer_{layer}"
            y = self._normal(graph, x, f"{name}/self_attention/layer_norm")
            parts = self._parts(graph, y, f"{name}/self_attention/linear_0", 3)
            y = graph.op("Attention", *parts, q_num_heads=_HEADS, kv_num_heads=_HEADS)
            y = self._dense(graph, y, f"{name}/self_attention/linear_1")
            x = self._forward(graph, graph.op("Add", x, y), f"{name}/ffn")
        x = self._normal(graph, x, "encoder/layer_norm")
        for layer in range(LAYERS):
            name = f"decoder/layer_{layer}/attention/linear_1"
            self._heard.append(self._parts(graph, x, name, 2))

    def step(self, graph: Graph, given: Round) -> tuple[Value, list[Value]]:
        """Add a round of the decoder; gives the scores, and what to keep."""
        table = self._weight("decoder/embeddings/weight")
        places = self._weight("decoder/position_encodings/encodings")
        x = graph.op(
            "Add",
            graph.op("Gather", table, given.now),
            graph.op("Gather", places, given.places),
        )
        keep: list[Value] = []
        for layer in range(LAYERS):
            x, pair = self._layer(graph, x, layer, given)
            keep += pair
        last = graph.op("Gather", x, -1, axis=1)
        last = self._normal(graph, last, "decoder/layer_norm")
        scores = graph.op("Gemm", last, table, transB=1)
        first = graph.op("Equal", given.number, 0)
        always, at_first = self._never.always, self._never.first
        bias = graph.op(
            "Where",
            first,
            self._refused([*always, *at_first]),
            self._refused(always),
        )
        return graph.op("Add", scores, bias), keep

    def _layer(
        self, graph: Graph, x: Value, layer: int, given: Round
    ) -> tuple[Value, list[Value]]:
        name = f"decoder/layer_{layer}"
        heads = {"q_num_heads": _HEADS, "kv_num_heads": _HEADS}
        y = self._normal(graph, x, f"{name}/self_attention/layer_norm")
        parts = self._parts(graph, y, f"{name}/self_attention/linear_0", 3)
        kept = given.kept[2 * layer : 2 * layer + 2]
        y, *pair = graph.ops("Attention", 3, *parts, given.bias, *kept, **heads)
        x = graph.op("Add", x, self._dense(graph, y, f"{name}/self_attention/linear_1"))
        y = self._normal(graph, x, f"{name}/attention/layer_norm")
        query = self._dense(graph, y, f"{name}/attention/linear_0")
        y = graph.op("Attention", query, *self._heard[layer], **heads)
        x = graph.op("Add", x, self._dense(graph, y, f"{name}/attention/linear_2"))
        return self._forward(graph, x, f"{name}/ffn"), pair

    def _forward(self, graph: Graph, x: Value, name: str) -> Value:
        y = self._normal(graph, x, f"{name}/layer_norm")
        y = graph.op("Gelu", self._dense(graph, y, f"{name}/linear_0"))
        return graph.op("Add", x, self._dense(graph, y, f"{name}/linear_1"))

    def _parts(
        self, graph: Graph, x: Value, name: str, count: int
    ) -> tuple[Value, ...]:
        y = self._dense(graph, x, name)
        return graph.ops("Split", count, y, axis=2, num_outputs=count)

    def _dense(self, graph: Graph, x: Value, name: str) -> Value:
        weight = self._weight(f"{name}/weight", turned=True)
        product = graph.op("MatMul", x, weight)
        return graph.op("Add", product, self._weight(f"{name}/bias"))

    def _normal(self, graph: Graph, x: Value, name: str) -> Value:
        scale, bias = self._weight(f"{name}/gamma"), self._weight(f"{name}/beta")
        return graph.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=_EPSILON)

    def _weight(self, name: str, *, turned: bool = False) -> Value:
        if name not in self._widened:
            tensor = self._tensors[name]
            half = self._outer.value(tensor.T.copy() if turned else tensor)
            self._widened[name] = self._outer.op("Cast", half, to=TensorProto.FLOAT)
        return self._widened[name]

    def _refused(self, tokens: Sequence[int]) -> Value:
        bias = np.zeros(len(self._tensors["decoder/embeddings/weight"]), np.float32)
        bias[list(tokens)] = -np.inf
        return self._outer.value(bias)


def transcribe(
    graph: Graph,
    mel: Value,
    tensors: dict[str, np.ndarray],
    never: Never,
) -> Value:
    """Add encoder and decoder; log-mel, float32 (batch, 80, 3000), to tokens, int64."""
    whisper = Whisper(graph, tensors, never)
    whisper.encode(mel)
    batch = graph.op("Shape", mel, start=0, end=1)
    size = graph.op("Concat", batch, [len(PROMPT)], axis=0)
    ids, mask = graph.op("Expand", PROMPT, size), graph.op("Expand", 1, size)
    return generate(graph, whisper, Prompt(ids, mask), MAX_TOKENS, STOP)
