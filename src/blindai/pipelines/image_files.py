"""What is looked at in an image's file before a decoder sees it.

The decoder of onnxruntime-extensions ends its process where a JPEG is damaged, waits
for ever where one is cut off, and allocates what a header asks for. So here, by ONNX's
own operators, the file has to be a PNG, or a JPEG that is whole segment by segment, and
of a size that is decoded.

Where a JPEG is grey, the decoder of onnxruntime-extensions 0.15 swaps bytes far behind
the last pixel, so it never sees one: two colours are added to the frame of such a file.

PNG: ISO/IEC 15948, 5.2 and 11.2.2. JPEG: ITU-T T.81, B.1 and B.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import TensorProto

from blindai.pipelines.jpeg_files import END, MAX_BYTES, MAX_SCANS, look
from blindai.pipelines.jpeg_segments import FRAME_BYTES, is_one_of, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blindai.pipelines.graph import Graph, Value
    from blindai.pipelines.jpeg_files import Jpeg

_PNG: Final = np.frombuffer(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", np.uint8)
_JPEG: Final = np.frombuffer(b"\xff\xd8\xff", np.uint8)
DAMAGED: Final = "image: expected a whole JPEG or PNG file, got a damaged one"
_ANOTHER: Final = (
    "image: expected a JPEG file in colours or grey (not CMYK, lossless, arithmetic or"
    " of 12 bits), got another"
)
_LARGE: Final = f"image: expected at most {MAX_BYTES} bytes of a JPEG file, got more"
_JFIF: Final = np.frombuffer(
    b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", np.uint8
)
_MAX_SEGMENT: Final = 65535 + 2  # bytes, its marker among them
_TAIL: Final = np.tile(END, _MAX_SEGMENT // 2 + 8)
"""Ends, one after the other, behind the file: wherever a segment that lies about its
length leads, there is one."""


def require_image(file: Value, max_pixels: int) -> Value:
    """A file, if it is an image that may be decoded; else the run fails.

    Args:
        file: UINT8, (bytes).
        max_pixels: The most that may be decoded.

    Returns:
        The file, with an end behind it, and in colours.
    """
    graph = file.graph
    padded = graph.op("Concat", file, _TAIL, axis=0)
    is_png = _begins_with(graph, padded, _PNG)
    is_jpeg = _begins_with(graph, padded, _JPEG)
    padded = graph.require(
        padded,
        graph.op("Or", is_png, is_jpeg),
        "image: expected a JPEG or PNG file, got another",
    )
    length = graph.op("Size", file)
    small = graph.op("Or", is_png, graph.op("LessOrEqual", length, MAX_BYTES))
    padded = graph.require(padded, small, _LARGE)
    jpeg = look(graph, padded, length, is_jpeg)
    padded = _require_jpeg(padded, jpeg, is_png, length)
    png = graph.op(
        "Concat", number(graph, padded, 20, 4), number(graph, padded, 16, 4), axis=0
    )
    size = graph.op("Where", is_png, png, jpeg.size)
    pixels = graph.op("ReduceProd", size)
    some = graph.op("Greater", graph.op("ReduceMin", size), 0)
    padded = graph.require(padded, some, "image: expected some pixels, got none")
    few = graph.op("LessOrEqual", pixels, max_pixels)
    padded = graph.require(
        padded, few, f"image: expected at most {max_pixels} pixels, got more"
    )
    return graph.choose(
        graph.op("Equal", jpeg.channels, 1),
        TensorProto.UINT8,
        lambda body: _coloured(body, padded, jpeg.frame),
        lambda body: body.op("Identity", padded),
    )


def _require_jpeg(data: Value, jpeg: Jpeg, is_png: Value, size: Value) -> Value:
    """A file, if it is a JPEG that can be decoded, or a PNG."""
    graph = data.graph
    framed = graph.op("Greater", jpeg.frame, 0)
    coloured = is_one_of(graph, jpeg.channels, (1, 3))
    few = graph.op("LessOrEqual", jpeg.scans, MAX_SCANS)
    inside = graph.op("LessOrEqual", graph.op("Add", jpeg.stop, len(END)), size)
    for holds, message in (
        (graph.op("Or", graph.op("Not", framed), coloured), _ANOTHER),
        (few, f"image: expected at most {MAX_SCANS} scans in a JPEG file, got more"),
        (inside, "image: expected a whole JPEG file, got one without its end"),
        (graph.op("And", jpeg.is_end, graph.op("Greater", jpeg.scans, 0)), DAMAGED),
    ):
        data = graph.require(data, graph.op("Or", is_png, holds), message)
    return data


def _coloured(graph: Graph, data: Value, start: Value) -> Value:
    """A grey JPEG with two colours more, in its frame but in none of its scans.

    They are as grey as they come then. A JFIF header says what the three are.
    """
    length = number(graph, data, graph.op("Add", start, 2), 2)
    rest = graph.op("Add", graph.op("Add", start, 2), length)
    at = graph.op("Add", start, FRAME_BYTES)
    component = graph.op("Slice", data, at, graph.op("Add", at, 3))
    # ONNX Runtime adds no UINT8. Who counts on beyond 255 begins again.
    wide = graph.op("Cast", component, to=TensorProto.INT64)
    more = [
        graph.op("Mod", graph.op("Add", wide, np.array([step, 0, 0], np.int64)), 256)
        for step in (1, 2)
    ]
    return graph.op(
        "Concat",
        _JFIF,
        graph.op("Slice", data, [2], graph.op("Add", start, 2)),
        np.array([0, FRAME_BYTES + 3 * 3 - 2], np.uint8),
        graph.op("Slice", data, graph.op("Add", start, 4), graph.op("Sub", at, 1)),
        np.array([3], np.uint8),
        component,
        *(graph.op("Cast", each, to=TensorProto.UINT8) for each in more),
        graph.op("Slice", data, rest, [1 << 62]),
        axis=0,
    )


def _begins_with(graph: Graph, data: Value, what: NDArray[np.uint8]) -> Value:
    same = graph.op("Equal", graph.op("Slice", data, [0], [len(what)]), what)
    counted = graph.op("ReduceMin", graph.op("Cast", same, to=TensorProto.INT32))
    return graph.op("Greater", counted, np.int32(0))
