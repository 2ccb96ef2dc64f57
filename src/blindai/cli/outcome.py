"""How a verification ended: for people, for machines, and as a signed token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from blindai.cli import console
from blindai.cli.exits import exit_code
from blindai.errors import AttestationError
from blindai.text import printable
from blindai.transcript import Transcript
from blindai.verifier.remedies import remedy

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from blindai.errors import BlindAIError
    from blindai.transcript import Check


NOTHING: Final = Transcript()


class _Verified(Protocol):
    """What the verifier returns."""

    @property
    def transcript(self) -> Transcript:
        """Each check, in order."""


_Result = TypeVar("_Result", bound=_Verified)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the verification of one thing ended.

    Attributes:
        subject: What was verified: an address, a file.
        now: For when.
        transcript: Each check, in order.
        error: Why it was refused or not reached; None if it was accepted.
    """

    subject: str
    now: datetime
    transcript: Transcript = NOTHING
    error: BlindAIError | None = None

    @property
    def verdict(self) -> str:
        """In one or two words."""
        if self.error is None:
            return "accepted"
        refused = isinstance(self.error, AttestationError)
        return "refused" if refused else "not reached"


def failed(subject: str, now: datetime, error: BlindAIError) -> Outcome:
    """The outcome that an error stands for."""
    transcript = error.transcript if isinstance(error, AttestationError) else None
    return Outcome(
        subject=subject, now=now, transcript=transcript or NOTHING, error=error
    )


def judge(
    subject: str, now: datetime, ask: Callable[[], _Result]
) -> tuple[Outcome, _Result | None]:
    """How asking the verifier ends; and its result, if it accepts."""
    try:
        result = ask()
    except AttestationError as error:
        return failed(subject, now, error), None
    return Outcome(subject=subject, now=now, transcript=result.transcript), result


def fields(outcome: Outcome) -> dict[str, object]:
    """Checks, ends and error, with the keys that `--json` promises."""
    written: dict[str, object] = {
        "checks": [_check(check) for check in outcome.transcript.checks],
        "expiries": [
            {
                "name": each.name,
                "not_after": each.not_after.isoformat(),
                "days_left": each.left(outcome.now).days,
            }
            for each in outcome.transcript.expiries
        ],
    }
    if outcome.error is not None:
        written["error"] = {
            "type": type(outcome.error).__name__,
            "message": outcome.error.message,
            "exit_code": int(exit_code(outcome.error)),
        }
    return written


def later_fields(later: Outcome | None) -> dict[str, object] | None:
    """The verdict under newer TCB information; None where none was given."""
    return None if later is None else {"verdict": later.verdict, **fields(later)}


def _check(check: Check) -> dict[str, str]:
    """A check; one that stands in the way says what to do."""
    written = check.to_json()
    return written if check.holds else {**written, "next": remedy(check)}


def print_transcript(outcome: Outcome) -> None:
    """Everything that was looked at, and when what it stands on ends."""
    from blindai.cli.transcript_table import (  # noqa: PLC0415  slow to import
        summarise,
        tabulate,
        tabulate_expiries,
    )

    transcript, screen = outcome.transcript, console.out()
    if not transcript.checks:
        return
    screen.print(tabulate(transcript, screen.width))
    screen.print(f"\n{summarise(transcript)}")
    if transcript.expiries:
        screen.print(tabulate_expiries(transcript.expiries, outcome.now))


def print_facts(facts: dict[str, str]) -> None:
    """What was found, a line each."""
    screen = console.out()
    screen.print()
    for label, value in facts.items():
        screen.print(printable(f"{label:14} {value}"), soft_wrap=True)


def print_later(outcome: Outcome) -> None:
    """The verdict under newer TCB information, in a few lines."""
    style = "bold green" if outcome.error is None else "bold red"
    screen = console.out()
    screen.print("\nunder the given TCB information:", style="bold")
    screen.print(f"  {outcome.verdict}", style=style)
    for check in outcome.transcript.refusals:
        screen.print(f"  {console.shorten(str(check))}", soft_wrap=True)
        screen.print(f"  do: {remedy(check)}", style="dim", soft_wrap=True)


def print_verdict(verdict: str, style: str) -> None:
    """The last line."""
    console.out().print(f"\n{verdict}", style=style, soft_wrap=True)
