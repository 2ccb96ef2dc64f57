"""The arithmetic: from latencies to figures, from figures to tables."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Sample:
    """What one slice of time gave.

    Attributes:
        elapsed_s: How long it was.
        latencies_ms: Of the requests that ended within it and were answered.
        errors: What the others ended with, by name.
    """

    elapsed_s: float
    latencies_ms: tuple[float, ...]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """What several slices gave together.

    Attributes:
        rate: Answers a second.
        p50: Median latency in ms; the others are percentiles too.
        p95: 95 of 100 requests took no longer.
        p99: 99 of 100 requests took no longer.
        errors: How many requests ended with each error.
    """

    rate: float
    p50: float
    p95: float
    p99: float
    errors: tuple[tuple[str, int], ...] = ()


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed (nearest rank).

    Args:
        values: In ascending order.
        percent: More than 0, at most 100.
    """
    if not values:
        return math.nan
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


def combine(samples: Iterable[Sample]) -> Figure:
    """One figure of all slices: percentiles of all latencies, answers in all time."""
    parts = list(samples)
    latencies = sorted(each for part in parts for each in part.latencies_ms)
    elapsed = sum(part.elapsed_s for part in parts)
    errors = Counter(each for part in parts for each in part.errors)
    return Figure(
        rate=len(latencies) / elapsed if elapsed else math.nan,
        p50=percentile(latencies, 50),
        p95=percentile(latencies, 95),
        p99=percentile(latencies, 99),
        errors=tuple(errors.most_common()),
    )


def arrivals(rate: float, seconds: float, *, even: bool) -> list[float]:
    """When requests arrive, in seconds: evenly, or at random (a Poisson process)."""
    count = max(1, int(rate * seconds))
    if even:
        return [index / rate for index in range(count)]
    gaps = np.random.default_rng(count).exponential(1 / rate, count)
    return [float(each) for each in np.cumsum(gaps)]


def ratio(ours: float, theirs: float) -> str:
    """One as a multiple of the other, for a table."""
    if not theirs or math.isnan(ours) or math.isnan(theirs):
        return ""
    return f"{ours / theirs:.2f}x"


def number(value: float) -> str:
    """Three digits that matter, or all there are before the point."""
    if math.isnan(value):
        return "none"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(figure: Figure) -> str:
    """Rate and latencies; errors, where there were any, are never left out."""
    times = ", ".join(number(each) for each in (figure.p50, figure.p95, figure.p99))
    text = f"{number(figure.rate)} ({times})"
    failed = ", ".join(f"{count} {name}" for name, count in figure.errors)
    return f"{text} **{failed}**" if failed else text


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown.

    Raises:
        ValueError: If a row has not a cell for each title.
    """
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in rows:
        if len(row) != len(titles):
            raise ValueError(f"row: expected {len(titles)} cells, got {len(row)}")
        cells = (each.replace("|", "\\|").replace("\n", " ") for each in row)
        lines.append(f"| {' | '.join(cells)} |")
    return lines
