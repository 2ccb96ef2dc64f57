"""What is looked at in a JPEG file before a decoder sees it.

The decoder of onnxruntime-extensions (libjpeg 9) ends its process where a file is not
as it should be. So a graph goes through all segments and scans first, up to the end,
as libjpeg will: by ONNX's own operators, without decoding anything.

ITU-T T.81, B.1 and B.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import TensorProto

from blindai.pipelines import jpeg_segments
from blindai.pipelines.jpeg_segments import (
    NOTHING,
    PROGRESSIVE,
    Segment,
    is_one_of,
    is_right,
    number,
    whole,
)

if TYPE_CHECKING:
    from blindai.pipelines.graph import Graph, Value

END: Final = np.frombuffer(b"\xff\xd9", np.uint8)  # the last marker
_END, _SCAN, _FILL = 0xD9, 0xDA, 0xFF
# Frames: baseline, extended, progressive, with Huffman's codes; and all the others.
_DECODED: Final = (0xC0, 0xC1, 0xC2)
_OTHERS: Final = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_FRAMES: Final = (*_DECODED, *_OTHERS)
_BITS: Final = 8  # of a sample
_NOTES: Final = (0xDC, *range(0xE0, 0xF0), 0xFE)  # number of lines, APP0 to 15, COM
_CODES, _DIVISORS, _RESTARTS = 0xC4, 0xDB, 0xDD
_SEGMENTS: Final = (*_FRAMES, _SCAN, _CODES, _DIVISORS, _RESTARTS, *_NOTES)
_MAX_SEGMENTS: Final = 4096
MAX_BYTES: Final = 64 << 20
"""Looking for markers takes up to eight times as much memory."""
MAX_SCANS: Final = 64
"""Each costs the decoder as much as the first; progressive files have about ten."""
_RESTART: Final = 0xD0  # the first of eight, which are within scans
_PLACE, _ALONE = 3, 4  # where in what is kept of a frame
_NEVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Jpeg:
    """What a JPEG file says of itself; zeros where it does not.

    Attributes:
        size: Height and width: INT64, (2,).
        channels: How many it has, if it is of a kind that is decoded: INT64, (1,).
        frame: Where its frame is: INT64, (1,).
        scans: How many scans it has, up to one too many: INT64, (1,).
        stop: Where its end is, or what should not be there: INT64, (1,).
        is_end: Whether it is the end.
    """

    size: Value
    channels: Value
    frame: Value
    scans: Value
    stop: Value
    is_end: Value


def look(graph: Graph, data: Value, size: Value, is_jpeg: Value) -> Jpeg:
    """Go through a file, segment by segment and scan by scan.

    Args:
        graph: Where.
        data: The file, with 64 KiB of ends behind it: UINT8, (bytes).
        size: How large it is without them: INT64, ().
        is_jpeg: Whether it is one at all.
    """
    places = graph.choose(
        is_jpeg,
        TensorProto.INT64,
        lambda body: _markers(body, data),
        lambda body: body.op("Identity", np.zeros(0, np.int64)),
    )
    int64 = TensorProto.INT64
    firsts = [[2], [0, 0, 0, 0, 0], [0], [0], NOTHING]
    at, frame, scans, *_ = graph.loop(
        _MAX_SEGMENTS,
        [(first, int64) for first in firsts],
        partial(_step, data, size, places),
    )
    is_end = graph.op("Equal", number(graph, data, at, 2), (_FILL << 8) + _END)
    size, channels, place, _ = graph.ops("Split", 4, frame, [2, 1, 1, 1], axis=0)
    return Jpeg(size, channels, place, scans, at, is_end)


def _markers(graph: Graph, data: Value) -> Value:
    """Where a scan that goes by would end: all that is neither data nor a restart.

    Bytes that fill are left out: there may be nothing else in a file.
    """
    is_mark = graph.op("Equal", graph.op("Slice", data, [0], [-1]), np.uint8(_FILL))
    after = graph.op("Slice", data, [1], [_NEVER])
    for bits, value in ((_FILL, 0), (_FILL, _FILL), (~7 & _FILL, _RESTART)):
        some = graph.op("BitwiseAnd", after, np.uint8(bits))
        other = graph.op("Not", graph.op("Equal", some, np.uint8(value)))
        is_mark = graph.op("And", is_mark, other)
    return graph.op("Reshape", graph.op("NonZero", is_mark), [-1])


def _step(
    data: Value,
    size: Value,
    places: Value,
    body: Graph,
    _: Value,
    carried: tuple[Value, ...],
) -> tuple[Value, ...]:
    """A segment, with the scan behind it if it is the head of one."""
    at, frame, scans, over, known = carried
    kind = body.op("Sub", number(body, data, at, 2), _FILL << 8)
    length = number(body, data, body.op("Add", at, 2), 2)
    segment = Segment(data, at, length, body.op("Add", body.op("Add", at, 2), length))
    is_frame, is_scan = is_one_of(body, kind, _FRAMES), body.op("Equal", kind, _SCAN)
    few = body.op("LessOrEqual", scans, MAX_SCANS)
    in_turn = _is_in_turn(body, kind, (is_frame, is_scan), (frame, over))
    in_turn = body.op("And", few, in_turn)
    # One that leads out of the file leads to an end that is not the file's.
    inside = body.op("LessOrEqual", segment.end, size)
    own = _frame(body, data, at, kind)
    known = body.choose(
        body.op("And", in_turn, inside),
        TensorProto.INT64,
        partial(_after, kind, segment, body.op("Gather", frame, [_PLACE]), known),
        partial(_same, known),
    )
    following = body.choose(
        is_scan,
        TensorProto.INT64,
        partial(_behind_scan, places, segment.end),
        partial(_same, segment.end),
    )
    is_fill = body.op("Equal", kind, _FILL)
    following = body.op("Where", is_fill, body.op("Add", at, 1), following)
    goes_on = body.op("And", body.op("Or", in_turn, is_fill), is_right(known))
    channels = number(body, data, body.op("Add", at, 4), 1)
    has_all = body.op("Equal", channels, body.op("Gather", frame, [_ALONE]))
    return (
        goes_on,
        body.op("Where", goes_on, following, at),
        body.op("Where", is_frame, own, frame),
        body.op("Add", scans, whole(body.op("And", is_scan, in_turn))),
        body.op("Where", is_scan, whole(has_all), over),
        known,
    )


def _after(
    kind: Value, segment: Segment, framed: Value, known: Value, graph: Graph
) -> Value:
    """What is known after a segment, by its kind."""
    for kinds, check in (
        ([_CODES], jpeg_segments.codes),
        ([_DIVISORS], jpeg_segments.divisors),
        ([_RESTARTS], jpeg_segments.restarts),
        (_FRAMES, jpeg_segments.frame),
        ([_SCAN], partial(jpeg_segments.scan, framed=framed)),
    ):
        known = graph.choose(
            is_one_of(graph, kind, kinds),
            TensorProto.INT64,
            partial(check, segment=segment, known=known),
            partial(_same, known),
        )
    return known


def _same(value: Value, graph: Graph) -> Value:
    return graph.op("Identity", value)


def _is_in_turn(
    graph: Graph, kind: Value, what: tuple[Value, Value], before: tuple[Value, Value]
) -> Value:
    """Whether a segment may come: one frame, then scans, then nothing but notes."""
    is_frame, is_scan = what
    frame, over = before
    framed = graph.op("Greater", graph.op("Gather", frame, [_PLACE]), 0)
    again = graph.op("And", is_frame, framed)
    early = graph.op("And", is_scan, graph.op("Not", framed))
    is_note = is_one_of(graph, kind, _NOTES)
    late = graph.op("And", graph.op("Equal", over, 1), graph.op("Not", is_note))
    wrong = graph.op("Or", again, graph.op("Or", early, late))
    known = is_one_of(graph, kind, _SEGMENTS)
    return graph.op("And", known, graph.op("Not", wrong))


def _behind_scan(places: Value, start: Value, graph: Graph) -> Value:
    """Where the marker behind a scan's data is."""
    later = graph.op("GreaterOrEqual", places, start)
    later = graph.op("Where", later, places, _NEVER)
    return graph.op("ReduceMin", later, keepdims=1)


def _frame(graph: Graph, data: Value, at: Value, kind: Value) -> Value:
    """Height, width, channels, place; how many channels make a scan the only one."""
    height, width = (
        number(graph, data, graph.op("Add", at, place), 2) for place in (5, 7)
    )
    decoded = graph.op("Equal", number(graph, data, graph.op("Add", at, 4), 1), _BITS)
    decoded = graph.op("And", decoded, is_one_of(graph, kind, _DECODED))
    channels = number(graph, data, graph.op("Add", at, 9), 1)
    channels = graph.op("Where", decoded, channels, 0)
    alone = graph.op("Where", graph.op("Equal", kind, PROGRESSIVE), 0, channels)
    return graph.op("Concat", height, width, channels, at, alone, axis=0)
