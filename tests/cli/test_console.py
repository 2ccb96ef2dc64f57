"""What people read is short, and cannot command their terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.cli import console
from blindai.errors import NotFoundError
from blindai.text import printable


@given(st.text())
def test_what_is_printable_commands_no_terminal(text: str) -> None:
    assert printable(text).isprintable()


def test_an_escape_sequence_is_spelt_out() -> None:
    assert printable("a\x1b[31mb") == "a\\x1b[31mb"


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("0123456789abcdef0123456789abcdef", "01234567\u2026cdef"),
        ("got " + "00" * 48, "got zeros (48 bytes)"),
        ("until 2026-11-23T12:30:53.956490+00:00", "until 2026-11-23 12:30 UTC"),
        ("0a00000000001754", "0a00000000001754"),
    ],
)
def test_long_values_are_shortened(text: str, short: str) -> None:
    assert console.shorten(text) == short


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (10_900_000, "10.9 MB"),
        (2 * 10**15, "2000.0 TB"),
    ],
)
def test_sizes_are_in_words(count: int, words: str) -> None:
    assert console.size(count) == words


def test_an_error_is_two_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    long = "model: expected one of many, got another, " * 10
    console.print_error(NotFoundError(long + "\x1b", request_id="abc"))

    printed = capsys.readouterr()

    first, second = printed.err.splitlines()
    assert first == f"error: {long}\\x1b (request abc)"
    assert second.startswith("next: ")
    assert not printed.out
