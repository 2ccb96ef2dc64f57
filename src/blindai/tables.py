"""TOML tables into frozen dataclasses: one reader for every file people write.

The dataclass is the format. What its types cannot say stands beside them:

    vmpl: tuple[Annotated[int, between(0, 3)], ...] = (0,)
    host_data: Annotated[bytes, size(32)] = bytes(32)  # hexadecimal in the file
    builds: Annotated[tuple[str, ...], count(1, 1024)] = ()
    sev_snp: Annotated[SnpPolicy | None, Key("sev-snp")] = None

A key nobody knows is an error that names the nearest one that exists. What concerns
several keys is the dataclass's own affair, in `__post_init__`: its ValueError becomes
a ConfigurationError that names the table. Messages never repeat long values.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeGuard, TypeVar

from blindai.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAX_CHARACTERS: Final = 256 * 1024
_MAX_ECHO: Final = 64
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")
_WRAPPERS: Final = {Annotated, typing.Union, types.UnionType}
_WORDS: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    bytes: "bytes in hexadecimal",
    tuple: "a list",
}
_T = TypeVar("_T", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class Key:
    """A field's key in the file, and whether it must stand there despite a default."""

    name: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value of the right type may be; a refusal by it says what was got.

    Attributes:
        expected: In words.
        holds: As a condition.
        known: All words that it may be, for the nearest to be suggested.
    """

    expected: str
    holds: Callable[[Any], bool] = lambda _: True
    known: tuple[str, ...] = ()


def between(low: int, high: int) -> Rule:
    """A whole number, `low` to `high`, both included."""
    return Rule(f"a whole number, {low} to {high}", lambda value: low <= value <= high)


def size(length: int) -> Rule:
    """A byte string of exactly `length` bytes."""
    return Rule(f"{length} bytes in hexadecimal", lambda value: len(value) == length)


def count(least: int, most: int) -> Rule:
    """A list of `least` to `most` values."""
    return Rule(
        f"a list of {least} to {most} values",
        lambda value: least <= len(value) <= most,
    )


def one_of(*known: str) -> Rule:
    """One of the known words."""
    return Rule(f"one of {', '.join(known)}", known.__contains__, known)


def parse(text: str, cls: type[_T], what: str) -> _T:
    """Read a TOML file's text into a dataclass.

    Args:
        text: The file, at most MAX_CHARACTERS.
        cls: A frozen dataclass of booleans, numbers, text, byte strings, tuples of
            these, and dataclasses; `X | None` is what may be left out.
        what: Names the file in messages.

    Raises:
        ConfigurationError: If the text is too long, is not TOML or does not fit.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigurationError(
            f"{what}: expected at most {MAX_CHARACTERS} characters, got {len(text)}"
        )
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{what}: expected TOML, got {error}") from error
    return read(table, cls, what)


