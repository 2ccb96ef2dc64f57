"""Word2Vec and a Neural Random Forest: little to compute."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from benchmarks.models import Graph, file_of, model

WORDS = 400_000


def word2vec(words: int) -> bytes:
    """Ids of words to their 300 numbers each (Mikolov and others 2013).

    The published table has 3 million words, which is more than one file of protobuf
    holds; looking up costs the same.
    """
    graph = Graph(np.random.default_rng(9))
    table = graph.weight(WORDS, 300)
    graph.nodes.append(helper.make_node("Gather", [table, "x"], ["y"]))
    takes, gives = (words,), (words, 300)
    return file_of(model(graph.nodes, takes, gives, graph.weights, TensorProto.INT64))


def neural_random_forest(features: int) -> bytes:
    """50 trees of 32 leaves as two layers of neurons (Biau and others 2016)."""
    graph = Graph(np.random.default_rng(10))
    trees, leaves = 50, 32
    x, before = "x", features
    for after in (trees * (leaves - 1), trees * leaves):
        x = graph.add("MatMul", x, graph.weight(before, after))
        x = graph.add("Tanh", graph.add("Add", x, graph.weight(after)))
        before = after
    x = graph.add("MatMul", x, graph.weight(before, 2))
    x = graph.add("Softmax", graph.add("Add", x, graph.weight(2)), axis=1)
    graph.nodes.append(helper.make_node("Identity", [x], ["y"]))
    return file_of(model(graph.nodes, (1, features), (1, 2), graph.weights))
