"""The plots of docs/performance.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

from benchmarks.page import DOCS
from benchmarks.peers import registry, tables, visits
from benchmarks.peers.tasks import TASKS

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.ticker import NullFormatter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.peers import growth
    from benchmarks.peers.tables import Visits
    from benchmarks.peers.visits import Visit

_OURS = "#1f6feb"
_COLORS = ("#9aa5b1", "#d29922", "#3fb950", "#a371f7", "#db61a2", "#f0883e", "#56d4dd")
mpl.rcParams["svg.hashsalt"] = "blindai"


def rates(found: Mapping[str, Visits]) -> None:
    """Requests a second with 8 clients, a panel a model."""
    figure, panels = plt.subplots(1, len(found), figsize=(3.2 * len(found), 3.4))
    flat = [panels] if len(found) == 1 else list(panels)
    for axes, (task, visited) in zip(flat, found.items(), strict=True):
        bars = {}
        for name, ahead in ((tables.OURS, False), (tables.AHEAD, True)):
            seen = tables.typical(visited, visits.AT, ahead=ahead)
            bars[name] = seen.rate if seen else 0.0
        for name, visit in visited.items():
            pair = visit.pairs.get(visits.AT)
            bars[registry.PEERS[name].title] = pair.theirs.rate if pair else 0.0
        colors = [_OURS, _OURS] + [_COLORS[0]] * (len(bars) - 2)
        axes.barh(list(bars)[::-1], list(bars.values())[::-1], color=colors[::-1])
        axes.set_title(TASKS[task].title, fontsize=8)
        axes.set_xscale("log")
        axes.set_xlim(left=1)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        if axes is not flat[0]:
            axes.set_yticklabels([])
    figure.supxlabel("requests/s with 8 clients (log scale)", fontsize=8)
    _save(figure, "rates")


def clients(found: Visits, ours: Visit) -> None:
    """Rate by number of clients."""
    lines = {tables.OURS: ours} | {
        registry.PEERS[name].title: visit for name, visit in found.items() if visit.many
    }
    figure, axes = _lines("clients", "requests/s")
    for (name, visit), color in zip(lines.items(), (_OURS, *_COLORS), strict=False):
        counts = sorted(visit.many)
        axes.plot(
            counts,
            [visit.many[each].rate for each in counts],
            marker="o",
            label=name,
            color=color,
        )
    axes.legend(frameon=False, fontsize=7)
    _save(figure, "clients")


def sizes(found: Mapping[str, Mapping[int, float | str]]) -> None:
    """Latency by size of the input."""
    figure, axes = _lines("bytes of input", "p50, ms")
    for (name, by_size), color in zip(found.items(), (_OURS, *_COLORS), strict=False):
        points = {k: v for k, v in by_size.items() if not isinstance(v, str)}
        axes.plot(
            list(points), list(points.values()), marker="o", label=name, color=color
        )
    axes.legend(frameon=False, fontsize=7)
    _save(figure, "sizes")


def models(found: list[growth.Loaded]) -> None:
    """Memory and rate by number of models."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8))
    counts = [each.count for each in found]
    left.plot(counts, [each.memory_mib for each in found], marker="o", color=_OURS)
    left.set_ylabel("memory, MiB")
    left.set_ylim(bottom=0)
    for label, color, values in (
        ("one model", _OURS, [each.one.rate for each in found]),
        ("all in turn", _COLORS[0], [each.all.rate for each in found]),
    ):
        right.plot(counts, values, marker="o", label=label, color=color)
    right.set_ylabel("requests/s, 8 clients")
    right.set_ylim(bottom=0)
    right.legend(frameon=False, fontsize=7)
    for axes in (left, right):
        axes.set_xlabel("models")
        axes.spines[["top", "right"]].set_visible(False)
    _save(figure, "models")


def _lines(x: str, y: str) -> tuple[Figure, Axes]:
    figure, axes = plt.subplots(figsize=(7, 3.4))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, name: str) -> None:
    figure.tight_layout()
    file = DOCS / f"performance-{name}.svg"
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
