"""SmolLM2-135M as one ONNX graph that generates: the whole loop is inside.

The architecture is Llama's (Touvron and others 2023) with grouped heads; the weights
stay in the blocks of 4 bits in which they were published (GGUF, Q4_1); the matrix of
tokens, which has 8 (Q8_0), is multiplied out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from gguf import GGUFReader

from blindai.pipelines.text import BytePairs

if TYPE_CHECKING:
    from pathlib import Path

    from examples.common.greedy import Round

    from blindai.pipelines.graph import Graph, Value

BLOCK = 32  # weights that share a scale
POSITIONS = 2048  # of the 8192 it was trained for
_TABLE = "token_embd.weight"
_CONTROL = 3  # gguf, TokenType


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

        self._fields = reader.fields

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

    def vocabulary(self) -> BytePairs:
        """The tokens and merges that are in the file."""

        def of(name: str) -> list[Any]:
            return self._fields[f"tokenizer.ggml.{name}"].contents()

        kinds = of("token_type")
        return BytePairs(
            numbers={token: number for number, token in enumerate(of("tokens"))},
            merges=tuple(tuple(each.split(" ")) for each in of("merges")),
            digits_apart=True,  # what "smollm" of tokenizer.ggml.pre means
            special=tuple(at for at, kind in enumerate(kinds) if kind == _CONTROL),
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

    def __init__(self, graph: Graph, weights: Weights) -> None:
        """Add the weights that rounds share to a graph."""
        self._weights = weights
        self._sizes = weights.sizes
        self._table = graph.value(weights.eight_bits(_TABLE))
        exponents = np.arange(0, self._sizes.head, 2, dtype=np.float32)
        steps = self._sizes.base ** -(exponents / self._sizes.head)
        angles = np.outer(np.arange(POSITIONS), steps.astype(np.float32))
        angles = angles.astype(np.float32)
        self._turns = graph.value(np.cos(angles)), graph.value(np.sin(angles))
        self._sums: dict[str, Value] = {}

    @property
    def cache(self) -> tuple[int, int, int]:
        """Layers, heads and numbers in a head of what is kept."""
        return self._sizes.layers, self._sizes.kv_heads, self._sizes.head

    def step(self, graph: Graph, given: Round) -> tuple[Value, list[Value]]:
        """Add a round's nodes; gives the scores, and what to keep."""
        x = graph.op("Gather", self._table, given.now)
        keep: list[Value] = []
        for layer in range(self._sizes.layers):
            x, pair = self._layer(graph, x, layer, given)
            keep += pair
        last = graph.op("Gather", x, -1, axis=1)
        last = self._normal(graph, last, "output_norm.weight")
        return graph.op("Gemm", last, self._table, transB=1), keep

    def _layer(
        self, graph: Graph, x: Value, layer: int, given: Round
    ) -> tuple[Value, tuple[Value, ...]]:
        """Attention and the gated dense part; gives keys and values to keep, too."""
        sizes = self._sizes

        def dense(tensor: Value, name: str) -> Value:
            return self._product(graph, tensor, f"blk.{layer}.{name}.weight")

        def turned(tensor: Value, heads: int) -> Value:
            places = (*self._turns, given.places)
            return graph.op(
                "RotaryEmbedding", tensor, *places, interleaved=1, num_heads=heads
            )

        y = self._normal(graph, x, f"blk.{layer}.attn_norm.weight")
        attended, *pair = graph.ops(
            "Attention",
            3,
            turned(dense(y, "attn_q"), sizes.heads),
            turned(dense(y, "attn_k"), sizes.kv_heads),
            dense(y, "attn_v"),
            given.bias,
            *given.kept[2 * layer : 2 * layer + 2],
            q_num_heads=sizes.heads,
            kv_num_heads=sizes.kv_heads,
        )
        x = graph.op("Add", x, dense(attended, "attn_output"))
        y = self._normal(graph, x, f"blk.{layer}.ffn_norm.weight")
        gate = dense(y, "ffn_gate")
        gate = graph.op("Mul", gate, graph.op("Sigmoid", gate))
        y = dense(graph.op("Mul", gate, dense(y, "ffn_up")), "ffn_down")
        return graph.op("Add", x, y), tuple(pair)

    def _product(self, graph: Graph, x: Value, name: str) -> Value:
        """A matrix product with weights of 4 bits.

        A weight is `scale * number + least`. The runtime's kernel multiplies by
        `scale * (number - 8)`; what is left, `least + 8 * scale`, is the same for all
        numbers of a block, so it is multiplied by the sum of the block's inputs.
        """
        numbers, scales, least = self._weights.four_bits(name)
        rows, blocks = scales.shape
        product = graph.op(
            "com.microsoft:MatMulNBits",
            x,
            numbers,
            scales.ravel(),
            K=blocks * BLOCK,
            N=rows,
            bits=4,
            block_size=BLOCK,
        )
        if x.name not in self._sums:  # once for all products of this input
            split = graph.op("Reshape", x, [0, 0, blocks, BLOCK])
            self._sums[x.name] = graph.op("ReduceSum", split, [3], keepdims=0)
        offsets = (least + 8 * scales).T.copy()
        return graph.op("Add", product, graph.op("MatMul", self._sums[x.name], offsets))

    def _normal(self, graph: Graph, x: Value, name: str) -> Value:
        scale = self._weights.float32(name)
        return graph.op("RMSNormalization", x, scale, epsilon=self._sizes.epsilon)
