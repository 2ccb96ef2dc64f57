"""Run the measurements; write docs/benchmarks.md and its plot, or print one of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import matplotlib as mpl

from benchmarks.latency import predict_against_in_process, sealed_against_plain
from benchmarks.page import DOCS, machine, put
from benchmarks.pauses import pauses
from benchmarks.proving import signing, verifying
from benchmarks.startup import startup
from benchmarks.upload import upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.latency import Comparison

mpl.use("svg")
from matplotlib import pyplot as plt

_GOALS = {
    "1x4 float32": "sealed <= 2x",
    "1x3x224x224 float32": "added <= 0.3 ms",
    "ResNet-18, 1 thread": "sealed <= 1.10x",
    "ResNet-18, 2 threads": "sealed <= 1.10x",
}


def _table(comparisons: list[Comparison]) -> list[str]:
    lines = [
        "| request | plain p50 (p95) ms | sealed p50 (p95) ms | ratio | added | goal |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.what} | {each.plain.p50:.2f} ({each.plain.p95:.2f}) "
        f"| {each.sealed.p50:.2f} ({each.sealed.p95:.2f}) "
        f"| {each.ratio:.2f}x | {each.added_ms:.2f} ms | {_GOALS.get(each.what, '')} |"
        for each in comparisons
    ]
    return lines


def measure_latency() -> list[str]:
    """Sealed against plain, and against no server at all."""
    comparisons = [
        *sealed_against_plain(),
        *predict_against_in_process(1),
        *predict_against_in_process(2),
    ]
    _plot(comparisons)
    return _table(comparisons)


def measure_pauses() -> list[str]:
    """The same, at once and after a pause."""
    return [
        "| what | at once p50 (p95) ms | after 16 ms p50 (p95) ms | ratio |",
        "|---|---|---|---|",
        *(
            f"| {each.what} | {each.at_once.p50:.3f} ({each.at_once.p95:.3f}) "
            f"| {each.after_pause.p50:.3f} ({each.after_pause.p95:.3f}) "
            f"| {each.after_pause.p50 / each.at_once.p50:.1f}x |"
            for each in pauses()
        ),
    ]


def measure_upload() -> list[str]:
    """Uploads of a quarter of a GiB and of one."""
    lines = [
        "| model | sent | served after | extra, receiving | extra, served | goal |",
        "|---|---|---|---|---|---|",
    ]
    for size in (256 << 20, 1 << 30):
        each = upload(size)
        lines.append(
            f"| {each.size_mib:.0f} MiB | {each.rate:.0f} MiB/s | {each.total_s:.1f} s "
            f"| {each.receiving_mib:.0f} MiB "
            f"| {each.serving_mib - each.size_mib:.0f} MiB "
            "| >= 250 MB/s, <= 64 MB |"
        )
    return lines


def measure_startup() -> list[str]:
    """Starting a client and a server."""
    each = startup()
    verified = "not measured" if each.verified_s is None else f"{each.verified_s:.2f}"
    return [
        "| what | s | goal |",
        "|---|---|---|",
        f"| `import blindai` | {each.imported_s:.3f} | |",
        f"| import and first verified connect | {each.connected_s:.2f} | <= 0.6 |",
        f"| `blindai serve` until it listens | {each.ready_s:.2f} | <= 2 |",
        f"| `blindai evidence verify`, processor time | {verified} | <= 0.4 |",
    ]


def measure_proofs() -> list[str]:
    """Signing and verifying."""
    lines = [
        "| what | without p50 ms | with p50 ms | added | proof file | goal |",
        "|---|---|---|---|---|---|",
    ]
    goals = ("added <= 0.2 ms", "", "added <= 2 ms", "")
    lines += [
        f"| {each.what} | {each.unsigned:.2f} | {each.signed:.2f} "
        f"| {each.added_ms:.2f} ms | {each.file_bytes} bytes | {goal} |"
        for each, goal in zip(signing(), goals, strict=True)
    ]
    each = verifying()
    rate = f"SHA-256: {each.hashed / 1e6:.0f} MB/s"
    return [
        *lines,
        f"| verifying offline | | {each.p50:.2f} | | {rate} | <= 15 ms |",
    ]


MEASUREMENTS: dict[str, Callable[[], list[str]]] = {
    "latency": measure_latency,
    "pauses": measure_pauses,
    "proofs": measure_proofs,
    "upload": measure_upload,
    "startup": measure_startup,
}


def _plot(comparisons: list[Comparison]) -> None:
    figure, axes = plt.subplots(figsize=(7, 2.6))
    names = [each.what for each in comparisons][::-1]
    for offset, label, color in (
        (0.2, "plain", "#9aa5b1"),
        (-0.2, "sealed", "#1f6feb"),
    ):
        values = [getattr(each, label).p50 for each in comparisons][::-1]
        places = [index + offset for index in range(len(names))]
        axes.barh(places, values, 0.38, label=label, color=color)
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    axes.set_xlabel("p50, milliseconds (log scale)")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    mpl.rcParams["svg.hashsalt"] = "blindai"
    figure.savefig(DOCS / "benchmarks.svg", metadata={"Date": None})


def main() -> None:
    """Run what the command line names, or everything into the documentation."""
    names = sys.argv[1:]
    for name in names:
        print("\n".join(MEASUREMENTS[name]()))
    if names:
        return
    page = DOCS / "benchmarks.md"
    text = page.read_text()
    for name, measure in {"machine": lambda: [machine()], **MEASUREMENTS}.items():
        text = put(text, name, measure())
    page.write_text(text)


if __name__ == "__main__":
    main()
