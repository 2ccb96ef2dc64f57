"""How a figure is taken: many pairs in turn, so that drift hits both sides alike."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Times:
    """Times of one thing, in milliseconds.

    Attributes:
        p50: Median.
        p95: 95th percentile.
    """

    p50: float
    p95: float


def alternate(
    actions: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 20
) -> dict[str, Times]:
    """Time several actions in turn: A B C A B C ..."""
    samples = sampled(actions, rounds, warmup)
    return {name: times(values) for name, values in samples.items()}


def sampled(
    actions: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 20
) -> dict[str, list[float]]:
    """As `alternate`, but what each took, in milliseconds."""
    samples: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(warmup):
        for action in actions.values():
            action()
    gc.collect()
    for _ in range(rounds):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            samples[name].append((time.perf_counter() - start) * 1e3)
    return samples


def timed(
    action: Callable[[], object],
    rounds: int,
    *,
    before: Callable[[], object] = lambda: None,
    warmup: int = 20,
) -> Times:
    """Time one action again and again; what goes before it is not timed."""
    samples: list[float] = []
    for round_ in range(warmup + rounds):
        before()
        start = time.perf_counter()
        action()
        if round_ >= warmup:
            samples.append((time.perf_counter() - start) * 1e3)
    return times(samples)


def times(values: list[float]) -> Times:
    """Median and 95th percentile of what something took."""
    return Times(statistics.median(values), statistics.quantiles(values, n=20)[18])
