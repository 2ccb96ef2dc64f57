"""What stands beside a type: rules for values, keys, and the way back to a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import ConfigurationError
from blindai.tables import (
    MAX_CHARACTERS,
    Key,
    Rule,
    between,
    count,
    items,
    one_of,
    parse,
    read,
    size,
    write,
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """An inner table."""

    level: Annotated[int, between(1, 9)] = 1
    pins: Annotated[tuple[Annotated[bytes, size(2)], ...], count(1, 3)] = ()

    def __post_init__(self) -> None:
        if len(self.pins) > self.level:
            raise ValueError("pins: expected no more than the level")


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A table with each kind of rule."""

    version: Annotated[int, Key("version", required=True)] = 1
    colour: Annotated[str, one_of("red", "green")] = "red"
    salt: bytes = b""
    even: Annotated[int, Rule("an even number", lambda value: value % 2 == 0)] = 0
    age_s: Annotated[int, between(0, 60)] | None = None
    ratio: float = 0.5
    first_part: Annotated[Part | None, Key("first-part")] = None
    parts: tuple[Part, ...] = ()
    other: Part = field(default_factory=Part)


def refused(line: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(f"version = 1\n{line}", Whole, "file")
    return caught.value.message


def test_values_within_their_rules_are_read() -> None:
    text = """
        version = 2
        colour = "green"
        salt = "00fF10"
        even = 4
        age_s = 60
        ratio = 3
        first-part = { level = 9, pins = ["ABcd", "0000", "ffff"] }
        parts = [{ level = 1 }, {}]
    """
    assert parse(text, Whole, "file") == Whole(
        version=2,
        colour="green",
        salt=b"\x00\xff\x10",
        even=4,
        age_s=60,
        ratio=3.0,
        first_part=Part(level=9, pins=(b"\xab\xcd", b"\0\0", b"\xff\xff")),
        parts=(Part(level=1), Part()),
    )


LONG = "x" * 65
KNOWN = "version, colour, salt, even, age_s, ratio, first-part, parts, other"
AGE = "file: age_s: expected a whole number, 0 to 60, got "
COLOUR = "file: colour: expected one of red, green, got "
PINS = "file: first-part: pins: expected "


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("age_s = -1", AGE + "-1"),
        ("age_s = 61", AGE + "61"),
        ("age_s = true", AGE + "true"),
        ("age_s = 1.5", AGE + "1.5"),
        ("age_s = 'thirty'", AGE + "a string of 6 characters"),
        ("age_s = [1]", AGE + "a list of 1"),
        ("age_s = {a = 1}", AGE + "a table"),
        ("age_s = 2024-01-01", AGE + "a date"),
        ("age_s = 0x" + "f" * 5000, AGE + "a number of 20000 bits"),
        (f"age_s = {2**64 - 1}", AGE + f"{2**64 - 1}"),
        ("even = 3", "file: even: expected an even number, got 3"),
        ("colour = 1", COLOUR + "1"),
        (
            "colour = 'gren'",
            COLOUR + "'gren'; did you mean 'green'?",
        ),
        ("colour = 'zzz'", COLOUR + "'zzz'"),
        (f"colour = '{LONG}'", COLOUR + "a string of 65 characters"),
        (f"colour = '{LONG[1:]}'", COLOUR + f"'{LONG[1:]}'"),
        ("salt = 'abc'", "file: salt: expected bytes in hexadecimal"),
        ("salt = 'ab cd'", "file: salt: expected bytes in hexadecimal"),
        ("salt = 'xy'", "file: salt: expected bytes in hexadecimal"),
        ("salt = 10", "file: salt: expected bytes in hexadecimal"),
        ("first-part.pins = []", PINS + "a list of 1 to 3 values, got a list of 0"),
        (
            "first-part.pins = ['', '', '', '']",
            PINS + "a list of 1 to 3 values, got a list of 4",
        ),
        ("first-part.pins = 1", PINS + "a list of 1 to 3 values, got 1"),
        (
            "first-part.pins = ['abc']",
            PINS + "2 bytes in hexadecimal, got a string of 3 characters",
        ),
        (
            "first-part.pins = ['abcdef']",
            PINS + "2 bytes in hexadecimal, got a string of 6 characters",
        ),
        (
            "first-part.pins = [['ab']]",
            PINS + "2 bytes in hexadecimal, got a list of 1",
        ),
        (
            "first-part.pins = ['abcd', 'abcd']",
            "file: first-part: pins: expected no more than the level",
        ),
        (
            "parts = [{}, {pins = ['abcd', 'abcd']}]",
            "file: parts: pins: expected no more than the level",
        ),
        (
            "first_part = {}",
            "file: unknown key 'first_part'; did you mean 'first-part'?",
        ),
        (
            f"{LONG} = 1",
            f"file: unknown key a string of 65 characters; known: {KNOWN}",
        ),
        ("ratio = 0x" + "f" * 256, "file: ratio: expected a number"),
    ],
)
def test_other_values_are_named_and_not_repeated(line: str, message: str) -> None:
    assert refused(line) == message


def test_a_number_that_a_float_holds_is_read() -> None:
    whole = read({"version": 1, "ratio": 2**1023 - 1}, Whole, "file")
    assert whole.ratio == 2.0**1023


def test_a_key_may_be_required_although_its_field_has_a_default() -> None:
    assert Whole().version == 1
    with pytest.raises(ConfigurationError, match="file: expected the key 'version'"):
        parse("", Whole, "file")


def test_the_longest_text_is_read_and_a_longer_one_is_not() -> None:
    text = "version = 1".ljust(MAX_CHARACTERS)
    assert parse(text, Whole, "file") == Whole()
    with pytest.raises(ConfigurationError) as caught:
        parse(text + " ", Whole, "file")
    assert caught.value.message == (
        f"file: expected at most {MAX_CHARACTERS} characters, got {MAX_CHARACTERS + 1}"
    )


def test_a_table_is_written_with_every_default() -> None:
    whole = Whole(salt=b"\x0a\xff", first_part=Part(level=2, pins=(b"ab", b"cd")))
    assert write(whole) == {
        "version": 1,
        "colour": "red",
        "salt": "0aff",
        "even": 0,
        "ratio": 0.5,
        "first-part": {"level": 2, "pins": ["6162", "6364"]},
        "parts": [],
        "other": {"level": 1, "pins": []},
    }


def test_items_are_the_values_by_key() -> None:
    assert dict(items(Part(level=3))) == {"level": 3, "pins": ()}
    assert "first-part" in dict(items(Whole()))


PARTS = st.builds(
    Part,
    level=st.integers(3, 9),
    pins=st.lists(st.binary(min_size=2, max_size=2), min_size=1, max_size=3).map(tuple),
)


@given(
    st.builds(
        Whole,
        colour=st.sampled_from(["red", "green"]),
        salt=st.binary(max_size=9),
        even=st.integers().map(lambda half: 2 * half),
        age_s=st.integers(0, 60),
        first_part=PARTS,
        parts=st.lists(PARTS, max_size=2).map(tuple),
        other=PARTS,
    )
)
def test_what_is_written_is_read_again(whole: Whole) -> None:
    assert read(write(whole), Whole, "file") == whole


@given(
    st.dictionaries(
        st.sampled_from(list(write(Whole()))),
        st.recursive(
            st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(st.sampled_from(["level", "pins"]), inner)
            ),
        ),
    )
)
def test_any_table_gives_the_value_or_the_error(table: dict[str, object]) -> None:
    try:
        whole = read(table, Whole, "file")
    except ConfigurationError:
        return
    assert whole.version == table["version"]
