"""Every check that can stand in the way says what to do about it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from blindai.transcript import Check, Status
from blindai.verifier import remedies
from blindai.verifier.remedies import known, remedy

PACKAGE = Path(remedies.__file__).parent
WRITERS = {"require", "require_current", "judge", "pinned", "current", "_switch"}
FAILED = Check(
    name="debug mode",
    status=Status.FAILED,
    expected="off",
    actual="on",
    source="a source",
)


def text(node: ast.expr) -> str:
    """A name as it stands in the source, with `x` for what is filled in."""
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            return "".join(map(text, values))
        case ast.FormattedValue():
            return "x"
        case _:
            return ""  # a variable: its values stand elsewhere


def names() -> Iterator[str]:
    """All names of checks that the verifier writes, as far as they can be read."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called in WRITERS and (name := text(node.args[0])):
                    yield name


NAMES = sorted(set(names()))


def test_there_are_names() -> None:
    assert {"debug mode", "x: signature", "report signature"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_check_has_a_remedy_of_its_own(name: str) -> None:
    assert known(name)


@pytest.mark.parametrize("name", [*NAMES, "the weather"])
def test_no_remedy_takes_it_that_something_is_to_be_sent(name: str) -> None:
    assert "send" not in remedy(replace(FAILED, name=name)).lower()


def test_a_failure_says_what_to_do() -> None:
    assert "debug mode" in remedy(FAILED)


def test_what_stands_in_nobodys_way_needs_nothing() -> None:
    assert not remedy(replace(FAILED, status=Status.PASSED))
    assert not remedy(replace(FAILED, status=Status.NOT_EVALUATED, required=False))


def test_what_was_not_pinned_has_to_be() -> None:
    missing = replace(
        FAILED, status=Status.NOT_EVALUATED, expected="the policy pins no value"
    )

    assert "Pin a value" in remedy(missing)


def test_a_required_list_that_is_missing_has_to_be_stapled() -> None:
    missing = replace(
        FAILED,
        name="leaf certificate: revocation",
        status=Status.NOT_EVALUATED,
        expected="no list of its issuer's came with the evidence",
    )

    assert "stapled" in remedy(missing)


def test_an_unknown_check_has_a_remedy_too() -> None:
    assert "Do not trust it" in remedy(replace(FAILED, name="the weather"))
