"""Whether the segments of a JPEG file say what a decoder can go by.

What is let through here libjpeg 9 takes. Where it takes more than T.81 has, this is as
strict as T.81, but for the frequencies of baseline files, which many get wrong.

ITU-T T.81, B.2.2 (frame), B.2.3 (scan), B.2.4 (tables), C.2 (codes), G.1 (progressive).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import TensorProto

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from blindai.pipelines.graph import Graph, Value

    Read = Callable[[Graph, Value, Value], tuple[Value, Value, Value]]

FRAME_BYTES: Final = 10  # of a frame's segment, before the first channel
EXTENDED, PROGRESSIVE = 0xC1, 0xC2
_AC, _DIVISORS, _WRONG = 4, 8, 12
NOTHING: Final = (0,) * (_WRONG + 1)
"""What is known before the first segment: none of four tables of codes for means (DC),
of codes for the rest (AC) and of divisors; last, that something was wrong."""
_TABLES: Final = 4  # of each kind
_MOST_TABLES: Final = 16  # in a segment; there are no more than twelve
_RESTART_BYTES: Final = 4
_CODE_BITS: Final = 16  # of the longest code
_CODES: Final = 256  # the most of a table
_MEAN_BITS: Final = 15  # the most that the difference of two means takes
_BLOCK: Final = 64  # numbers
_SAMPLES: Final = 4  # the most each way
_BLOCKS: Final = 10  # the most that are decoded together
_SHIFT: Final = 13  # the most of a progressive scan
_PAIRS: Final = (0, 0, 1), (1, 2, 2)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment.

    Attributes:
        data: The file: UINT8, (bytes).
        at: Where it is: INT64, (1,), as the others.
        length: What it says of its length, without its marker.
        end: Where it ends.
    """

    data: Value
    at: Value
    length: Value
    end: Value


@dataclass(frozen=True, slots=True)
class _Channels:
    """The channels of a frame; where it has one, that one three times. INT64, (3,).

    `there` is 0 for those that only make it three.
    """

    there: Value
    names: Value
    across: Value
    down: Value
    divisors: Value


def number(graph: Graph, data: Value, at: Value | int, size: int) -> Value:
    """A whole number, most significant byte first: INT64, (1,)."""
    digits = _bytes(graph, data, graph.op("Add", graph.value(np.arange(size)), at))
    weights = 256 ** np.arange(size - 1, -1, -1, dtype=np.int64)
    return graph.op("ReduceSum", graph.op("Mul", digits, weights), keepdims=1)


def is_one_of(graph: Graph, value: Value, of: Iterable[int]) -> Value:
    """Whether a number is one of some."""
    same = graph.op("Equal", value, np.array(tuple(of), np.int64))
    counted = graph.op("ReduceMax", whole(same), keepdims=1)
    return graph.op("Greater", counted, 0)


def whole(truth: Value) -> Value:
    """1 for true, 0 for false: INT64."""
    return truth.graph.op("Cast", truth, to=TensorProto.INT64)


def is_right(known: Value) -> Value:
    """Whether nothing was wrong so far."""
    graph = known.graph
    return graph.op("Equal", graph.op("Gather", known, [_WRONG]), 0)


def codes(graph: Graph, segment: Segment, known: Value) -> Value:
    """What is known after a segment of Huffman's codes (DHT)."""
    return _tables(graph, segment, known, _read_codes)


def divisors(graph: Graph, segment: Segment, known: Value) -> Value:
    """What is known after a segment of divisors (DQT)."""
    return _tables(graph, segment, known, _read_divisors)


def restarts(graph: Graph, segment: Segment, known: Value) -> Value:
    """What is known after a segment that says how often restarts come (DRI)."""
    return _unless(graph, known, graph.op("Equal", segment.length, _RESTART_BYTES))


def frame(graph: Graph, segment: Segment, known: Value) -> Value:
    """What is known after a frame (SOF) of one channel or of three."""
    count = number(graph, segment.data, graph.op("Add", segment.at, 9), 1)
    own = _channels(graph, segment.data, segment.at)
    length = graph.op("Add", graph.op("Mul", count, 3), FRAME_BYTES - 2)
    pairs = (graph.op("Gather", own.names, np.array(each)) for each in _PAIRS)
    differ = _every(graph, graph.op("Not", graph.op("Equal", *pairs)))
    holds = [
        graph.op("Equal", segment.length, length),
        graph.op("Or", graph.op("Equal", count, 1), differ),
    ]
    for samples in (own.across, own.down):
        some = graph.op("Max", samples, 1)  # nothing is divided by 0
        most = graph.op("ReduceMax", some, keepdims=1)
        holds += [
            _every(graph, graph.op("Equal", samples, some)),
            graph.op("LessOrEqual", most, _SAMPLES),
            _every(graph, graph.op("Equal", graph.op("Mod", most, some), 0)),
        ]
    return _unless(graph, known, _all(graph, holds))


