"""SmolLM2-135M as one ONNX graph that generates: the whole loop is inside.

The architecture is Llama's (Touvron and others 2023) with grouped heads; the weights
stay in the blocks of 4 bits in which they were published (GGUF, Q4_1); the matrix of
tokens, which has 8 (Q8_0), is multiplied out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from gguf import GGUFReader
from onnx import TensorProto

from examples.common.graph import Graph, value
from examples.common.greedy import generate

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto

    from examples.common.greedy import Round

BLOCK = 32  # weights that share a scale
STOP = 2  # <|im_end|>
POSITIONS = 2048  # of the 8192 it was trained for
_TABLE = "token_embd.weight"


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the file says of the network."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    vocabulary: int
    base: float
    epsilon: float

    @property
    def head(self) -> int:
        """Numbers in a head."""
        return self.width // self.heads


class Weights:
    """The tensors of a GGUF file, as they are stored."""

    def __init__(self, path: Path) -> None:
        reader = GGUFReader(path)
        self._tensors = {each.name: each for each in reader.tensors}

        def of(name: str) -> float:
            return reader.fields[f"llama.{name}"].contents()

        self.sizes = Sizes(
            layers=int(of("block_count")),
            width=int(of("embedding_length")),
            heads=int(of("attention.head_count")),
            kv_heads=int(of("attention.head_count_kv")),
            vocabulary=int(of("vocab_size")),
            base=of("rope.freq_base"),
            epsilon=of("attention.layer_norm_rms_epsilon"),
        )

    def float32(self, name: str) -> np.ndarray:
        """A tensor that is not quantised."""
        return np.array(self._tensors[name].data, np.float32)

    def four_bits(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Q4_1: 16 bytes of numbers, their scale and their least, of each block.

        Returns:
            Numbers, two a byte, the even one low (rows, blocks, 16); the scales and the
            least values (rows, blocks), float32.
        """
        raw = self._blocks(name, 20)
        head = np.ascontiguousarray(raw[..., :4]).view(np.float16).astype(np.float32)
        packed = raw[..., 4:]
        # GGUF has number i low and number i + 16 high in byte i.
        numbers = np.concatenate([packed & 15, packed >> 4], axis=-1)
        return numbers[..., ::2] | numbers[..., 1::2] << 4, head[..., 0], head[..., 1]

    def eight_bits(self, name: str) -> np.ndarray:
        """Q8_0, multiplied out: signed bytes, and the scale of each block."""
        raw = self._blocks(name, 34)
        scales = np.ascontiguousarray(raw[..., :2]).view(np.float16).astype(np.float32)
        numbers = raw[..., 2:].view(np.int8).astype(np.float32)
        return (numbers * scales).reshape(len(raw), -1)

    def _blocks(self, name: str, size: int) -> np.ndarray:
        data = self._tensors[name].data
        return np.array(data).reshape(data.shape[0], -1, size)


