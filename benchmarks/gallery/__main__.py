"""Measure the ten; write their part of docs/models.md, or print some of them."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import matplotlib as mpl

from benchmarks.gallery.measure import Found, Measured
from benchmarks.gallery.tasks import TASKS
from benchmarks.measure import Times
from benchmarks.page import DOCS, ROOT, circumstances, put
from benchmarks.peers.figures import number, ratio, table

mpl.use("svg")
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = 20.0  # a comparison, from which on figures count
_FLOORS = {"floor": "sealing's floor", "protocol": "the protocol's"}
_GOALS = ((10.0, 1.03), (1.0, 1.10))  # ms in process, and how many times that sealed


def measured(name: str, seconds: float) -> Measured:
    """Measure a model in a process of its own, and in a session of its own.

    Servers have one each: where others use the machine, the kernel shares it among
    sessions, and both sides are to have as much.
    """
    command = [sys.executable, "-m", "benchmarks.gallery.measure", name, str(seconds)]
    with subprocess.Popen(  # noqa: S603  our own module
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            printed, _ = process.communicate()
        except BaseException:
            process.terminate()  # it ends its servers
            raise
    if process.returncode:
        sys.exit(f"{name}: expected figures, got exit code {process.returncode}")
    fields = json.loads(printed)
    found = {
        int(count): Found(
            **each | {way: Times(**each[way]) for way in ("here", "sealed", *_FLOORS)}
        )
        for count, each in fields.pop("found").items()
    }
    tract = fields.pop("tract")
    if isinstance(tract, dict):
        tract = Times(**tract)
    return Measured(**fields, found=found, tract=tract)


def models() -> list[str]:
    """What the ten are."""
    rows = [(each.title, f"{each.weights:,}", each.given) for each in TASKS.values()]
    return table(("model", "weights", "a request"), rows)


def times(found: Sequence[Measured]) -> list[str]:
    """How long each takes."""
    titles = (
        "p50 (p95) ms", "1 thread: in process", "sealed", "ratio", *_FLOORS.values(),
        "2 threads: in process", "sealed", "ratio", *_FLOORS.values(), "goal",
        "tract, 1 thread", "the original printed",
    )  # fmt: skip
    return table(titles, [_row(each) for each in found])


def _row(measured: Measured) -> list[str]:
    task = TASKS[measured.name]
    cells = [task.title]
    for each in measured.found.values():
        cells += [_cell(each.here), _cell(each.sealed)]
        ways = (each.sealed, *(getattr(each, floor) for floor in _FLOORS))
        cells += [ratio(way.p50, each.here.p50) for way in ways]
    tract = measured.tract
    cells += [_goal(measured), tract if isinstance(tract, str) else _cell(tract)]
    return [*cells, f"{task.printed_ms} ms" if task.printed_ms else ""]


def _goal(measured: Measured) -> str:
    """The goal, and whether each number of threads meets it."""
    words = []
    for threads, each in measured.found.items():
        goal = next((times for ms, times in _GOALS if each.here.p50 > ms), None)
        if goal is not None:
            words.append((f"<= {goal:.2f}x", threads, _verdict(each, goal)))
    goals = {goal for goal, _, _ in words}
    results = {result for _, _, result in words}
    if len(goals) == 1 and len(results) == 1 and len(words) == len(measured.found):
        return f"{goals.pop()}: {results.pop()}"
    return "; ".join(f"{goal} ({n}): {result}" for goal, n, result in words) or "none"


def _verdict(found: Found, goal: float) -> str:
    """Whether a goal is met, or else which of the floors misses it too."""
    most = goal * found.here.p50
    if found.sealed.p50 <= most:
        return "met"
    missed = [
        title for floor, title in _FLOORS.items() if getattr(found, floor).p50 > most
    ]
    return f"missed, by {missed[0]} too" if missed else "**missed**"


def _cell(times: Times) -> str:
    return f"{number(times.p50)} ({number(times.p95)})"


def memory(found: Sequence[Measured]) -> list[str]:
    """How much memory each takes, at most."""
    rows = []
    for each in found:
        cells = [TASKS[each.name].title, f"{each.megabytes / 1.048576:.0f}"]
        for by_threads in each.found.values():
            cells += [f"{by_threads.here_mib:.0f}", f"{by_threads.sealed_mib:.0f}"]
        rows.append(cells)
    titles = (
        "peak, MiB", "file", "1 thread: in process", "the server",
        "2 threads: in process", "the server",
    )  # fmt: skip
    return table(titles, rows)


def plot(found: Sequence[Measured]) -> None:
    """Medians with one thread."""
    figure, axes = plt.subplots(figsize=(7, 3.8))
    order = sorted(found, key=lambda each: -each.found[1].here.p50)
    names = [TASKS[each.name].title for each in order]
    bars = (
        (0.27, "in process", "#9aa5b1", [each.found[1].here for each in order]),
        (0.0, "sealed", "#1f6feb", [each.found[1].sealed for each in order]),
        (-0.27, "tract", "#d29922", [each.tract for each in order]),
    )
    for offset, label, color, values in bars:
        medians = [each.p50 if isinstance(each, Times) else 0 for each in values]
        places = [index + offset for index in range(len(names))]
        axes.barh(places, medians, 0.26, label=label, color=color)
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    axes.set_xlabel("p50 with one thread, milliseconds (log scale)")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    mpl.rcParams["svg.hashsalt"] = "blindai"
    figure.savefig(DOCS / "models.svg", metadata={"Date": None})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gallery")
    parser.add_argument("only", nargs="*", choices=[*TASKS, []])
    parser.add_argument("--seconds", type=float, default=_SECONDS)
    return parser.parse_args()


def main() -> None:
    """Write the page if everything was asked for; print the tables in any case."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are ended
    quiet, start = os.getloadavg()[0], time.monotonic()
    found = []
    for name in given.only or TASKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found.append(measured(name, given.seconds))
    command = f"make bench-models SECONDS={given.seconds:g}"
    run = circumstances(command, quiet, short=given.seconds < _SECONDS)
    run.append(f"The run took {(time.monotonic() - start) / 60:.0f} minutes.")
    blocks = {
        "run": run, "ten": models(), "times": times(found), "memory": memory(found)
    }  # fmt: skip
    print("\n\n".join("\n".join(lines) for lines in blocks.values()))
    if not given.only:
        page = DOCS / "models.md"
        text = page.read_text()
        for name, lines in blocks.items():
            text = put(text, name, lines)
        page.write_text(text)
        plot(found)


if __name__ == "__main__":
    main()
