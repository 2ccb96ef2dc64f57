"""Trains a random forest and a Neural Random Forest on the German credit data.

A Neural Random Forest (Biau, Scornet and Welbl, 2016) is a forest written as a network,
and then trained further: a tree's splits are the neurons of the first layer, its leaves
those of the second, and what the leaves say is the output.

Both become one ONNX file, which takes an application as it is filled in: twenty fields
by their names, words as words. It gives how likely the credit goes bad, by each.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from examples.common.archives import read_one
from examples.common.building import main
from examples.common.checking import check_export
from examples.common.packages import DEBIAN, Package
from examples.neural_random_forest.graph import Layers, graph
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from examples.common.checking import Inputs
    from numpy.typing import NDArray
    from sklearn.tree import DecisionTreeClassifier

WEKA = Package(
    DEBIAN,
    "weka",
    "3.6.14-3",
    "58ea5ec3b42ca9719be5756d1bd64ebed0e69d16d6fffa200b3cebf4ccccab16",
)
DATA = "usr/share/doc/weka/examples/credit-g.arff"
TREES, LEAVES = 30, 16
FEATURES = 0.3  # of all, that each split may choose from
STEEP, CLEAR = 2.0, 1.0
"""How steep the first layer's tanh is, and the second's: the paper's gamma 1 and 2."""
# All of these were chosen by the rows to choose by.
EPOCHS, PATIENCE, RATE, DECAY = 100, 15, 1e-4, 0.1
LEAST = 0.001  # probability
SEED, CHECKED = 7, 25


@dataclass(frozen=True)
class Applications:
    """The data.

    Attributes:
        names: The fields' names.
        values: What each word of a field may be; empty for a number.
        rows: The applications, a list of strings each.
        bad: Which credits went bad.
    """

    names: list[str]
    values: list[list[str]]
    rows: list[list[str]]
    bad: NDArray[np.bool_]

    def encode(self) -> NDArray[np.float32]:
        """Numbers as they are, words as one column for each that may stand there."""
        columns = zip(*self.rows, strict=True)
        pairs = zip(columns, self.values, strict=True)
        parts = [
            np.stack([[word == each for word in column] for each in may], axis=1)
            if may
            else np.array(column, np.float32)[:, None]
            for column, may in pairs
        ]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def inputs(self, at: int) -> dict[str, NDArray[Any]]:
        """One application as the model takes it."""
        return {
            name: np.array([value], object if may else np.float32)
            for name, may, value in zip(
                self.names, self.values, self.rows[at], strict=True
            )
        }


def load() -> Applications:
    """The German credit data, of the file format ARFF."""
    text = read_one(WEKA, DATA).decode()
    lines = [line for line in text.splitlines() if line and not line.startswith("%")]
    start = lines.index("@data")
    names, values = [], []
    for line in lines[1:start]:
        _, name, kind = line.split(None, 2)
        names.append(name.strip("'"))
        listed = next(csv.reader([kind.strip(" {}")], quotechar="'"))
        values.append([each.strip(" '") for each in listed] if "{" in kind else [])
    rows = list(csv.reader(lines[start + 1 :], quotechar="'"))
    return Applications(
        names[:-1],
        values[:-1],
        [row[:-1] for row in rows],
        np.array([row[-1] == "bad" for row in rows]),
    )


@dataclass(frozen=True)
class Split:
    """Rows to learn from, rows to choose by, and rows that nothing was chosen by.

    Attributes:
        train: 600 rows.
        choose: 200 rows: they say when to stop.
        test: 200 rows: looked at once, at the end.
    """

    train: NDArray[np.int64]
    choose: NDArray[np.int64]
    test: NDArray[np.int64]


def split(bad: NDArray[np.bool_]) -> Split:
    """Drawn once; each part has as many bad ones as the whole, 30 %."""
    every = np.arange(len(bad))
    rest, test = train_test_split(every, test_size=200, stratify=bad, random_state=SEED)
    train, choose = train_test_split(
        rest, test_size=200, stratify=bad[rest], random_state=SEED
    )
    return Split(train, choose, test)


