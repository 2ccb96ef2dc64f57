"""What a detector means: boxes on the image, each with its name and how sure it is.

Boxes are (top, left, bottom, right), in pixels of the image as it was sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.pipelines.graph import Value
    from blindai.pipelines.image import Fitted


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, the surest first.

    Attributes:
        boxes: Top, left, bottom, right: FP32, (found, 4).
        scores: How sure each is: FP32, (found,).
        classes: What each is: INT64, (found,).
        known: How many classes there are: INT64, ().
    """

    boxes: Value
    scores: Value
    classes: Value
    known: Value

    def names(self, names: Sequence[str]) -> Value:
        """What each is, by name: BYTES, (found,).

        Args:
            names: Of all classes, in their order; the run fails if there are others.
        """
        graph = self.boxes.graph
        classes = graph.require(
            self.classes,
            graph.op("Equal", self.known, len(names)),
            f"names: expected a model of {len(names)} classes, got another",
        )
        return graph.op("Gather", np.array(list(names), object), classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which boxes are kept.

    Attributes:
        least_score: The least that one is sure of.
        overlap: How much of two boxes of one class may be common to both, of what both
            cover, before only the surer one is kept.
        count: The most that are kept of each class.
    """

    least_score: float = 0.25
    overlap: float = 0.45
    count: int = 100


def corners(centres: Value) -> Value:
    """Corners of boxes: (x, y, width, height) to (top, left, bottom, right).

    Args:
        centres: FP32, (boxes, 4).
    """
    graph = centres.graph
    centre = graph.op("Gather", centres, np.array([1, 0]), axis=1)
    half = graph.op("Mul", graph.op("Gather", centres, np.array([3, 2]), axis=1), 0.5)
    first, last = graph.op("Sub", centre, half), graph.op("Add", centre, half)
    return graph.op("Concat", first, last, axis=1)


def yolov5(rows: Value) -> tuple[Value, Value]:
    """Boxes and scores of what YOLOv5 gives, for `keep`.

    Args:
        rows: FP32, (1, boxes, 5 + classes): x, y, width, height, how sure it is that
            something is there, and how sure of each class.

    Returns:
        Corners, FP32, (boxes, 4), and scores, FP32, (boxes, classes).
    """
    graph = rows.graph
    rows = graph.op("Squeeze", rows, [0])
    centres = graph.op("Slice", rows, [0], [4], [1])
    there = graph.op("Slice", rows, [4], [5], [1])
    classes = graph.op("Slice", rows, [5], [1 << 31], [1])
    return corners(centres), graph.op("Mul", classes, there)


def keep(boxes: Value, scores: Value, choice: Choice) -> Found:
    """The surest boxes, and of those that overlap only the surest of a class.

    Args:
        boxes: Corners: FP32, (boxes, 4).
        scores: FP32, (boxes, classes).
        choice: Which are kept.
    """
    graph = boxes.graph
    by_class = graph.op("Unsqueeze", graph.op("Transpose", scores, perm=[1, 0]), [0])
    chosen = graph.op(
        "NonMaxSuppression",
        graph.op("Unsqueeze", boxes, [0]),
        by_class,
        [choice.count],
        np.array([choice.overlap], np.float32),
        np.array([choice.least_score], np.float32),
    )
    classes = graph.op("Gather", chosen, 1, axis=1)
    which = graph.op("Gather", chosen, 2, axis=1)
    places = graph.op(
        "Concat",
        *(graph.op("Unsqueeze", each, [1]) for each in (which, classes)),
        axis=1,
    )
    sure = graph.op("GatherND", scores, places)
    _, order = graph.ops("TopK", 2, sure, graph.op("Shape", sure), axis=0)
    return Found(
        graph.op("Gather", graph.op("Gather", boxes, which), order),
        graph.op("Gather", sure, order),
        graph.op("Gather", classes, order),
        graph.op("Gather", graph.op("Shape", scores), 1),
    )


def on_image(found: Found, fitted: Fitted) -> Found:
    """Boxes on the image that was fitted into a frame, cut off at its edges."""
    graph = found.boxes.graph
    offset = graph.op(
        "Concat",
        *(graph.op("Unsqueeze", each, [0]) for each in (fitted.top, fitted.left)),
        axis=0,
    )
    twice = graph.op("Tile", graph.op("Cast", offset, to=TensorProto.FLOAT), [2])
    moved = graph.op("Div", graph.op("Sub", found.boxes, twice), fitted.scale)
    size = graph.op("Cast", fitted.size, to=TensorProto.FLOAT)
    inside = graph.op("Min", graph.op("Max", moved, 0.0), graph.op("Tile", size, [2]))
    return replace(found, boxes=inside)