class SmolLM:
    """The network of a round: all tokens that are new, to the scores of the next."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.sizes = weights.sizes
        self._sums: dict[str, str] = {}

    @property
    def cache(self) -> tuple[int, int, int]:
        """Layers, heads and numbers in a head of what is kept."""
        return self.sizes.layers, self.sizes.kv_heads, self.sizes.head

    def step(self, graph: Graph, given: Round) -> tuple[str, list[str]]:
        """Add a round's nodes; gives the scores, and what to keep."""
        table = graph.weight(_TABLE, self.weights.eight_bits(_TABLE))
        x = graph.op("Gather", table, given.now)
        turns = _rotations(graph, self.sizes)
        keep: list[str] = []
        for layer in range(self.sizes.layers):
            x, pair = self._layer(graph, x, layer, given, turns)
            keep += pair
        last = graph.op("Gather", x, graph.scalar(-1), axis=1)
        last = self._normal(graph, last, "output_norm.weight")
        return graph.op("Gemm", last, table, transB=1), keep

    def _layer(
        self, graph: Graph, x: str, layer: int, given: Round, turns: tuple[str, str]
    ) -> tuple[str, list[str]]:
        """Attention and the gated dense part; gives keys and values to keep, too."""
        sizes = self.sizes

        def dense(tensor: str, name: str) -> str:
            return self._product(graph, tensor, f"blk.{layer}.{name}.weight")

        def turned(tensor: str, heads: int) -> str:
            places = (*turns, given.places)
            return graph.op(
                "RotaryEmbedding", tensor, *places, interleaved=1, num_heads=heads
            )

        y = self._normal(graph, x, f"blk.{layer}.attn_norm.weight")
        attended, *pair = graph.ops(
            "Attention",
            turned(dense(y, "attn_q"), sizes.heads),
            turned(dense(y, "attn_k"), sizes.kv_heads),
            dense(y, "attn_v"),
            given.bias,
            *given.kept[2 * layer : 2 * layer + 2],
            outputs=3,
            q_num_heads=sizes.heads,
            kv_num_heads=sizes.kv_heads,
        )
        x = graph.op("Add", x, dense(attended, "attn_output"))
        y = self._normal(graph, x, f"blk.{layer}.ffn_norm.weight")
        gate = dense(y, "ffn_gate")
        gate = graph.op("Mul", gate, graph.op("Sigmoid", gate))
        y = dense(graph.op("Mul", gate, dense(y, "ffn_up")), "ffn_down")
        return graph.op("Add", x, y), pair

    def _product(self, graph: Graph, x: str, name: str) -> str:
        """A matrix product with weights of 4 bits.

        A weight is `scale * number + least`. The runtime's kernel multiplies by
        `scale * (number - 8)`; what is left, `least + 8 * scale`, is the same for all
        numbers of a block, so it is multiplied by the sum of the block's inputs.
        """
        numbers, scales, least = self.weights.four_bits(name)
        rows, blocks = scales.shape
        product = graph.op(
            "com.microsoft::MatMulNBits",
            x,
            graph.weight(f"{name}.numbers", numbers),
            graph.weight(f"{name}.scales", scales.ravel()),
            K=blocks * BLOCK,
            N=rows,
            bits=4,
            block_size=BLOCK,
        )
        if x not in self._sums:  # once for all products of this input
            split = graph.op("Reshape", x, graph.integers(0, 0, blocks, BLOCK))
            total = graph.op("ReduceSum", split, graph.integers(3), keepdims=0)
            self._sums[x] = total
        offsets = graph.weight(f"{name}.offsets", (least + 8 * scales).T.copy())
        return graph.op("Add", product, graph.op("MatMul", self._sums[x], offsets))

    def _normal(self, graph: Graph, x: str, name: str) -> str:
        scale = graph.weight(name, self.weights.float32(name))
        return graph.op("RMSNormalization", x, scale, epsilon=self.sizes.epsilon)


def _rotations(graph: Graph, sizes: Sizes) -> tuple[str, str]:
    exponents = np.arange(0, sizes.head, 2, dtype=np.float32) / sizes.head
    angles = np.outer(np.arange(POSITIONS, dtype=np.float32), sizes.base**-exponents)
    angles = angles.astype(np.float32)
    return graph.weight("cos", np.cos(angles)), graph.weight("sin", np.sin(angles))


def generator(weights: Weights) -> ModelProto:
    """Tokens in, the tokens that follow out.

    Takes `ids` and `mask`, int64 (batch, tokens), padded on the left, and `max_tokens`,
    int64 without dimensions. Gives `generated`, int64 (batch, at most max_tokens); what
    comes after a row's stop token is the stop token.
    """
    graph = Graph()
    tokens = generate(graph, SmolLM(weights), "ids", "mask", "max_tokens", STOP)
    graph.named(tokens, "generated")
    int64 = TensorProto.INT64
    return graph.model(
        "smollm2",
        [
            value("ids", int64, ["batch", "tokens"]),
            value("mask", int64, ["batch", "tokens"]),
            value("max_tokens", int64, []),
        ],
        [value("generated", int64, ["batch", "generated"])],
        {},
    )
