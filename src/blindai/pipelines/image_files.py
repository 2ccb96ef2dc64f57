"""What is looked at in an image's file before a decoder sees it.

The decoder of onnxruntime-extensions ends its process where a JPEG is none, waits for
ever where one is cut off, and allocates what a header asks for. So here, by ONNX's own
operators, the file has to be a PNG or JPEG, of a size that is decoded, and with an end.

Where a JPEG is grey, the decoder of onnxruntime-extensions 0.15 swaps bytes far behind
the last pixel, so it never sees one: two colours are added to the frame of such a file.

PNG: ISO/IEC 15948, 5.2 and 11.2.2. JPEG: ITU-T T.81, B.1 and B.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import TensorProto

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blindai.pipelines.graph import Graph, Value

_PNG: Final = np.frombuffer(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", np.uint8)
_JPEG: Final = np.frombuffer(b"\xff\xd8\xff", np.uint8)
_END: Final = np.frombuffer(b"\xff\xd9", np.uint8)  # a JPEG's last marker
_START_OF_SCAN: Final = 0xDA
_FRAMES: Final = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; Huffman
# All that libjpeg takes to have a length before a scan, and 0xFF, which fills. What it
# passes over otherwise could hide another frame.
_SEGMENTS: Final = (*range(0xC0, 0xD0), *range(0xDB, 0x100))
_JFIF: Final = np.frombuffer(
    b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", np.uint8
)
_COMPONENT: Final = 10  # where in a frame's segment the first one is
_MAX_SEGMENTS: Final = 4096
_MAX_SEGMENT: Final = 65535 + 2  # bytes, its marker among them
_TAIL: Final = np.tile(_END, _MAX_SEGMENT // 2 + 8)
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
    end, frame = _jpeg_frame(graph, padded)
    whole = graph.op("Or", is_png, _has_end(graph, file, end))
    padded = graph.require(
        padded, whole, "image: expected a whole JPEG file, got one without its end"
    )
    channels = graph.op("Gather", frame, 2)
    coloured = _is_one_of(graph, channels, (1, 3))
    padded = graph.require(
        padded,
        graph.op("Or", is_png, coloured),
        "image: expected a JPEG file in colours or grey (not CMYK, lossless or"
        " arithmetic), got another",
    )
    png = graph.op(
        "Concat", _number(graph, padded, 20, 4), _number(graph, padded, 16, 4), axis=0
    )
    size = graph.op("Where", is_png, png, graph.op("Slice", frame, [0], [2]))
    pixels = graph.op("ReduceProd", size)
    some = graph.op("Greater", graph.op("ReduceMin", size), 0)
    padded = graph.require(padded, some, "image: expected some pixels, got none")
    few = graph.op("LessOrEqual", pixels, max_pixels)
    padded = graph.require(
        padded, few, f"image: expected at most {max_pixels} pixels, got more"
    )
    return graph.choose(
        graph.op("Equal", channels, 1),
        TensorProto.UINT8,
        lambda body: _coloured(body, padded, frame),
        lambda body: body.op("Identity", padded),
    )


def _coloured(graph: Graph, data: Value, frame: Value) -> Value:
    """A grey JPEG with two colours more, in its frame but in none of its scans.

    They are as grey as they come then. A JFIF header says what the three are.
    """
    start = graph.op("Gather", frame, [3])
    length = _number(graph, data, graph.op("Add", start, 2), 2)
    rest = graph.op("Add", graph.op("Add", start, 2), length)
    at = graph.op("Add", start, _COMPONENT)
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
        np.array([0, _COMPONENT + 3 * 3 - 2], np.uint8),
        graph.op("Slice", data, graph.op("Add", start, 4), graph.op("Sub", at, 1)),
        np.array([3], np.uint8),
        component,
        *(graph.op("Cast", each, to=TensorProto.UINT8) for each in more),
        graph.op("Slice", data, rest, [1 << 62]),
        axis=0,
    )


def _jpeg_frame(graph: Graph, data: Value) -> tuple[Value, Value]:
    """Where a JPEG's first scan begins; height, width, channels and place of its frame.

    Zeros where there is none of them.
    """

    def step(
        body: Graph, _: Value, carried: tuple[Value, ...]
    ) -> tuple[Value, Value, Value, Value]:
        at, start, frame = carried
        marker = _number(body, data, at, 2)
        kind = body.op("Sub", marker, 0xFF00)
        length = _number(body, data, body.op("Add", at, 2), 2)
        following = body.op("Add", body.op("Add", at, 2), length)
        is_scan = body.op("Equal", kind, _START_OF_SCAN)
        is_frame = _is_one_of(body, kind, _FRAMES)
        found = body.op(
            "Concat",
            _number(body, data, body.op("Add", at, 5), 2),
            _number(body, data, body.op("Add", at, 7), 2),
            _number(body, data, body.op("Add", at, 9), 1),
            at,
            axis=0,
        )
        is_segment = _is_one_of(body, kind, _SEGMENTS)
        is_filling = body.op("Equal", kind, 0xFF)
        following = body.op("Where", is_filling, body.op("Add", at, 1), following)
        return (
            is_segment,
            following,
            body.op("Where", is_scan, following, start),
            body.op("Where", is_frame, found, frame),
        )

    int64 = TensorProto.INT64
    carried = [([2], int64), ([0], int64), ([0, 0, 0, 0], int64)]
    _, start, frame = graph.loop(_MAX_SEGMENTS, carried, step)
    return start, frame


def _has_end(graph: Graph, file: Value, start: Value) -> Value:
    """Whether a scan begins, and an end comes in the last 64 KiB after it."""
    size = graph.op("Size", file)
    first = graph.op("Max", start, graph.op("Sub", size, 1 << 16))
    tail = graph.op("Slice", file, first, [1 << 62])
    tail = graph.op("Concat", tail, np.zeros(2, np.uint8), axis=0)
    marks = graph.op("Equal", graph.op("Slice", tail, [0], [-1]), np.uint8(_END[0]))
    ends = graph.op("Equal", graph.op("Slice", tail, [1], [1 << 62]), np.uint8(_END[1]))
    both = graph.op("Cast", graph.op("And", marks, ends), to=TensorProto.INT32)
    there = graph.op("Greater", graph.op("ReduceMax", both, keepdims=1), np.int32(0))
    return graph.op("And", graph.op("Greater", start, 0), there)


def _begins_with(graph: Graph, data: Value, what: NDArray[np.uint8]) -> Value:
    same = graph.op("Equal", graph.op("Slice", data, [0], [len(what)]), what)
    counted = graph.op("ReduceMin", graph.op("Cast", same, to=TensorProto.INT32))
    return graph.op("Greater", counted, np.int32(0))


def _is_one_of(graph: Graph, number: Value, of: tuple[int, ...]) -> Value:
    same = graph.op("Equal", number, np.array(of, np.int64))
    counted = graph.op("ReduceMax", graph.op("Cast", same, to=TensorProto.INT32))
    return graph.op("Greater", counted, np.int32(0))


def _number(graph: Graph, data: Value, at: Value | int, size: int) -> Value:
    """A whole number, most significant byte first: INT64, (1,)."""
    places = graph.op("Add", graph.value(np.arange(size)), at)
    digits = graph.op("Cast", graph.op("Gather", data, places), to=TensorProto.INT64)
    weights = 256 ** np.arange(size - 1, -1, -1, dtype=np.int64)
    return graph.op("ReduceSum", graph.op("Mul", digits, weights), keepdims=1)
