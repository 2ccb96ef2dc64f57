"""How the demo is told: numbered steps, their times, and a few lines about each."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from blindai.cli.transcript_table import FAILED, LEFT_OPEN, PASSED, read_line, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, RenderableType

    from blindai.cli.demo_search import Secret
    from blindai.transcript import Transcript

_TOLD_CHECKS = (
    "root certificate",
    "report signature",
    "report data",
    "nonce",
    "debug mode",
    "measurement",
)
_BYTES_A_LINE = 16


class Story:
    """Tells the steps on a console.

    Args:
        console: Where.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._step = 0

    def begin(self, title: str, words: str, warning: str) -> None:
        """The title, what this is about, and what it is not."""
        self._console.print(Rule(Text(title, style="bold"), characters="\u2500"))
        self._console.print(words)
        self._console.print(warning, style="red")

    @contextmanager
    def step(self, title: str, waiting: str) -> Iterator[None]:
        """A numbered step; its title and time are printed once it is done."""
        self._step += 1
        started = time.monotonic()
        with self._console.status(waiting):
            yield
        took = time.monotonic() - started
        heading = Table.grid(expand=True)
        heading.add_column(ratio=1)
        heading.add_column(justify="right", style="dim", no_wrap=True)
        heading.add_row(Text(f"{self._step}. {title}", style="bold"), f"{took:.2f} s")
        self._console.print()
        self._console.print(heading)

    def say(self, words: str | Text) -> None:
        """A few words about the step."""
        self._indent(words if isinstance(words, Text) else Text(words))

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Names and values."""
        table = _grid(2)
        for name, value in facts:
            table.add_row(Text(name, style="dim"), Text(value))
        self._indent(table)

    def transcript(self, transcript: Transcript) -> None:
        """What was checked: the lines that mean most, and how many there are."""
        self.marked(
            (line.mark, line.name, line.seen)
            for line in map(read_line, transcript.checks)
            if line.name in _TOLD_CHECKS
        )
        self.say(f"{summarise(transcript)} (blindai verify shows all)")

    def marked(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Lines with a mark: how something ended, its name, and more."""
        styles = {PASSED: "green", FAILED: "bold red", LEFT_OPEN: "dim"}
        table = _grid(3)
        for mark, name, more in rows:
            table.add_row(Text(mark, style=styles[mark]), Text(name), Text(more))
        self._indent(table)

    def searched(self, secrets: Iterable[Secret], visible: str, count: int) -> None:
        """What was searched for in the capture."""
        rows = [
            (PASSED, secret.label, "not there")
            if secret.searchable
            else (LEFT_OPEN, secret.label, "too short to search for")
            for secret in secrets
        ]
        there = f"there, {count} times: the search works"
        self.marked([*rows, (PASSED, visible, there)])

    def hexdump(self, data: bytes) -> None:
        """Bytes as people who look at wires see them."""
        rows = [
            data[at : at + _BYTES_A_LINE] for at in range(0, len(data), _BYTES_A_LINE)
        ]
        lines = [f"{row.hex(' '):48}  {_visible(row)}" for row in rows]
        self._indent(Text("\n".join(lines), style="cyan"))

    def end(self, words: str, *more: str) -> None:
        """The last words."""
        self._console.print()
        self._console.print(Text(words, style="bold green"))
        for each in more:
            self._console.print(each)

    def _indent(self, content: RenderableType) -> None:
        self._console.print(Padding.indent(content, 3))


def _grid(columns: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns):
        table.add_column(overflow="fold")
    return table


def _visible(row: bytes) -> str:
    return "".join(chr(each) if 0x20 < each < 0x7F else "." for each in row)