class NeuralForest(torch.nn.Module):
    """A forest as a network: at first it says what the forest says, but smoothly.

    It takes scaled columns: less their mean, by their deviation.
    """

    def __init__(
        self, trees: Sequence[DecisionTreeClassifier], x: NDArray[np.float32]
    ) -> None:
        super().__init__()
        self.mean, self.deviation = x.mean(0), x.std(0) + 1e-6
        shape = len(trees), LEAVES
        first = np.zeros((*shape, x.shape[1]), np.float32)
        first_bias = np.zeros(shape, np.float32)
        path = np.zeros((*shape, LEAVES), np.float32)
        says = np.zeros(shape, np.float32)
        for number, each in enumerate(trees):
            tests, leaves = walk(each)
            for at, (column, threshold) in enumerate(tests):
                moved = (threshold - self.mean[column]) / self.deviation[column]
                first[number, at, column] = STEEP
                first_bias[number, at] = -STEEP * moved
            for at, (ways, share) in enumerate(leaves):
                for test, side in ways:
                    path[number, at, test] = side
                says[number, at] = share / len(trees)
        self.first, self.first_bias = trained(first), trained(first_bias)
        self.second = trained(CLEAR * path)
        # A leaf's neuron is on where all of its path's splits agree with it.
        self.second_bias = trained(CLEAR * (0.5 - np.abs(path).sum(2)))
        self.says = trained(says)
        self.register_buffer("mask", torch.from_numpy((path != 0).astype(np.float32)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The probability that each goes bad."""
        splits = torch.einsum("nf,tsf->nts", x, self.first) + self.first_bias
        path = self.second * self.mask  # only the splits on its path reach a leaf
        leaves = torch.einsum("nts,tls->ntl", splits.tanh(), path) + self.second_bias
        total = ((leaves.tanh() + 1) / 2 * self.says).sum((1, 2))
        return total.clamp(LEAST, 1 - LEAST)

    def scaled(self, x: NDArray[np.float32]) -> torch.Tensor:
        """Columns as it takes them."""
        return torch.from_numpy((x - self.mean) / self.deviation)

    def layers(self) -> Layers:
        """Its numbers, as the graph has them."""
        named = ("first", "first_bias", "second_bias", "says")
        return Layers(
            mean=self.mean,
            deviation=self.deviation,
            path=(self.second * self.mask).detach().numpy(),
            least=LEAST,
            **{name: getattr(self, name).detach().numpy() for name in named},
        )


def trained(values: NDArray[np.float32]) -> torch.nn.Parameter:
    """A parameter that begins with these values."""
    return torch.nn.Parameter(torch.from_numpy(values.astype(np.float32)))


def walk(
    tree: DecisionTreeClassifier,
) -> tuple[list[tuple[int, float]], list[tuple[list[tuple[int, int]], float]]]:
    """A tree's splits (column, threshold), and its leaves.

    A leaf is the way to it (which split, and -1 for left or 1 for right), and the share
    of bad ones that ended in it.
    """
    found, splits, leaves = tree.tree_, [], []
    waiting: list[tuple[int, list[tuple[int, int]]]] = [(0, [])]
    while waiting:
        at, way = waiting.pop()
        if found.children_left[at] < 0:
            leaves.append((way, float(found.value[at, 0, 1])))
            continue
        number = len(splits)
        splits.append((int(found.feature[at]), float(found.threshold[at])))
        waiting.append((found.children_left[at], [*way, (number, -1)]))
        waiting.append((found.children_right[at], [*way, (number, 1)]))
    return splits, leaves


def train(
    network: NeuralForest, x: NDArray[np.float32], bad: NDArray[np.bool_], rows: Split
) -> None:
    """Train on one part; keep what was best on the other."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # it is small: threads only wait for one another
    data, truth = network.scaled(x), torch.from_numpy(bad.astype(np.float32))
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    loss = torch.nn.BCELoss()
    best, kept, since = np.inf, network.state_dict(), 0
    for _ in range(EPOCHS):
        for batch in torch.from_numpy(rows.train)[torch.randperm(600)].split(32):
            optimizer.zero_grad()
            loss(network(data[batch]), truth[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            now = float(loss(network(data[rows.choose]), truth[rows.choose]))
        since = 0 if now < best else since + 1
        if now < best:
            best = now
            kept = {name: each.clone() for name, each in network.state_dict().items()}
        if since == PATIENCE:
            break
    network.load_state_dict(kept)


def report(name: str, probability: NDArray[np.float64], bad: NDArray[np.bool_]) -> None:
    """Print how good it is on rows that it never saw, and how sure that is."""
    draw = np.random.default_rng(SEED)
    areas = [
        roc_auc_score(bad[rows], probability[rows])
        for rows in draw.integers(len(bad), size=(1000, len(bad)))
    ]
    low, high = np.quantile(areas, [0.025, 0.975])
    right = ((probability > 0.5) == bad).mean()
    area = roc_auc_score(bad, probability)
    print(f"{name:22} {right:6.1%}    {area:.3f} ({low:.3f} to {high:.3f})")


def check(
    path: Path,
    data: Applications,
    forest: RandomForestClassifier,
    network: NeuralForest,
) -> None:
    """Hold the export against scikit-learn and torch, application by application."""
    rows = iter(data.encode()[:CHECKED, None])

    def original(_: Inputs) -> Sequence[NDArray[Any]]:
        row = next(rows)
        with torch.no_grad():
            neural = network(network.scaled(row)).numpy()
        return [forest.predict_proba(row)[:, 1].astype(np.float32), neural]

    inputs = [data.inputs(at) for at in range(CHECKED)]
    print(check_export(path, original, inputs))


def build(path: Path, samples: Path) -> None:
    """Write the model, and two applications to try it on."""
    data = load()
    x, bad = data.encode(), data.bad
    rows = split(bad)
    forest = RandomForestClassifier(
        TREES,
        max_leaf_nodes=LEAVES,
        max_features=FEATURES,
        random_state=SEED,
    ).fit(x[rows.train], bad[rows.train])
    network = NeuralForest(forest.estimators_, x[rows.train])
    train(network, x, bad, rows)
    test, truth = x[rows.test], bad[rows.test]
    print(f"{'on 200 unseen rows':22} {'right':>6}    area under the ROC (95 %)")
    report("always good", np.full(200, 0.3), truth)
    report("random forest", forest.predict_proba(test)[:, 1], truth)
    with torch.no_grad():
        neural = network(network.scaled(test)).double().numpy()
    report("neural random forest", neural, truth)
    fields = dict(zip(data.names, data.values, strict=True))
    onnx.save(graph(fields, forest, network.layers()), path)
    check(path, data, forest, network)
    for number, at in enumerate(rows.test[[0, 1]], start=1):
        application = {
            name: value if may else float(value)
            for name, may, value in zip(
                data.names, data.values, data.rows[at], strict=True
            )
        }
        text = json.dumps(application, indent=2) + "\n"
        (samples / f"application-{number}.json").write_text(text)


if __name__ == "__main__":
    main(build)