def scan(graph: Graph, segment: Segment, framed: Value, known: Value) -> Value:
    """What is known after the head of a scan (SOS).

    Args:
        graph: Where.
        segment: The head.
        framed: Where the frame is: INT64, (1,).
        known: What is known before.
    """
    data = segment.data
    count = number(graph, data, graph.op("Add", segment.at, 4), 1)
    first = graph.op("Add", segment.at, 5)
    places = _spread(graph, first, count, 2)
    chosen = _bytes(graph, data, graph.op("Add", places, 1))
    tables = (
        _every(graph, _known(graph, known, 0, graph.op("Div", chosen, 16))),
        _every(graph, _known(graph, known, _AC, graph.op("Mod", chosen, 16))),
    )
    twice = graph.op("Mul", count, 2)
    span = graph.op("Add", graph.value(np.arange(3)), graph.op("Add", first, twice))
    kind = number(graph, data, graph.op("Add", framed, 1), 1)
    own, names = _channels(graph, data, framed), _bytes(graph, data, places)
    holds = [
        graph.op("Equal", segment.length, graph.op("Add", twice, 6)),
        _are_of_frame(graph, own, names, count, known),
        _is_span(graph, kind, _bytes(graph, data, span), count, tables),
    ]
    return _unless(graph, known, _all(graph, holds))


def _are_of_frame(
    graph: Graph, own: _Channels, names: Value, count: Value, known: Value
) -> Value:
    """Whether a scan's channels are the frame's, each once, and have their divisors."""
    rows, columns = (
        graph.op("Unsqueeze", names, [1]),
        graph.op("Unsqueeze", own.names, [0]),
    )
    same = whole(graph.op("Equal", rows, columns))
    used = graph.op("Mul", graph.op("ReduceMax", same, [0], keepdims=0), own.there)
    blocks = graph.op("Mul", graph.op("Mul", own.across, own.down), used)
    few = graph.op("LessOrEqual", graph.op("ReduceSum", blocks, keepdims=1), _BLOCKS)
    divided = _known(graph, known, _DIVISORS, own.divisors)
    return _all(
        graph,
        [
            graph.op("Greater", count, 0),
            graph.op("Equal", graph.op("ReduceSum", used, keepdims=1), count),
            graph.op("Or", graph.op("Equal", count, 1), few),
            _every(graph, graph.op("Or", divided, graph.op("Equal", used, 0))),
        ],
    )


def _is_span(
    graph: Graph, kind: Value, span: Value, count: Value, tables: tuple[Value, Value]
) -> Value:
    """Whether a scan has frequencies that may be together, and the tables for them."""
    means, rest = tables
    begin, end, shifts = graph.ops("Split", 3, span, [1, 1, 1], axis=0)
    high, low = graph.op("Div", shifts, 16), graph.op("Mod", shifts, 16)
    of_means, is_first = graph.op("Equal", begin, 0), graph.op("Equal", high, 0)
    of_rest = graph.op("Not", of_means)
    inside = graph.op(
        "And", graph.op("LessOrEqual", begin, end), _less(graph, end, _BLOCK)
    )
    alone = graph.op("And", inside, graph.op("Equal", count, 1))
    first_means = graph.op("And", of_means, is_first)
    by_parts = [
        graph.op("Or", of_rest, graph.op("Equal", end, 0)),
        graph.op("Or", of_means, graph.op("And", alone, rest)),
        graph.op("Or", is_first, graph.op("Equal", low, graph.op("Sub", high, 1))),
        graph.op("LessOrEqual", low, _SHIFT),
        graph.op("Or", graph.op("Not", first_means), means),
    ]
    whole_blocks = graph.op("Equal", end, _BLOCK - 1)
    baseline = graph.op("Not", graph.op("Equal", kind, EXTENDED))
    at_once = [means, rest, graph.op("Or", baseline, whole_blocks)]
    progressive = graph.op("Equal", kind, PROGRESSIVE)
    return graph.op(
        "Or",
        graph.op("And", progressive, _all(graph, by_parts)),
        graph.op("And", graph.op("Not", progressive), _all(graph, at_once)),
    )


def _tables(graph: Graph, segment: Segment, known: Value, read: Read) -> Value:
    """What is known after a segment of tables, each as `read` reads it.

    `read` says of a place whether a table is there, where it ends, and which it is.
    """

    def step(
        body: Graph, _: Value, carried: tuple[Value, ...]
    ) -> tuple[Value, Value, Value, Value]:
        at, _, there = carried
        is_one, end, which = read(body, segment.data, at)
        mine = body.op("Equal", which, np.arange(len(NOTHING)))
        there = body.op("Where", mine, 1, there)
        more = body.op("Less", end, segment.end)
        return body.op("And", is_one, more), end, whole(is_one), there

    int64 = TensorProto.INT64
    start, none = graph.op("Add", segment.at, 4), graph.value([0])
    firsts = [(each, int64) for each in (start, none, known)]
    at, is_one, there = graph.loop(_MOST_TABLES, firsts, step)
    at_end = graph.op("Equal", at, segment.end)
    return _unless(graph, there, graph.op("And", graph.op("Equal", is_one, 1), at_end))


