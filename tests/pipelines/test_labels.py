"""What a classifier means, held against NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.pipelines.running import WITHOUT, ready

from blindai.errors import ConfigurationError, InvalidRequestError
from blindai.pipelines import Pipeline, labels

NAMES = ("cat", "dog", "été", "fox")
SCORES = np.random.default_rng(1).normal(0, 3, (3, 4)).astype(np.float32)


def classifier(columns: int | None = None) -> Pipeline:
    pipeline = Pipeline()
    scores = pipeline.input("scores", "FP32", [None, columns])
    best = labels.top(labels.softmax(scores), NAMES, 2)
    pipeline.give(label=best.labels, score=best.scores, number=best.numbers)
    return pipeline


def test_the_best_come_first_with_their_names() -> None:
    exponents = np.exp(SCORES.astype(float))
    probabilities = exponents / exponents.sum(1, keepdims=True)
    order = np.argsort(-probabilities)[:, :2]

    label, score, number = ready(classifier(), WITHOUT)(scores=SCORES)

    assert number.tolist() == order.tolist()
    assert label.tolist() == np.array(NAMES)[order].tolist()
    assert np.abs(score - np.take_along_axis(probabilities, order, 1)).max() < 1e-6


def test_names_have_to_be_as_many_as_classes() -> None:
    with pytest.raises(InvalidRequestError, match="expected a model of 4 classes"):
        ready(classifier(), WITHOUT)(scores=SCORES[:, :3])


@pytest.mark.parametrize("count", [0, 5])
def test_no_more_are_asked_for_than_there_are(count: int) -> None:
    scores = Pipeline().input("scores", "FP32", [None, None])
    with pytest.raises(
        ConfigurationError, match=f"expected 1 to 4 of them, got {count}"
    ):
        labels.top(scores, NAMES, count)


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("names.txt", "cat\n dog \n\nété\r\nfox\n"),
        ("names.txt", "\ufeffcat\ndog\nété\nfox"),
        ("names.json", '["cat", "dog", "été", "fox"]'),
        ("names.json", '{"1": "dog", "0": "cat", "3": "fox", "2": "été"}'),
    ],
)
def test_names_are_read_from_files(name: str, contents: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(contents, encoding="utf-8")
    assert labels.read(tmp_path / name) == NAMES


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("names.csv", b"cat,dog", "expected .txt with a name a line, or .json"),
        ("names", b"cat", "expected .txt with a name a line, or .json"),
        ("names.txt", b"\xff\xfe", "cannot be read: expected UTF-8"),
        ("names.json", b"cat", "expected a list of names, or names by their numbers"),
        ("names.json", b"3", "expected a list of names, or names by their numbers"),
        ("names.json", b"[1]", "expected a list of names, or names by their numbers"),
        ("names.json", b'{"1": "dog"}', "expected a list of names, or names by their"),
        ("names.json", 100_000 * b"[", "expected a list of names, or names by their"),
        ("names.json", b'["\\ud800"]', "expected a list of names, or names by their"),
        ("names.json", b"[]", "expected names of classes, got none"),
        ("names.txt", b"\n \n", "expected names of classes, got none"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    name: str, contents: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(ConfigurationError, match=f"{name}: {message}"):
        labels.read(tmp_path / name)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        labels.read(tmp_path / "names.txt")
