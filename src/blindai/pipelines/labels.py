"""What a classifier means: probabilities, the best of them, and their names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from blindai.errors import ConfigurationError, reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from blindai.pipelines.graph import Value

_KINDS: Final = ".txt with a name a line, or .json with a list or a table by number"


@dataclass(frozen=True, slots=True)
class Best:
    """The best classes, the very best first.

    Attributes:
        labels: Their names: BYTES, (rows, count).
        scores: How likely each is: FP32, (rows, count).
        numbers: Which each is: INT64, (rows, count).
    """

    labels: Value
    scores: Value
    numbers: Value


def read(path: Path) -> tuple[str, ...]:
    """Read the names of classes from a file.

    Raises:
        ConfigurationError: If it cannot be read, has none, or is of no kind that is
            known.
    """
    names = _read(path)
    if not names:
        raise ConfigurationError(f"labels {path}: expected names of classes, got none")
    return names


def _read(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"labels {path}: cannot be read: {reason(error)}"
        ) from error
    if path.suffix == ".txt":
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    if path.suffix == ".json":
        try:
            return _of_json(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"labels {path}: expected a list of names, or names by their numbers"
            ) from error
    raise ConfigurationError(f"labels {path}: expected {_KINDS}, got another file")


def softmax(scores: Value) -> Value:
    """Probabilities of scores, along the last dimension."""
    return scores.graph.op("Softmax", scores, axis=-1)


def top(scores: Value, names: Sequence[str], count: int = 5) -> Best:
    """The best classes, with their names.

    Args:
        scores: FP32, (rows, classes).
        names: Of all classes, in their order.
        count: How many are given.

    Raises:
        ConfigurationError: If there are fewer names than are asked for.
    """
    if not 1 <= count <= len(names):
        raise ConfigurationError(
            f"labels: expected 1 to {len(names)} of them, got {count}"
        )
    graph = scores.graph
    classes = graph.op("Gather", graph.op("Shape", scores), -1)
    scores = graph.require(
        scores,
        graph.op("Equal", classes, len(names)),
        f"labels: expected a model of {len(names)} classes, got another",
    )
    values, indices = graph.ops("TopK", 2, scores, [count], axis=-1)
    named = graph.op("Gather", np.array(list(names), object), indices)
    return Best(named, values, indices)


def _of_json(document: object) -> tuple[str, ...]:
    """Names in a document.

    Raises:
        ValueError: If it has not all, or one is no text.
    """
    if isinstance(document, dict):
        if set(document) != {str(number) for number in range(len(document))}:
            raise ValueError("gaps")
        document = [document[str(number)] for number in range(len(document))]
    if not isinstance(document, list) or not all(
        isinstance(name, str) for name in document
    ):
        raise ValueError("no names")
    "".join(document).encode()  # half a character is none
    return tuple(document)
