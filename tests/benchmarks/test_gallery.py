"""The gallery's benchmark: true sizes, and what its tables say; nothing is timed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import onnx
import pytest
from benchmarks.gallery.__main__ import memory, models, times
from benchmarks.gallery.measure import Found, Measured, memory_in_process
from benchmarks.gallery.tasks import TASKS
from benchmarks.measure import Times

if TYPE_CHECKING:
    from pathlib import Path

# Numbers in float32 tensors that are no weights: a mask, the places of cells, anchors
# and strides, scales of residuals.
_NO_WEIGHTS = {"gpt2": 64 * 64, "yolov5": 2 * (80**2 + 40**2 + 20**2) + 18 + 8}
_LARGE = {"gpt2", "distilbert", "wav2vec2", "word2vec"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in _LARGE else name
        for name in TASKS
    ],
)
def test_each_has_the_weights_of_the_published_one(name: str) -> None:
    model = onnx.load_from_string(TASKS[name].content())

    weights = sum(
        math.prod(each.dims)
        for each in model.graph.initializer
        if each.data_type == onnx.TensorProto.FLOAT and each.dims
    )

    assert weights - _NO_WEIGHTS.get(name, 0) == TASKS[name].weights


def measured(here: float, sealed: float, other: float) -> Measured:
    """One of a model, whose medians with one thread and with two are given."""
    alone, floor, protocol = (Times(each * here, here) for each in (1.0, 1.02, 1.08))
    one = Found(alone, Times(sealed, sealed), floor, protocol, 10, 100.0, 200.0)
    two = Found(alone, Times(other, other), floor, protocol, 10, 110.0, 210.0)
    return Measured("facenet", 104.8576, {1: one, 2: two}, Times(30.0, 31.0))


@pytest.mark.parametrize(
    ("here", "sealed", "other", "words"),
    [
        (20.0, 20.5, 20.5, "<= 1.03x: met"),
        (20.0, 20.7, 20.7, "<= 1.03x: missed, by the protocol's too"),
        (5.0, 5.4, 5.6, "<= 1.10x (1): met; <= 1.10x (2): **missed**"),
        (0.5, 5.0, 5.0, "none"),
    ],
)
def test_a_goal_is_met_or_missed_by_the_medians(
    here: float, sealed: float, other: float, words: str
) -> None:
    row = times([measured(here, sealed, other)])[-1]

    cells = row.split(" | ")
    assert cells[11] == words
    assert (cells[4], cells[5]) == (cells[9], cells[10]) == ("1.02x", "1.08x")


def test_a_row_has_what_was_measured_and_what_was_printed() -> None:
    row = times([measured(20.0, 21.0, 22.0)])[-1]

    assert row.startswith("| FaceNet | 20.0 (20.0) | 21.0 (21.0) | 1.05x |")
    assert row.endswith("| 30.0 (31.0) | 47.135 ms |")


def test_why_tract_has_no_figure_stands_in_its_place() -> None:
    one = measured(20.0, 21.0, 22.0)
    reasoned = Measured(one.name, one.megabytes, one.found, "ended: no such operator")

    assert "| ended: no such operator |" in times([reasoned])[-1]


def test_memory_is_beside_the_files_size_in_the_same_unit() -> None:
    row = memory([measured(20.0, 21.0, 22.0)])[-1]

    assert row == "| FaceNet | 100 | 100 | 200 | 110 | 210 |"


def test_a_model_that_is_quick_is_weighed_with_the_runtime_that_ran_it(
    tmp_path: Path,
) -> None:
    task, model = TASKS["m5"], tmp_path / "m5.onnx"
    model.write_bytes(task.content())

    least = min(memory_in_process(model, task.array(), 1) for _ in range(3))

    assert least > 2 * model.stat().st_size / 2**20 + 20  # ONNX Runtime alone has 20


def test_all_ten_are_there() -> None:
    assert len(models()) == 2 + 10
