"""The loop of generation, around networks that say what they were given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from examples.common.greedy import OPSET, Prompt, Round, generate
from examples.wav2vec2.whisper import read_ctranslate2

from blindai.pipelines import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from blindai.pipelines.graph import Graph, Value

VOCABULARY = 20
STOP = 7
ZERO_ONE = np.array([0, 1], np.float32)


@dataclass
class Saying:
    """A network whose next token is what a function makes of a round."""

    next: Callable[[Graph, Round], Value]
    cache: tuple[int, int, int] = (1, 1, 1)

    def step(self, graph: Graph, given: Round) -> tuple[Value, list[Value]]:
        token = graph.op("Reshape", self.next(graph, given), [-1])
        scores = graph.op("OneHot", token, VOCABULARY, ZERO_ONE)
        new = graph.op("Cast", graph.op("Unsqueeze", given.now, [1, 3]), to=1)
        return scores, [graph.op("Concat", kept, new, axis=2) for kept in given.kept]


def last(graph: Graph, values: Value) -> Value:
    return graph.op("Gather", values, -1, axis=1)


def one_more(graph: Graph, given: Round) -> Value:
    return graph.op("Add", last(graph, given.now), 1)


def place(graph: Graph, given: Round) -> Value:
    return last(graph, given.places)


def seen(graph: Graph, given: Round) -> Value:
    """How many tokens the newest may look at."""
    open_ = graph.op("Cast", graph.op("Equal", given.bias, 0.0), to=7)
    counts = graph.op("ReduceSum", open_, [1, 3], keepdims=0)
    return last(graph, counts)


def first_sees(graph: Graph, given: Round) -> Value:
    """How many tokens the oldest of a round may look at."""
    open_ = graph.op("Cast", graph.op("Equal", given.bias, 0.0), to=7)
    counts = graph.op("ReduceSum", open_, [1, 3], keepdims=0)
    return graph.op("Gather", counts, 0, axis=1)


def kept(graph: Graph, given: Round) -> Value:
    """How many tokens are kept, of each row."""
    size = graph.op("Shape", given.kept[1], start=2, end=3)
    return graph.op("Expand", size, graph.op("Shape", given.now, start=0, end=1))


def run(
    following: Callable[[Graph, Round], Value],
    ids: list[list[int]],
    mask: list[list[int]] | None = None,
    most: int = 4,
) -> list[list[int]]:
    pipeline = Pipeline(OPSET)
    prompt = Prompt(
        pipeline.input("ids", "INT64", [None, None]),
        pipeline.input("mask", "INT64", [None, None]),
    )
    network = Saying(following)
    tokens = generate(prompt.ids.graph, network, prompt, most, STOP)
    pipeline.give(tokens=tokens)
    content = pipeline.model().SerializeToString()
    session = onnxruntime.InferenceSession(content)
    given = np.array(ids)
    masked = np.ones_like(given) if mask is None else np.array(mask)
    (found,) = session.run(None, {"ids": given, "mask": masked})
    listed: list[list[int]] = np.asarray(found).tolist()
    return listed


def test_each_row_goes_on_until_its_stop_token_and_the_longest_ends_it() -> None:
    found = run(one_more, [[3], [5]], most=10)

    assert found == [[4, 5, 6, STOP], [6, STOP, STOP, STOP]]


def test_it_ends_after_so_many_tokens() -> None:
    assert run(one_more, [[1]], most=3) == [[2, 3, 4]]


def test_the_first_round_reads_all_and_the_others_one_token() -> None:
    assert run(one_more, [[9, 9, 1]], most=3) == [[2, 3, 4]]
    assert run(kept, [[9, 9, 9]], most=3) == [[0, 3, 4]]


@pytest.mark.parametrize("mask", [[0, 0, 1, 1], [1, 0, 0, 1]])
def test_padding_counts_for_no_position(mask: list[int]) -> None:
    assert run(place, [[9, 9, 9, 9]], [mask], most=3) == [[1, 2, 3]]


@pytest.mark.parametrize("mask", [[0, 0, 1, 1], [1, 0, 0, 1]])
def test_padding_is_not_looked_at(mask: list[int]) -> None:
    assert run(seen, [[9, 9, 9, 9]], [mask], most=3) == [[2, 3, 4]]


def test_no_token_looks_at_later_ones() -> None:
    assert run(first_sees, [[9, 9, 9, 9]], most=2) == [[1, 5]]


def written(version: int = 6) -> bytes:
    """A file of CTranslate2's with a float16 tensor and a number of another type."""

    def text(words: str) -> bytes:
        return (len(words) + 1).to_bytes(2, "little") + words.encode() + b"\0"

    def number(value: int, size: int = 4) -> bytes:
        return value.to_bytes(size, "little")

    half = np.array([[1, 2, 3], [4, 5, 6]], np.float16).tobytes()
    return b"".join(
        [
            *(number(version), text("WhisperSpec"), number(3), number(2)),
            *(text("heads"), number(0, 1), number(2, 1), number(2), b"\x08\x00"),
            *(text("a/weight"), number(2, 1), number(2), number(3)),
            *(number(4, 1), number(len(half)), half, number(0)),
        ]
    )


def test_halves_of_a_ctranslate2_file_are_read_and_the_rest_is_passed_over() -> None:
    found: dict[str, Any] = read_ctranslate2(written())

    assert list(found) == ["a/weight"]
    assert found["a/weight"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_another_version_of_ctranslate2s_file_is_refused() -> None:
    with pytest.raises(ValueError, match="expected version 6, got 5"):
        read_ctranslate2(written(5))
