"""Texts in graphs: their limits, their characters, tokens side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import TensorProto

from blindai.pipelines.graph import EXTENSIONS

if TYPE_CHECKING:
    from blindai.pipelines.graph import Value

_MARK: Final = "\x01"  # stands between characters
_CUT: Final = "\ufdd2"  # stands where a text is cut; no text has it, says Unicode
END: Final = "\x02"
"""Stands behind a text, where several are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLimits:
    """How much text is taken; for more the run fails before anything is done with it.

    Attributes:
        texts: How many.
        characters: Of all of them together.
    """

    texts: int = 64
    characters: int = 100_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """Texts as numbers, as long as the longest.

    Attributes:
        ids: INT64, (texts, tokens).
        mask: 1 where there is a token, 0 where a text has ended: INT64, likewise.
    """

    ids: Value
    mask: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stands around tokens.

    Attributes:
        before: The token that every text begins with, if any.
        after: The token that every text ends with, if any.
        padding: The token behind it.
        length: The most tokens, those two among them; more are cut off.
    """

    before: int | None
    after: int | None
    padding: int
    length: int


def limited(texts: Value, limits: TextLimits) -> Value:
    """Texts, if they are not too many or too long, and have no NUL; else the run fails.

    Operators of onnxruntime-extensions take a NUL for the end.

    Args:
        texts: BYTES, (texts).
        limits: How much is taken.
    """
    graph = texts.graph
    few = graph.op("LessOrEqual", graph.op("Size", texts), limits.texts)
    texts = graph.require(
        texts, few, f"text: expected at most {limits.texts} texts, got more"
    )
    plain = graph.op("RegexFullMatch", texts, pattern=r"(?s)[^\x00]*")
    plain = graph.op("Concat", graph.op("Not", plain), np.zeros(1, np.bool_), axis=0)
    marks = graph.op("ReduceMax", graph.op("Cast", plain, to=TensorProto.INT32))
    none = graph.op("Equal", marks, np.int32(0))
    texts = graph.require(texts, none, "text: expected no NUL character, got one")
    lengths = graph.op(f"{EXTENSIONS}:StringLength", texts)
    graph.known(lengths, TensorProto.INT64, [None])
    total = graph.op("ReduceSum", lengths, keepdims=1)
    short = graph.op("LessOrEqual", total, limits.characters)
    return graph.require(
        texts,
        short,
        f"text: expected at most {limits.characters} characters, got more",
    )


def replace(texts: Value, pattern: str, by: str) -> Value:
    """Replace all matches of a regular expression (RE2).

    Args:
        texts: BYTES, (texts).
        pattern: What is replaced.
        by: What by; a backslash and a digit stand for a group of the pattern.
    """
    graph = texts.graph
    result = graph.op(
        f"{EXTENSIONS}:StringRegexReplace", texts, [pattern], [by], global_replace=1
    )
    return graph.known(result, TensorProto.STRING, [None])


def change_characters(texts: Value, changes: bytes) -> Value:
    """Change each character by a table.

    Args:
        texts: BYTES, (texts), without control characters.
        changes: Lines of a character, a tabulator and what becomes of it.
    """
    graph = texts.graph
    marked = replace(in_one(texts), "(?s)(.)", f"\\1{_MARK}")
    characters, _ = graph.ops("StringSplit", 2, marked, delimiter=_MARK)
    changed = graph.op(f"{EXTENSIONS}:StringMapping", characters, map=changes)
    graph.known(changed, TensorProto.STRING, [None, None])
    apart, _ = graph.ops("StringSplit", 2, join(changed), delimiter=END)
    return graph.op("Slice", graph.op("Reshape", apart, [-1]), [0], [-1])


def in_one(texts: Value, end: str = END) -> Value:
    """Texts one after the other, each with its end: BYTES, (1,)."""
    graph = texts.graph
    row = graph.op("Unsqueeze", graph.op("Concat", texts, [""], axis=0), [0])
    return _joined(row, end)


def join(parts: Value) -> Value:
    """Texts from their parts: (texts, parts) to (texts)."""
    graph = parts.graph
    # The operator ends the process where there is no part, or no text.
    rows, columns = graph.ops("Split", 2, graph.op("Shape", parts), [1, 1], axis=0)
    column = graph.op("Expand", [""], graph.op("Concat", rows, [1], axis=0))
    parts = graph.op("Concat", parts, column, axis=1)
    wider = graph.op("Add", columns, 1)
    row = graph.op("Expand", [""], graph.op("Concat", [1], wider, axis=0))
    joined = _joined(graph.op("Concat", parts, row, axis=0), "")
    return graph.op("Slice", joined, [0], [-1])


def _joined(parts: Value, separator: str) -> Value:
    graph = parts.graph
    joined = graph.op(f"{EXTENSIONS}:StringJoin", parts, [separator], [1])
    return graph.known(joined, TensorProto.STRING, [None])


def pieces(texts: Value, pattern: str) -> Value:
    """Texts cut out around each match of a regular expression: BYTES, (texts, pieces).

    Args:
        texts: BYTES, (texts).
        pattern: What is cut out, as a group.
    """
    graph = texts.graph
    marked = replace(texts, pattern, f"{_CUT}\\1{_CUT}")
    return graph.ops("StringSplit", 2, marked, delimiter=_CUT)[0]


def side_by_side(flat: Value, begins: Value, counts: Value, frame: Frame) -> Tokens:
    """Tokens of all texts, one after the other, as rows.

    Args:
        flat: All tokens: INT64, (all).
        begins: Where each text's begin: INT64, (texts).
        counts: How many it has: INT64, (texts).
        frame: What stands around them.
    """
    graph = flat.graph
    before, after = (0 if each is None else 1 for each in (frame.before, frame.after))
    counts = graph.op("Min", counts, frame.length - before - after)
    lengths = graph.op("Unsqueeze", graph.op("Add", counts, before + after), [1])
    widest = graph.op("Concat", graph.op("Reshape", lengths, [-1]), [1], axis=0)
    width = graph.op("ReduceMax", widest, keepdims=0)
    places = graph.op("Range", 0, width, 1)
    sources = graph.op("Add", graph.op("Unsqueeze", begins, [1]), places)
    if before:
        sources = graph.op("Max", graph.op("Sub", sources, 1), 0)
    flat = graph.op("Concat", flat, [frame.padding], axis=0)
    last = graph.op("Sub", graph.op("Size", flat), 1)
    ids = graph.op("Gather", flat, graph.op("Min", sources, last))
    if frame.before is not None:
        ids = graph.op("Where", graph.op("Equal", places, 0), frame.before, ids)
    if frame.after is not None:
        at_end = graph.op("Equal", places, graph.op("Sub", lengths, 1))
        ids = graph.op("Where", at_end, frame.after, ids)
    inside = graph.op("Less", places, lengths)
    ids = graph.op("Where", inside, ids, frame.padding)
    return Tokens(ids, graph.op("Cast", inside, to=TensorProto.INT64))


def sums(numbers: Value, groups: Value, count: Value) -> Value:
    """Sums of the numbers of each group: INT64, (count).

    Args:
        numbers: INT64, (numbers).
        groups: The group of each, from 0: INT64, (numbers).
        count: How many groups there are: INT64, (1,).
    """
    graph = numbers.graph
    zeros = graph.op("Expand", 0, count)
    return graph.op("ScatterElements", zeros, groups, numbers, axis=0, reduction="add")


def lookup(texts: Value, numbers: dict[str, int], unknown: int) -> Value:
    """The number of each text: INT64, of the same shape."""
    return texts.graph.op(
        "ai.onnx.ml:LabelEncoder",
        texts,
        keys_strings=list(numbers),
        values_int64s=list(numbers.values()),
        default_int64=unknown,
    )


def texts_of(numbers: Value, texts: dict[int, str]) -> Value:
    """The text of each number, empty where there is none: BYTES, of the same shape."""
    return numbers.graph.op(
        "ai.onnx.ml:LabelEncoder",
        numbers,
        keys_int64s=list(texts),
        values_strings=list(texts.values()),
        default_string="",
    )
