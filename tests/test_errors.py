"""The error tree: its shape, and what a message says."""

from __future__ import annotations

import copy
import inspect
import pickle  # noqa: TID251  what worker processes send errors by
import re
from collections.abc import Callable, Iterator

import pytest

from blindai import errors
from blindai.errors import (
    AppraisalError,
    AttestationError,
    BlindAIError,
    EvidenceError,
    NotFoundError,
    reason,
)
from blindai.transcript import Check, Status, Transcript

CLASSES = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, BlindAIError)
]
CHECK = Check(
    name="debug mode",
    status=Status.FAILED,
    expected="off",
    actual="on",
    source="AMD 56860 4.3, Guest Policy",
)


def drawn(text: str) -> Iterator[tuple[str, str]]:
    """Each class of the tree drawn in `text`, and the one above it."""
    above: dict[int, str] = {}
    for line in text.splitlines():
        found = re.match(r"([ |`-]*)(?:\.\.\. )?([A-Z]\w+Error)\b", line)
        place, name = found.groups() if found else ("", "")
        above[len(place)] = name
        nearer = [depth for depth in above if depth < len(place)]
        yield name, above[max(nearer, default=len(place))]


def test_the_drawing_of_the_tree_is_the_tree() -> None:
    tree = {name: above for name, above in drawn(errors.__doc__ or "") if name}
    expected = {cls.__name__: cls.__mro__[1].__name__ for cls in CLASSES}
    assert tree == expected | {"BlindAIError": ""}


@pytest.mark.parametrize("cls", CLASSES)
def test_each_error_says_what_to_do_next(cls: type[BlindAIError]) -> None:
    assert cls.next_step.endswith(".")
    assert cls.__doc__


@pytest.mark.parametrize(
    "cls", [each for each in CLASSES if issubclass(each, AttestationError)]
)
def test_what_is_not_believed_may_lie_in_a_file(cls: type[BlindAIError]) -> None:
    # `evidence verify` and `proof verify` raise it too: nobody sends anything there.
    assert "send" not in cls.next_step.lower()
    assert re.match("Do not (trust|rely on) it", cls.next_step)


def test_an_error_shows_message_request_and_next_step() -> None:
    error = NotFoundError("model: expected a known name, got 'a'", request_id="r-1")
    assert str(error) == (
        "model: expected a known name, got 'a' (request r-1)\n"
        "  Next: List what is there with client.models()."
    )
    assert (error.message, error.request_id) == (error.args[0], "r-1")


def test_an_error_without_a_request_names_none() -> None:
    error = BlindAIError("size: expected 1, got 2")
    assert str(error) == "size: expected 1, got 2\n  Next: See the message."
    assert error.request_id is None


def test_an_attestation_error_carries_its_transcript() -> None:
    transcript = Transcript((CHECK,))
    error = EvidenceError("report: cut short", transcript=transcript, request_id="r-1")
    assert (error.transcript, error.request_id) == (transcript, "r-1")
    assert AttestationError("report: cut short").transcript is None


def test_an_appraisal_error_names_all_findings() -> None:
    passed = Check(
        name="vendor", status=Status.PASSED, expected="AMD", actual="AMD", source="a"
    )
    missing = Check(
        name="measurement",
        status=Status.NOT_EVALUATED,
        expected="a reference value",
        actual="none",
        source="b",
    )
    error = AppraisalError(Transcript((CHECK, passed, missing)))
    assert error.findings == (CHECK, missing)
    assert error.transcript == Transcript((CHECK, passed, missing))
    assert error.message == (
        "debug mode: expected off, got on; "
        "measurement: not evaluated: a reference value (got none)"
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError(2, "No such file"), "No such file"),
        (OSError("odd"), "OSError"),
        (UnicodeDecodeError("utf-8", b"secret", 0, 1, "odd"), "expected UTF-8"),
    ],
)
def test_the_reason_repeats_nothing_of_a_file(
    error: OSError | UnicodeDecodeError, expected: str
) -> None:
    assert reason(error) == expected


def through_a_pickle(error: BlindAIError) -> BlindAIError:
    again: BlindAIError = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    return again


@pytest.mark.parametrize("again", [copy.copy, through_a_pickle])
def test_an_error_reaches_whoever_waits_for_a_worker_process(
    again: Callable[[BlindAIError], BlindAIError],
) -> None:
    for cls in CLASSES:
        error = (
            cls(Transcript((CHECK,)))
            if issubclass(cls, AppraisalError)
            else cls("why", request_id="7")
        )
        assert (type(again(error)), str(again(error))) == (cls, str(error))
        assert vars(again(error)) == vars(error)
