"""Where the command line writes: results on stdout, everything else on stderr.

Whatever comes from a peer or a file goes through `printable` first, so that nothing can
smuggle control sequences into somebody's terminal.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from blindai.cli.exits import next_step
from blindai.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from blindai.errors import BlindAIError

_HEX = re.compile(r"\b[0-9a-f]{20,}\b")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(?:\.\d+)?\+00:00")
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def out() -> Console:
    """Results: stdout."""
    from rich.console import Console  # noqa: PLC0415  rich is slow to import

    return Console(highlight=False, markup=False, emoji=False)


def err() -> Console:
    """Progress, warnings and errors: stderr."""
    from rich.console import Console  # noqa: PLC0415  rich is slow to import

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def print_json(value: object) -> None:
    """Print one JSON object on stdout, for machines."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_error(error: BlindAIError) -> None:
    """Say what failed and what to do next, a line each."""
    console = err()
    where = f" (request {error.request_id})" if error.request_id else ""
    _line("error", "bold red", printable(error.message + where), console)
    _line("next", "bold", printable(next_step(error)), console)


def warn_of_simulation() -> None:
    """Say that a simulated enclave protects nothing."""
    warn("this enclave is SIMULATED and protects nothing; send no real data")


def warn(words: str) -> None:
    """Say what whoever goes on should know."""
    _line("warning", "bold red", words, err())


def shorten(text: str) -> str:
    """The text, with long hexadecimal numbers cut and times made easy to read."""
    text = _TIME.sub(r"\1 \2 UTC", printable(text))
    return _HEX.sub(_cut, text)


def size(count: int) -> str:
    """A number of bytes for people."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{count} bytes"


def _cut(match: re.Match[str]) -> str:
    digits = match.group()
    if not digits.strip("0"):
        return f"zeros ({len(digits) // 2} bytes)"
    return f"{digits[:8]}\u2026{digits[-4:]}"


def _line(word: str, style: str, text: str, console: Console) -> None:
    from rich.text import Text  # noqa: PLC0415  rich is slow to import

    console.print(Text.assemble((f"{word}:", style), " ", text), soft_wrap=True)
