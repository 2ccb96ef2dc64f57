"""Writing the transcript: one line for each thing that is looked at.

Verification stops at the first line that does not hold (`Procedure.require`), because
what follows would read what is not authentic. Appraisal writes all its lines.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from blindai.errors import VerificationError
from blindai.transcript import Check, Status, Transcript

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from blindai.errors import EvidenceError

KEYSET_SOURCE = "blindai design: keyset"


class Procedure:
    """A verification under way.

    Attributes:
        transcript: All lines so far, in order.
    """

    __slots__ = ("_part", "transcript")

    def __init__(self) -> None:
        self.transcript = Transcript()
        self._part = ""

    @contextmanager
    def about(self, part: str) -> Iterator[None]:
        """Lines that are written within name the part of the evidence they are about.

        Args:
            part: Its name, in a few words.
        """
        self._part = f"{part}: "
        try:
            yield
        finally:
            self._part = ""

    def require(
        self, name: str, *, holds: bool, expected: str, actual: str, source: str
    ) -> None:
        """Write a line, and go on only if it holds.

        Raises:
            VerificationError: If it does not, with the transcript up to this line.
        """
        self._require(
            judge(name, holds=holds, expected=expected, actual=actual, source=source)
        )

    def require_current(
        self, name: str, *, first: datetime, last: datetime, now: datetime, source: str
    ) -> None:
        """Write a line about a time of validity, and go on only in it.

        Raises:
            VerificationError: If `now` is before or after it, with the transcript.
        """
        self._require(current(name, first=first, last=last, now=now, source=source))

    def note(self, check: Check) -> None:
        """Write a line that decides nothing here."""
        self.transcript += (replace(check, name=self._part + check.name),)

    def give_up(self, error: EvidenceError) -> Transcript:
        """The transcript when something could not be read: its last line says what."""
        line = judge(
            "format",
            holds=False,
            expected="well-formed evidence and endorsements",
            actual=error.message,
            source="blindai design: attestation",
        )
        return Transcript((*self.transcript.checks, line))

    def _require(self, check: Check) -> None:
        self.note(check)
        if not check.holds:
            line = self.transcript.checks[-1]
            raise VerificationError(str(line), transcript=self.transcript)


NOT_PINNED: Final = "the policy pins no value"


def judge(name: str, *, holds: bool, expected: str, actual: str, source: str) -> Check:
    """A line that was evaluated."""
    return Check(
        name=name,
        status=Status.PASSED if holds else Status.FAILED,
        expected=expected,
        actual=actual,
        source=source,
    )


def current(
    name: str, *, first: datetime, last: datetime, now: datetime, source: str
) -> Check:
    """A line that holds from `first` to `last`, both included, and ends then."""
    return Check(
        name=name,
        status=Status.PASSED if first <= now <= last else Status.FAILED,
        expected=f"{first.isoformat()} to {last.isoformat()}",
        actual=now.isoformat(),
        source=source,
        since=first,
        until=last,
    )


def unevaluated(
    name: str, *, reason: str, actual: str, source: str, required: bool = False
) -> Check:
    """A line that was not evaluated, and why.

    Args:
        name: What was not looked at.
        reason: Why nothing was expected.
        actual: What was there.
        source: The document and section that speaks of this check.
        required: Whether leaving it out is a failure.
    """
    return Check(
        name=name,
        status=Status.NOT_EVALUATED,
        expected=reason,
        actual=actual,
        source=source,
        required=required,
    )


def pinned(
    name: str,
    pins: tuple[str, ...],
    actual: str,
    *,
    source: str,
    required: bool = False,
) -> Check:
    """A line that holds what was there against the values that a policy pins.

    Args:
        name: What was looked at.
        pins: What the policy accepts; nothing is evaluated where it is empty.
        actual: What was there, written as the pins are.
        source: The document and section that speaks of this check.
        required: Whether a policy without a value is a failure.
    """
    if not pins:
        return unevaluated(
            name, reason=NOT_PINNED, actual=actual, source=source, required=required
        )
    expected = " or ".join(pins)
    return judge(
        name, holds=actual in pins, expected=expected, actual=actual, source=source
    )
