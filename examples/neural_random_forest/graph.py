"""Both models as one ONNX graph, which takes an application as it was filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from examples.common.graphs import FLOAT, INT64, STRING, model, node

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray
    from sklearn.ensemble import RandomForestClassifier

# A node of such a name says what went wrong where it fails: the server tells it.
_EXPECT = "expect {}: {}"


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The numbers of a Neural Random Forest.

    Attributes:
        mean: Of each column.
        deviation: Of each column.
        first: The splits: (trees, splits, columns).
        first_bias: (trees, splits).
        path: Which splits lead to a leaf: (trees, leaves, splits).
        second_bias: (trees, leaves).
        says: What each leaf says: (trees, leaves).
        least: The least probability, and the least there is to 1.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    first: NDArray[np.float32]
    first_bias: NDArray[np.float32]
    path: NDArray[np.float32]
    second_bias: NDArray[np.float32]
    says: NDArray[np.float32]
    least: float


def graph(
    fields: Mapping[str, list[str]], forest: RandomForestClassifier, network: Layers
) -> onnx.ModelProto:
    """Both, behind one encoding: twenty fields to two probabilities.

    Args:
        fields: What each field may say, by its name; empty for a number.
        forest: The forest.
        network: The network.
    """
    names = ("mean", "deviation", "first", "first_bias", "path", "second_bias", "says")
    weights = {name: getattr(network, name) for name in names} | {
        "zero": np.array(0, np.float32),
        "one": np.array([1], np.int64),
        "two": np.array([1, 2], np.int64),
        "bad": np.array(1, np.int64),
        "half": np.array(0.5, np.float32),
        "low": np.array(network.least, np.float32),
        "high": np.array(1 - network.least, np.float32),
        "same": np.array([0], np.int64),
        "none": np.array([-2], np.int64),
    }
    nodes = [
        *(each for item in enumerate(fields.items()) for each in encoding(*item)),
        node("Concat", " ".join(f"{name}_columns" for name in fields), "x", axis=1),
        ensemble(forest),
        node("Gather", "forest_both bad", "forest", axis=1),
        node("Sub", "x mean", "centred"),
        node("Div", "centred deviation", "scaled"),
        node("Einsum", "scaled first", "first_sums", equation="nf,tsf->nts"),
        node("Add", "first_sums first_bias", "first_moved"),
        node("Tanh", "first_moved", "splits"),
        node("Einsum", "splits path", "second_sums", equation="nts,tls->ntl"),
        node("Add", "second_sums second_bias", "second_moved"),
        node("Tanh", "second_moved", "leaves"),
        node("Mul", "leaves half", "halved"),
        node("Add", "halved half", "reached"),
        node("Mul", "reached says", "said"),
        node("ReduceSum", "said two", "total", keepdims=0),
        node("Clip", "total low high", "neural"),
    ]
    rows = ["applications"]
    return model(
        nodes,
        {name: (STRING if may else FLOAT, rows) for name, may in fields.items()},
        {"forest": (FLOAT, rows), "neural": (FLOAT, rows)},
        weights,
    )


def encoding(at: int, field: tuple[str, list[str]]) -> list[onnx.NodeProto]:
    """One field's columns; what may not stand there is an error that names it."""
    name, may = field
    if may:
        words: dict[str, Any] = {"cats_strings": may, "zeros": 0}
        known = " or ".join(map(repr, may))
        wrong = _EXPECT.format(at, f"{name}: expected {known}, got another word")
        columns = node(
            "OneHotEncoder",
            name,
            f"{name}_columns",
            domain="ai.onnx.ml",
            name=wrong,
            **words,
        )
        return [columns]
    wrong = _EXPECT.format(at, f"{name}: expected a finite number, got another")
    # Of what is no number, and of what is infinite, no difference is 0.
    return [
        node("Sub", f"{name} {name}", f"{name}_nothing"),
        node("Equal", f"{name}_nothing zero", f"{name}_finite"),
        node("Not", f"{name}_finite", f"{name}_endless"),
        node("Cast", f"{name}_endless", f"{name}_wrong", to=INT64),
        node("Shape", name, f"{name}_rows"),
        node("Concat", f"{name}_wrong same", f"{name}_all", axis=0),
        node("ReduceMax", f"{name}_all", f"{name}_any", keepdims=1),
        node("Equal", f"{name}_any same", f"{name}_right"),
        node("Where", f"{name}_right {name}_rows none", f"{name}_shape"),
        node(
            "Reshape", f"{name} {name}_shape", f"{name}_sane", name=wrong, allowzero=1
        ),
        node("Unsqueeze", f"{name}_sane one", f"{name}_columns"),
    ]


def ensemble(forest: RandomForestClassifier) -> onnx.NodeProto:
    """The forest as ONNX's TreeEnsembleClassifier: `x` to `forest_both`."""
    nodes: dict[str, list[Any]] = {}
    leaves: dict[str, list[Any]] = {}
    for number, tree in enumerate(forest.estimators_):
        found = tree.tree_
        for at in range(found.node_count):
            left, right = int(found.children_left[at]), int(found.children_right[at])
            add(
                nodes,
                nodes_treeids=number,
                nodes_nodeids=at,
                nodes_modes="BRANCH_LEQ" if left >= 0 else "LEAF",
                nodes_featureids=max(int(found.feature[at]), 0),
                nodes_values=float(found.threshold[at]),
                nodes_truenodeids=max(left, 0),
                nodes_falsenodeids=max(right, 0),
            )
            for label, share in enumerate(found.value[at, 0]) if left < 0 else ():
                add(
                    leaves,
                    class_treeids=number,
                    class_nodeids=at,
                    class_ids=label,
                    class_weights=float(share) / len(forest.estimators_),
                )
    return node(
        "TreeEnsembleClassifier",
        "x",
        "forest_label forest_both",
        domain="ai.onnx.ml",
        classlabels_int64s=[0, 1],
        **nodes,
        **leaves,
    )


def add(table: dict[str, list[Any]], **row: object) -> None:
    """Append a row to a table of columns."""
    for name, value in row.items():
        table.setdefault(name, []).append(value)
