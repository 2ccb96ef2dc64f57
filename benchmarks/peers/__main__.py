"""Run the comparison; write docs/performance.md and its plots, or print parts of it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.page import DOCS, circumstances, put
from benchmarks.peers import growth, install, load, plots, registry, tables
from benchmarks.peers.tasks import TASKS
from benchmarks.peers.visits import Plan, Visit, alone, say, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers.tables import Visits

PARTS = ("load", "memory", "clients", "upload", "models", "sizes")
_SECONDS = 3.0  # a figure, from which on figures count


@dataclass(slots=True)
class Run:
    """What was asked for, and what was found.

    Attributes:
        seconds: For each figure.
        tasks: Names of the models.
        parts: Names of the parts.
        peers: Those that take part.
        found: Visits by model and peer.
        ours: What was measured of blindai alone, by model.
    """

    seconds: float
    tasks: list[str]
    parts: list[str]
    peers: dict[str, registry.Peer]
    found: dict[str, Visits] = field(default_factory=dict)
    ours: dict[str, Visit] = field(default_factory=dict)

    def measure(self) -> Iterator[tuple[str, list[str]]]:
        """Give the name and the lines of each table, when it is known."""
        yield "peers", tables.peers(self.peers)
        for name in self.tasks:
            self._visit(name)
            yield name, tables.rates(self.found[name])
        if set(self.tasks) == set(TASKS):
            plots.rates(self.found)
        yield "goals", tables.goals(self.found)
        yield from self._of_visits()
        if "upload" in self.parts:
            with tempfile.TemporaryDirectory(dir=install.BENCH) as folder:
                yield "upload", tables.upload(growth.large_upload(Path(folder)))
        if "models" in self.parts:
            loaded = growth.by_models(self.seconds)
            plots.models(loaded)
            yield "models", tables.models(loaded)
        if "sizes" in self.parts:
            yield "sizes", self._sizes()

    def _visit(self, name: str) -> None:
        many = name == "tiny" and "clients" in self.parts
        plan = Plan(self.seconds, loaded="load" in self.parts, many=many)
        self.ours[name] = alone(TASKS[name], plan)
        self.found[name] = {
            each.name: visit(each, TASKS[name], plan) for each in self.peers.values()
        }

    def _of_visits(self) -> Iterator[tuple[str, list[str]]]:
        if "load" in self.parts:
            yield "load", tables.load(self.found, self.ours)
        if "tiny" not in self.found:
            return
        found, ours = self.found["tiny"], self.ours["tiny"]
        if "memory" in self.parts:
            yield "memory", tables.memory(found, ours, growth.empty_mib())
        if "clients" in self.parts:
            plots.clients(found, ours)
            yield "clients", tables.clients(found, ours)

    def _sizes(self) -> list[str]:
        found = {tables.OURS: growth.by_size(None, self.seconds / 3)}
        for each in self.peers.values():
            found[each.title] = growth.by_size(each, self.seconds / 3)
        plots.sizes(found)
        return tables.sizes(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("only", nargs="*", choices=[*TASKS, *PARTS, []])
    parser.add_argument("--seconds", type=float, default=_SECONDS)
    parser.add_argument("--peers", nargs="*", choices=[*registry.PEERS], default=[])
    return parser.parse_args()


def _run_of(given: argparse.Namespace) -> Run:
    parts = [each for each in given.only if each in PARTS]
    tasks = [each for each in given.only if each in TASKS]
    if {"memory", "clients"} & set(parts) and "tiny" not in tasks:
        tasks.append("tiny")
    if parts == ["load"] and not tasks:
        tasks = list(TASKS)
    names = given.peers or list(registry.PEERS)
    return Run(
        seconds=given.seconds,
        tasks=tasks if given.only else list(TASKS),
        parts=parts if given.only else list(PARTS),
        peers={name: registry.PEERS[name] for name in names},
    )


def main() -> None:
    """Write the page if everything was asked for; print the tables in any case."""
    given = _arguments()
    whole = not given.only and not given.peers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are ended
    load.allow_files()
    install.BENCH.mkdir(exist_ok=True)
    start = time.monotonic()
    command = f"make bench-peers SECONDS={given.seconds:g}"
    short = given.seconds < _SECONDS
    blocks = {"run": circumstances(command, os.getloadavg()[0], short=short)}
    for name, lines in _run_of(given).measure():
        blocks[name] = lines
        print("\n".join(["", f"## {name}", "", *lines]), flush=True)
    minutes = (time.monotonic() - start) / 60
    blocks["run"].append(f"The run took {minutes:.0f} minutes.")
    print("\n".join(["", *blocks["run"]]))
    if whole:
        page = DOCS / "performance.md"
        text = page.read_text()
        for name, lines in blocks.items():
            text = put(text, name, lines)
        page.write_text(text)
        say(f"written: {page}")


if __name__ == "__main__":
    main()
