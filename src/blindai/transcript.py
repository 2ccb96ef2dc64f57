"""What was checked, line by line: the words in which trust is explained.

The verifier writes a transcript; errors carry it; the command line prints it.
It lies at the bottom of the house because all three need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class Status(StrEnum):
    """How a check ended."""

    PASSED = "pass"
    FAILED = "fail"
    NOT_EVALUATED = "not evaluated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What was looked at, in a few words.
        status: How it ended.
        expected: What would pass, or why nothing was expected.
        actual: What was there.
        source: The document and section that asks for this check.
        required: Whether not evaluating it is a failure.
        since: The first moment at which it ends like this, where dates decide.
        until: The last one.
    """

    name: str
    status: Status
    expected: str
    actual: str
    source: str
    required: bool = True
    since: datetime | None = None
    until: datetime | None = None

    @property
    def holds(self) -> bool:
        """Whether the check stands in nobody's way."""
        return self.status is Status.PASSED or (
            self.status is Status.NOT_EVALUATED and not self.required
        )

    def __str__(self) -> str:
        """One line: *name: expected X, got Y*, or why it was not evaluated."""
        if self.status is Status.NOT_EVALUATED:
            return f"{self.name}: not evaluated: {self.expected} (got {self.actual})"
        return f"{self.name}: expected {self.expected}, got {self.actual}"

    def to_json(self) -> dict[str, str]:
        """The check as JSON, with the keys that `blindai verify --json` promises."""
        return {
            "name": self.name,
            "status": self.status.value,
            "expected": self.expected,
            "actual": self.actual,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class Expiry:
    """When something ends that a check stands on.

    Attributes:
        name: What ends: a certificate, a list of revoked ones, a keyset, ...
        not_before: The first moment at which it counts.
        not_after: The last one.
    """

    name: str
    not_before: datetime
    not_after: datetime

    def left(self, now: datetime) -> timedelta:
        """How long it still counts; negative if it does not."""
        return self.not_after - now


@dataclass(frozen=True, slots=True)
class Transcript:
    """All checks, in the order in which they were made."""

    checks: tuple[Check, ...] = ()

    def __add__(self, checks: tuple[Check, ...]) -> Transcript:
        """The same transcript with `checks` written below it."""
        return Transcript(self.checks + checks)

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The checks that stand in the way, in order."""
        return tuple(check for check in self.checks if not check.holds)

    @property
    def expiries(self) -> tuple[Expiry, ...]:
        """When what the checks stand on ends, the soonest first."""
        found = {
            check.name.removesuffix("validity").rstrip(": "): (check.since, check.until)
            for check in self.checks
            if check.since is not None and check.until is not None
        }
        dated = [Expiry(name, *moments) for name, moments in found.items()]
        return tuple(sorted(dated, key=lambda each: each.not_after))
