"""GPT-2, DistilBERT and Wav2vec2 (base), as their authors published them in size."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from benchmarks.models import file_of, model
from benchmarks.transformer import Sizes, Transformer

GPT2_VOCABULARY = 50257
_NEVER = -1e9


def gpt2(tokens: int) -> bytes:
    """Token ids to the scores of the next one (Radford and others 2019, table 2)."""
    sizes = Sizes(768, 12, 3072, tokens, epsilon=1e-5)
    graph = Transformer(np.random.default_rng(2), sizes)
    x = graph.embed("x", GPT2_VOCABULARY, 1024)
    table = graph.weights[0].name
    future = np.triu(np.full((tokens, tokens), _NEVER, np.float32), 1)
    masked = graph.constant(future[None, None])
    for _ in range(12):
        x = graph.layer_normal_first(x, masked, graph.gelu_tanh)
    last = graph.add("Gather", graph.normal(x), graph.constant(np.array(-1)), axis=1)
    graph.nodes.append(helper.make_node("Gemm", [last, table], ["y"], transB=1))
    return file_of(
        model(
            graph.nodes,
            (1, tokens),
            (1, GPT2_VOCABULARY),
            graph.weights,
            TensorProto.INT64,
        )
    )


def distilbert(tokens: int) -> bytes:
    """Token ids to the scores of two classes (Sanh and others 2019)."""
    graph = Transformer(np.random.default_rng(3), Sizes(768, 12, 3072, tokens))
    x = graph.normal(graph.embed("x", 30522, 512))
    for _ in range(6):
        x = graph.layer(x)
    first = graph.add("Gather", x, graph.constant(np.array(0)), axis=1)
    y = graph.add("Relu", graph.dense(first, 768, 768))
    graph.nodes.append(helper.make_node("Identity", [graph.dense(y, 768, 2)], ["y"]))
    takes, gives = (1, tokens), (1, 2)
    return file_of(model(graph.nodes, takes, gives, graph.weights, TensorProto.INT64))


# Kernel and stride of each convolution over the sound.
_HEARING = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))


def wav2vec2(samples: int) -> bytes:
    """Sound to the scores of 32 letters for each frame (Baevski and others 2020)."""
    frames = samples
    for kernel, stride in _HEARING:
        frames = (frames - kernel) // stride + 1
    sizes = Sizes(768, 12, 3072, frames, epsilon=1e-5)
    graph = Transformer(np.random.default_rng(4), sizes)
    x = graph.add("Unsqueeze", "x", graph.constant(np.array([1])))
    for index, (kernel, stride) in enumerate(_HEARING):
        weight = graph.weight(512, 512 if index else 1, kernel)
        x = graph.add("Conv", x, weight, strides=[stride])
        if not index:
            ones, zeros = np.ones(512, np.float32), np.zeros(512, np.float32)
            scale, bias = graph.constant(ones), graph.constant(zeros)
            x = graph.add("InstanceNormalization", x, scale, bias)
        x = graph.gelu(x)
    x = graph.normal(graph.add("Transpose", x, perm=[0, 2, 1]), 512)
    x = graph.dense(x, 512, 768)
    x = graph.normal(graph.add("Add", x, _places(graph, x)))
    for _ in range(12):
        x = graph.layer(x)
    graph.nodes.append(helper.make_node("Identity", [graph.dense(x, 768, 32)], ["y"]))
    return file_of(model(graph.nodes, (1, samples), (1, frames, 32), graph.weights))


def _places(graph: Transformer, x: str) -> str:
    """Where a frame is, from its neighbours: a convolution in 16 groups."""
    y = graph.add("Transpose", x, perm=[0, 2, 1])
    weight, bias = graph.weight(768, 48, 128), graph.weight(768)
    y = graph.add("Conv", y, weight, bias, group=16, pads=[64, 63])
    return graph.add("Transpose", graph.gelu(y), perm=[0, 2, 1])