def _read_codes(graph: Graph, data: Value, at: Value) -> tuple[Value, Value, Value]:
    """A table of Huffman's codes: how many there are of each length, what they mean."""
    which = number(graph, data, at, 1)
    kind, place = graph.op("Div", which, 16), graph.op("Mod", which, 16)
    lengths = graph.op("Add", graph.value(np.arange(1, _CODE_BITS + 1)), at)
    counts = _bytes(graph, data, lengths)
    total = graph.op("ReduceSum", counts, keepdims=1)
    # Of all codes of 16 bits, how many begin with one of these; the last none may.
    room = 2 ** np.arange(_CODE_BITS - 1, -1, -1, dtype=np.int64)
    taken = graph.op("ReduceSum", graph.op("Mul", counts, room), keepdims=1)
    begin = graph.op("Add", at, 1 + _CODE_BITS)
    end = graph.op("Add", begin, total)
    meanings = graph.op(
        "Cast", graph.op("Slice", data, begin, end), to=TensorProto.INT64
    )
    meanings = graph.op("Concat", meanings, [0], axis=0)
    most = graph.op("ReduceMax", meanings, keepdims=1)
    holds = [
        _less(graph, kind, 2),
        _less(graph, place, _TABLES),
        graph.op("LessOrEqual", total, _CODES),
        _less(graph, taken, 1 << _CODE_BITS),
        graph.op(
            "Or", graph.op("Equal", kind, 1), graph.op("LessOrEqual", most, _MEAN_BITS)
        ),
    ]
    mine = graph.op("Add", graph.op("Mul", kind, _AC), place)
    return _all(graph, holds), end, mine


def _read_divisors(graph: Graph, data: Value, at: Value) -> tuple[Value, Value, Value]:
    """A table of divisors, of one byte each or of two."""
    which = number(graph, data, at, 1)
    wide, place = graph.op("Div", which, 16), graph.op("Mod", which, 16)
    size = graph.op("Mul", graph.op("Add", wide, 1), _BLOCK)
    end = graph.op("Add", graph.op("Add", at, 1), size)
    holds = graph.op("And", _less(graph, wide, 2), _less(graph, place, _TABLES))
    return holds, end, graph.op("Add", place, _DIVISORS)


def _channels(graph: Graph, data: Value, at: Value) -> _Channels:
    """What a frame says of its channels."""
    count = number(graph, data, graph.op("Add", at, 9), 1)
    places = _spread(graph, graph.op("Add", at, FRAME_BYTES), count, 3)
    names, samples, divided = (
        _bytes(graph, data, graph.op("Add", places, offset)) for offset in range(3)
    )
    across, down = graph.op("Div", samples, 16), graph.op("Mod", samples, 16)
    there = whole(graph.op("Less", graph.value(np.arange(3)), count))
    return _Channels(there, names, across, down, divided)


def _spread(graph: Graph, first: Value, count: Value, size: int) -> Value:
    """The places of three things of a size; where there are fewer, the last's again."""
    last = graph.op("Max", graph.op("Sub", count, 1), 0)
    which = graph.op("Min", graph.value(np.arange(3)), last)
    return graph.op("Add", first, graph.op("Mul", which, size))


def _known(graph: Graph, known: Value, start: int, which: Value) -> Value:
    """Which of some tables there are, of those of a kind."""
    place = graph.op("Add", graph.op("Min", which, _TABLES - 1), start)
    there = graph.op("Equal", graph.op("Gather", known, place), 1)
    return graph.op("And", there, _less(graph, which, _TABLES))


def _unless(graph: Graph, known: Value, holds: Value) -> Value:
    """What is known, and that something is wrong unless this holds."""
    wrong = graph.op("And", graph.op("Not", holds), np.arange(len(NOTHING)) == _WRONG)
    return graph.op("Where", wrong, 1, known)


def _bytes(graph: Graph, data: Value, places: Value) -> Value:
    return graph.op("Cast", graph.op("Gather", data, places), to=TensorProto.INT64)


def _less(graph: Graph, number: Value, most: int) -> Value:
    return graph.op("Less", number, most)


def _every(graph: Graph, truths: Value) -> Value:
    least = graph.op("ReduceMin", whole(truths), keepdims=1)
    return graph.op("Equal", least, 1)


def _all(graph: Graph, truths: list[Value]) -> Value:
    return reduce(lambda one, other: graph.op("And", one, other), truths)
