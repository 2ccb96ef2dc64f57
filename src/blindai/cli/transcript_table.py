"""A transcript as a table for people: what stands in the way comes first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from blindai.cli.console import shorten
from blindai.transcript import Status
from blindai.verifier.remedies import remedy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from blindai.transcript import Check, Expiry, Transcript

PASSED, FAILED, LEFT_OPEN = "\u2713", "\u2717", "\u00b7"
_STYLES = {PASSED: "green", FAILED: "bold red", LEFT_OPEN: "dim"}
WIDE = 72
"""From how many characters on a screen has room for all columns."""
SOON = timedelta(days=7)
SOON_PART = 4  # ... but of what lives shortly, the last quarter
_AGREEMENT = frozenset({"that", "made by it", "no others", "in use"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table.

    Attributes:
        mark: How it ended, in one character.
        name: What was looked at.
        seen: What was expected and what was there.
        source: Who asks for it.
        todo: What to do about it; empty where it stands in nobody's way.
    """

    mark: str
    name: str
    seen: str
    source: str
    todo: str = ""


def tabulate(transcript: Transcript, width: int = WIDE) -> Table:
    """The whole transcript: refusals, then what passed, then what was left open.

    Args:
        transcript: Of what.
        width: Of the screen, in characters; a narrow one has no room for sources.
    """
    wide = width >= WIDE
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False, expand=True
    )
    table.add_column("mark", no_wrap=True)
    table.add_column("name", overflow="fold", max_width=26 if wide else 14)
    table.add_column("seen", overflow="fold", ratio=1)
    if wide:
        table.add_column("source", overflow="fold", style="dim", max_width=20)
    for title, group in sections(transcript):
        table.add_row("", "")
        table.add_row("", Text(title, style="bold"))
        for line in group:
            mark = Text(line.mark, style=_STYLES[line.mark])
            source = [line.source] if wide else []
            table.add_row(mark, line.name, line.seen, *source)
            if line.todo:
                table.add_row("", "", Text(f"do: {line.todo}", style="bold"))
    return table


def tabulate_expiries(expiries: tuple[Expiry, ...], now: datetime) -> Table:
    """When what the checks stand on ends, the soonest first."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column("name", overflow="fold")
    table.add_column("date", no_wrap=True)
    table.add_column("left", no_wrap=True)
    table.add_row("")
    table.add_row(Text("Ends", style="bold"))
    for expiry in expiries:
        days = expiry.left(now).days
        style = "bold red" if _ends_soon(expiry, now) else ""
        date = f"{expiry.not_after:%Y-%m-%d %H:%M} UTC"
        table.add_row(shorten(expiry.name), date, Text(_left(days), style=style))
    return table


def _ends_soon(expiry: Expiry, now: datetime) -> bool:
    """Whether to look after it: a keyset of a day always ends within one."""
    lifetime = expiry.not_after - expiry.not_before
    return expiry.left(now) < min(SOON, lifetime / SOON_PART)


def _left(days: int) -> str:
    """In words; the part of a day that has begun is not counted."""
    match days:
        case 0:
            return "within a day"
        case -1:
            return "1 day ago"
        case _ if days < 0:
            return f"{-days} days ago"
        case 1:
            return "in 1 day"
        case _:
            return f"in {days} days"


def sections(transcript: Transcript) -> Iterator[tuple[str, list[Line]]]:
    """The lines of a table under their titles, in the order that a person wants."""
    checks = transcript.checks
    passed = [check for check in checks if check.status is Status.PASSED]
    left_open = [
        check for check in checks if check.holds and check.status is not Status.PASSED
    ]
    groups = {
        "Refused": [read_line(check) for check in transcript.refusals],
        "Passed": list(_merge(passed)),
        "Left open": [read_line(check) for check in left_open],
    }
    return ((title, group) for title, group in groups.items() if group)


def read_line(check: Check) -> Line:
    """One check as a line."""
    return Line(
        mark=_mark(check),
        name=shorten(check.name),
        seen=_seen(check),
        source=_document(check),
        todo=remedy(check),
    )


def summarise(transcript: Transcript) -> str:
    """How many checks ended how."""
    checks = transcript.checks
    passed = sum(check.status is Status.PASSED for check in checks)
    refused = len(transcript.refusals)
    left_open = len(checks) - passed - refused
    return f"{passed} checks passed, {refused} refused, {left_open} left open"


def _merge(checks: list[Check]) -> Iterator[Line]:
    """A line a check, but one line for all parts of the same thing (`thing: part`)."""
    parts: dict[str, list[Check]] = {}
    for check in checks:
        parts.setdefault(check.name.partition(": ")[0], []).append(check)
    for thing, group in parts.items():
        if len(group) == 1:
            yield read_line(group[0])
            continue
        seen = ", ".join(check.name.partition(": ")[2] or "itself" for check in group)
        sources = dict.fromkeys(_publication(check) for check in group)
        yield Line(PASSED, shorten(thing), shorten(seen), ", ".join(sources))


def _mark(check: Check) -> str:
    if not check.holds:
        return FAILED
    return PASSED if check.status is Status.PASSED else LEFT_OPEN


def _seen(check: Check) -> str:
    expected, actual = shorten(check.expected), shorten(check.actual)
    if check.status is Status.FAILED:
        return f"expected {expected}, got {actual}"
    if check.status is Status.NOT_EVALUATED:
        return f"{actual} ({expected})"
    if actual in _AGREEMENT or expected.endswith(actual):
        return expected
    if actual.startswith(expected):
        return actual
    return f"{actual} (accepted: {expected})"


def _document(check: Check) -> str:
    """The source without the title of its section."""
    return shorten(check.source).partition(",")[0].removeprefix("blindai ")


def _publication(check: Check) -> str:
    """The source without its section: `RFC 5280`."""
    return " ".join(_document(check).split()[:2])
