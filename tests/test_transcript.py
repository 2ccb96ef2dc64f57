"""What was checked, line by line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from blindai.transcript import Check, Status, Transcript

CHECK = Check(
    name="debug mode",
    status=Status.FAILED,
    expected="off",
    actual="on",
    source="AMD 56860 4.3, Guest Policy",
)


@pytest.mark.parametrize(
    ("status", "required", "holds"),
    [
        (Status.PASSED, True, True),
        (Status.PASSED, False, True),
        (Status.FAILED, True, False),
        (Status.FAILED, False, False),
        (Status.NOT_EVALUATED, True, False),
        (Status.NOT_EVALUATED, False, True),
    ],
)
def test_only_what_passed_or_need_not_be_evaluated_holds(
    status: Status, *, required: bool, holds: bool
) -> None:
    assert replace(CHECK, status=status, required=required).holds is holds


def test_a_check_is_required_unless_said_otherwise() -> None:
    assert CHECK.required


def test_a_check_reads_as_one_line() -> None:
    assert str(CHECK) == "debug mode: expected off, got on"


def test_a_check_as_json_has_the_promised_keys() -> None:
    assert replace(CHECK, status=Status.NOT_EVALUATED).to_json() == {
        "name": "debug mode",
        "status": "not evaluated",
        "expected": "off",
        "actual": "on",
        "source": "AMD 56860 4.3, Guest Policy",
    }


def test_a_transcript_grows_at_its_end() -> None:
    other = replace(CHECK, name="another")
    transcript = Transcript()
    assert transcript + (CHECK, other) == Transcript((CHECK, other))  # noqa: RUF005  no tuple
    assert transcript.checks == ()
    assert Transcript((CHECK,)) + (other,) == Transcript((CHECK, other))  # noqa: RUF005  no tuple


def test_refusals_are_what_does_not_hold_in_order() -> None:
    first, last = replace(CHECK, name="first"), replace(CHECK, name="last")
    passed = replace(CHECK, status=Status.PASSED)
    skipped = replace(CHECK, status=Status.NOT_EVALUATED, required=False)
    transcript = Transcript((first, passed, skipped, last))
    assert transcript.refusals == (first, last)
