"""What a detector means, held against its formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipelines.running import WITHOUT, Array, ready

from blindai.errors import InvalidRequestError
from blindai.pipelines import Pipeline, boxes, image
from blindai.pipelines.boxes import Choice

CHOICE = Choice(least_score=0.3, overlap=0.5, count=3)


def overlap(one: Array, other: Array) -> float:
    first, last = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    common = np.prod(np.maximum(last - first, 0))
    both = np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - common
    return float(common / both)


def kept(corners: Array, scores: Array) -> list[tuple[int, int]]:
    """Which boxes of which classes stay, the surest first."""
    found = []
    for kind in range(scores.shape[1]):
        stay: list[int] = []
        for box in np.argsort(-scores[:, kind]):
            near = any(overlap(corners[box], corners[other]) > 0.5 for other in stay)
            if scores[box, kind] > 0.3 and not near and len(stay) < 3:
                stay.append(int(box))
        found += [(box, kind) for box in stay]
    return sorted(found, key=lambda each: -scores[each])


@pytest.mark.parametrize("seed", range(5))
def test_of_boxes_that_overlap_the_surest_stay(seed: int) -> None:
    random = np.random.default_rng(seed)
    first = random.uniform(0, 50, (60, 2))
    corners = np.concatenate([first, first + random.uniform(5, 40, (60, 2))], 1)
    scores = random.random((60, 2)).astype(np.float32)
    pipeline = Pipeline()
    found = boxes.keep(
        pipeline.input("corners", "FP32", [None, 4]),
        pipeline.input("scores", "FP32", [None, 2]),
        CHOICE,
    )
    pipeline.give(
        box=found.boxes, sure=found.scores, kind=found.classes, name=found.names("ab")
    )

    box, sure, kind, name = ready(pipeline, WITHOUT)(corners=corners, scores=scores)

    theirs = kept(corners.astype(np.float32), scores)
    assert kind.tolist() == [each for _, each in theirs]
    assert sure.tolist() == [scores[each] for each in theirs]
    assert np.allclose(box, corners[[each for each, _ in theirs]])
    assert name.tolist() == ["ab"[each] for each in kind]


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_there_are_as_many_names_as_classes(names: list[str]) -> None:
    pipeline = Pipeline()
    found = boxes.keep(
        pipeline.input("corners", "FP32", [None, 4]),
        pipeline.input("scores", "FP32", [None, None]),
        CHOICE,
    )
    pipeline.give(name=found.names(names))
    few = f"names: expected a model of {len(names)} classes, got another"

    with pytest.raises(InvalidRequestError, match=few):
        ready(pipeline, WITHOUT)(corners=np.zeros((0, 4)), scores=np.zeros((0, 2)))


def detector() -> Pipeline:
    pipeline = Pipeline()
    pixels = pipeline.input("pixels", "UINT8", [None, None, 3])
    fitted = image.letterbox(pixels, (64, 64))
    corners, scores = boxes.yolov5(pipeline.input("rows", "FP32", [1, None, 7]))
    found = boxes.on_image(boxes.keep(corners, scores, CHOICE), fitted)
    pipeline.give(box=found.boxes, sure=found.scores, kind=found.classes)
    return pipeline


def test_yolos_boxes_come_back_onto_the_image() -> None:
    rows = np.array(
        [[[20, 20, 10, 12, 0.9, 0.8, 0.1], [50, 40, 8, 8, 0.5, 0.1, 0.9]]], np.float32
    )

    box, sure, kind = ready(detector(), WITHOUT)(
        pixels=np.zeros((100, 200, 3)), rows=rows
    )

    # The frame shows 200 x 100 pixels as 64 x 32, from row 16 on.
    assert box[0] == pytest.approx(
        [0, 15 / 0.32, (26 - 16) / 0.32, 25 / 0.32]  # cut off above
    )
    assert box[1] == pytest.approx([(36 - 16) / 0.32, 46 / 0.32, 28 / 0.32, 54 / 0.32])
    assert sure == pytest.approx([0.72, 0.45])
    assert kind.tolist() == [0, 1]


def test_nothing_found_is_no_boxes() -> None:
    box, sure, kind = ready(detector(), WITHOUT)(
        pixels=np.zeros((10, 20, 3)), rows=np.zeros((1, 2, 7))
    )

    assert (box.shape, sure.shape, kind.shape) == ((0, 4), (0,), (0,))