def read(table: object, cls: type[_T], where: str) -> _T:
    """Read one table into a dataclass.

    Raises:
        ConfigurationError: If it does not fit.
    """
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where}: expected a table")
    entries = _entries(cls)
    for key in table:
        if key not in entries:
            raise ConfigurationError(f"{where}: {_unknown(str(key), list(entries))}")
    for key, entry in entries.items():
        if entry.required and key not in table:
            raise ConfigurationError(f"{where}: expected the key {key!r}")
    values: dict[str, Any] = {}
    for key, value in table.items():
        entry = entries[key]
        values[entry.field] = _value(value, entry.hint, f"{where}: {key}")
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def is_instance(value: object) -> TypeGuard[DataclassInstance]:
    """Whether a value has fields, as a table of a file has."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def items(instance: DataclassInstance) -> Iterator[tuple[str, object]]:
    """Each key that the dataclass's table may have, with the field's value."""
    for key, entry in _entries(type(instance)).items():
        yield key, getattr(instance, entry.field)


def names(cls: type[DataclassInstance]) -> Iterator[tuple[str, str]]:
    """Each key that a dataclass's table may have, with the field's name."""
    for key, entry in _entries(cls).items():
        yield key, entry.field


def chosen(instance: DataclassInstance) -> Iterator[tuple[str, str, object]]:
    """What is not left at its default: key, field and value.

    A key that has to stand in the file counts as chosen whatever its value is.
    """
    by_name = {field.name: field for field in dataclasses.fields(instance)}
    for key, entry in _entries(type(instance)).items():
        field, value = by_name[entry.field], getattr(instance, entry.field)
        if entry.required or value != _default(field):
            yield key, entry.field, value


def _default(field: dataclasses.Field[Any]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def write(instance: DataclassInstance) -> dict[str, object]:
    """The table that `read` reads, every default written out.

    Tuples become lists, byte strings hexadecimal; what is None is left out, so that a
    table keeps its meaning and its digest when a later release knows more keys.
    """
    return {key: _written(value) for key, value in items(instance) if value is not None}


class _Entry(NamedTuple):
    field: str
    hint: object
    required: bool


def _entries(cls: type[DataclassInstance]) -> dict[str, _Entry]:
    """What may stand in a dataclass's table, by key."""
    hints = typing.get_type_hints(cls, include_extras=True)
    entries = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        keys = (each for each in _unwrap(hint)[1] if isinstance(each, Key))
        key = next(keys, Key(field.name))
        required = key.required or field.default is field.default_factory  # MISSING
        entries[key.name] = _Entry(field.name, hint, required)
    return entries


def _unwrap(hint: object) -> tuple[object, list[object]]:
    """The type within `X | None` and Annotated, and what it is annotated with."""
    markers: list[object] = []
    while typing.get_origin(hint) in _WRAPPERS:
        args = typing.get_args(hint)
        hint, *more = (each for each in args if each is not types.NoneType)
        markers += more
    return hint, markers


def _value(value: object, hint: object, where: str) -> object:
    inner, markers = _unwrap(hint)
    if isinstance(inner, type) and dataclasses.is_dataclass(inner):
        return read(value, inner, where)
    kind = typing.get_origin(inner) or inner
    rule = next((each for each in markers if isinstance(each, Rule)), None)
    found = _converted(value, kind)
    if type(found) is not kind or (rule and not rule.holds(found)):
        expected = _ruled_out(value, rule) if rule else _WORDS[kind]
        raise ConfigurationError(f"{where}: expected {expected}")
    if isinstance(found, tuple):
        return tuple(_value(each, typing.get_args(inner)[0], where) for each in found)
    return found


def _converted(value: object, kind: object) -> object:
    """The value as the type that stands for it here, where TOML has another."""
    if kind is tuple and isinstance(value, list):
        return tuple(value)
    if kind is bytes and isinstance(value, str) and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    if kind is float and type(value) is int and value.bit_length() < 1024:
        return float(value)  # of 1024 bits and more, not every integer fits
    return value


def _written(value: object) -> object:
    if isinstance(value, tuple):
        return [_written(each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return write(value)
    return value.hex() if isinstance(value, bytes) else value


def _unknown(key: str, known: list[str]) -> str:
    near = _nearest(key, known) or f"; known: {', '.join(known)}"
    return f"unknown key {_echo(key)}{near}"


def _ruled_out(value: object, rule: Rule) -> str:
    if rule.known and isinstance(value, str):
        return f"{rule.expected}, got {_echo(value)}{_nearest(value, rule.known)}"
    return f"{rule.expected}, got {_word(value)}"


def _nearest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _echo(word: str) -> str:
    return repr(word) if len(word) <= _MAX_ECHO else _word(word)


def _word(value: object) -> str:
    """What a value is, in a few words; a long one is not repeated."""
    match value:
        case int() if value.bit_length() > _MAX_ECHO:
            return f"a number of {value.bit_length()} bits"
        case bool() | int() | float():
            return str(value).lower()
        case str():
            return f"a string of {len(value)} characters"
        case list():
            return f"a list of {len(value)}"
        case Mapping():
            return "a table"
        case _:
            return f"a {type(value).__name__}"
