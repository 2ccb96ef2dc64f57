"""Images: from the bytes of a file to what models take.

Pixels are UINT8, (height, width, 3), red first, as Pillow has them. Turned photographs
(EXIF) are not turned back; Pillow does not do it by itself either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import TensorProto

from blindai.errors import ConfigurationError
from blindai.pipelines import image_files
from blindai.pipelines.graph import VISION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.pipelines.graph import Graph, Operand, Value

_MAX_PIXELS: Final = 25_000_000
_FILTERS: Final = {"bilinear": "linear", "bicubic": "cubic"}
_CUBIC: Final = -0.5  # Pillow's, and the one that keeps edges apart from ringing least


@dataclass(frozen=True, slots=True)
class Fitted:
    """An image that was scaled to fit into a frame.

    Attributes:
        pixels: The frame with the image in it.
        scale: How many of its pixels are one of the image: FP32, ().
        top: Where in it the image begins, in pixels from above: INT64, ().
        left: ... and from the left.
        size: Height and width of the image: INT64, (2,).
    """

    pixels: Value
    scale: Value
    top: Value
    left: Value
    size: Value


def decode(file: Value, *, max_pixels: int = _MAX_PIXELS) -> Value:
    """Pixels of a JPEG or PNG file.

    What is transparent is shown as if it were not. The run fails, before anything is
    decoded, if the file is neither, is cut off, is a JPEG in CMYK, or has too many
    pixels.

    Args:
        file: UINT8, (bytes).
        max_pixels: The most that are decoded; each takes three bytes, some of JPEG's
            kinds (progressive) six more.
    """
    graph = file.graph
    file = image_files.require_image(file, max_pixels)
    pixels = graph.op(
        f"{VISION}:DecodeImage",
        file,
        node=graph.expecting(image_files.DAMAGED),
    )
    graph.known(pixels, TensorProto.UINT8, [None, None, 3])
    return graph.op("Gather", pixels, np.array([2, 1, 0]), axis=2)  # blue came first


def resize(
    pixels: Value, size: tuple[int, int] | Value, how: str = "bilinear"
) -> Value:
    """Scale to a size, as Pillow does: what gets smaller is averaged.

    Args:
        pixels: UINT8, (height, width, 3).
        size: Height and width; also INT64, (2,).
        how: "bilinear" or "bicubic".

    Raises:
        ConfigurationError: If there is no such way.
    """
    if how not in _FILTERS:
        raise ConfigurationError(f"resize: expected {' or '.join(_FILTERS)}, got {how}")
    graph = pixels.graph
    whole: Operand = size if not isinstance(size, tuple) else np.array(size, np.int64)
    scaled = graph.op(
        "Resize",
        graph.op("Unsqueeze", pixels, [0]),
        None,
        None,
        whole,
        mode=_FILTERS[how],
        cubic_coeff_a=_CUBIC,
        antialias=1,
        exclude_outside=1,
        axes=[1, 2],
        coordinate_transformation_mode="half_pixel",
    )
    return graph.op("Squeeze", scaled, [0])


def resize_shorter(
    pixels: Value,
    side: int,
    how: str = "bilinear",
    *,
    max_pixels: int = _MAX_PIXELS,
) -> Value:
    """Scale so that the shorter side has a length, as torchvision's `Resize(side)`.

    The run fails, before anything is scaled, if that makes too many pixels: of an image
    that is one pixel wide and long.

    Args:
        pixels: UINT8, (height, width, 3).
        side: In pixels.
        how: As of `resize`.
        max_pixels: The most that it may become.

    Raises:
        ConfigurationError: If there is no such way.
    """
    graph = pixels.graph
    size = _size(graph, pixels)
    shorter = graph.op("ReduceMin", size)
    scaled = graph.op("Div", graph.op("Mul", size, side), shorter)
    few = graph.op("LessOrEqual", graph.op("ReduceProd", scaled), max_pixels)
    pixels = graph.require(
        pixels,
        few,
        f"image: expected at most {max_pixels} pixels where its shorter side has"
        f" {side}, got more",
    )
    return resize(pixels, scaled, how)


def crop_centre(pixels: Value, size: tuple[int, int]) -> Value:
    """The middle, as torchvision's `CenterCrop`; the run fails if there is less.

    Args:
        pixels: UINT8, (height, width, 3).
        size: Height and width, in pixels.
    """
    graph = pixels.graph
    wanted = np.array(size, np.int64)
    spare = graph.op("Sub", _size(graph, pixels), wanted)
    enough = graph.op("GreaterOrEqual", graph.op("ReduceMin", spare), 0)
    pixels = graph.require(
        pixels, enough, f"image: expected {size[0]} x {size[1]} pixels, got fewer"
    )
    # Python rounds halves to the even neighbour, and so does Round.
    half = graph.op("Mul", graph.op("Cast", spare, to=TensorProto.FLOAT), 0.5)
    start = graph.op("Cast", graph.op("Round", half), to=TensorProto.INT64)
    end = graph.op("Add", start, wanted)
    return graph.op("Slice", pixels, start, end, [0, 1])


def letterbox(
    pixels: Value, size: tuple[int, int], *, fill: int = 114, centred: bool = True
) -> Fitted:
    """Scale to fit into a frame, and fill the rest, as detectors of YOLO's kind want.

    Args:
        pixels: UINT8, (height, width, 3).
        size: Height and width of the frame.
        fill: The colour around it.
        centred: Whether it is in the middle, or in the upper left corner.
    """
    graph = pixels.graph
    frame = np.array(size, np.int64)
    size_there = _size(graph, pixels)
    ratios = graph.op("Div", frame.astype(np.float32), _float(graph, size_there))
    scale = graph.op("ReduceMin", ratios, keepdims=0)
    exact = graph.op("Mul", _float(graph, size_there), scale)
    inner = graph.op("Cast", graph.op("Round", exact), to=TensorProto.INT64)
    inner = graph.op("Min", graph.op("Max", inner, [1, 1]), frame)
    spare = graph.op("Sub", frame, inner)
    before = graph.op("Div", spare, 2) if centred else graph.op("Mul", spare, 0)
    after = graph.op("Sub", spare, before)
    padded = graph.op(
        "Pad",
        resize(pixels, inner),
        graph.op("Concat", before, after, axis=0),
        np.array(fill, np.uint8),
        [0, 1],
    )
    top = graph.op("Gather", before, 0)
    return Fitted(padded, scale, top, graph.op("Gather", before, 1), size_there)


def normalise(
    pixels: Value,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    *,
    scale: float = 1 / 255,
    blue_first: bool = False,
    channels_first: bool = True,
) -> Value:
    """Numbers for a model: pixels times `scale`, less `mean`, by `std`.

    Args:
        pixels: UINT8, (height, width, 3).
        mean: Of each channel, red first.
        std: Of each channel, red first.
        scale: What one step of a pixel is.
        blue_first: Whether the model wants blue first, as OpenCV has it.
        channels_first: Whether it wants (1, 3, height, width), else (1, height, width,
            3).

    Returns:
        FP32.
    """
    graph = pixels.graph
    numbers = graph.op("Mul", _float(graph, pixels), float(scale))
    numbers = graph.op("Sub", numbers, np.array(mean, np.float32))
    numbers = graph.op("Div", numbers, np.array(std, np.float32))
    if blue_first:
        numbers = graph.op("Gather", numbers, np.array([2, 1, 0]), axis=2)
    if channels_first:
        numbers = graph.op("Transpose", numbers, perm=[2, 0, 1])
    return graph.op("Unsqueeze", numbers, [0])


def _size(graph: Graph, pixels: Value) -> Value:
    return graph.op("Shape", pixels, end=2)


def _float(graph: Graph, value: Value) -> Value:
    return graph.op("Cast", value, to=TensorProto.FLOAT)
