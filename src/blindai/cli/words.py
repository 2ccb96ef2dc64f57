"""A dataclass in words: its fields, their values, and what its docstring says of them.

The house writes down what each field is, under `Attributes:`; here it is read aloud, so
that nothing has to be described twice. (`python -OO` leaves the docstrings out; then
names have to do.)
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from blindai import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed import DataclassInstance

_ENTRY: Final = re.compile(r"^ {4}(\w+): (.*)$")
_NONE: Final = re.compile(r"[;,](?: or)? None\b[^.;]*")
_MAX_ITEMS: Final = 64
_MAX_BYTES: Final = 128
_TRANSPARENT: Final = frozenset({"claims", "details", "body", "opaque", "hardware"})
_FOR_MACHINES: Final = frozenset(
    {
        "cabundle",
        "certificate",
        "certificates",
        "encoding",
        "qe_report_signature",
        "signature",
        "signed",
    }
)


class Row(NamedTuple):
    """One field: its name, its value in words, and what it is."""

    name: str
    value: str
    meaning: str


@cache
def meanings(cls: type[DataclassInstance]) -> Mapping[str, str]:
    """What a dataclass says of its fields, by name."""
    found: dict[str, str] = {}
    name = ""
    section = (inspect.getdoc(cls) or "").partition("\nAttributes:\n")[2]
    for line in section.splitlines():
        if entry := _ENTRY.match(line):
            name = entry[1]
            found[name] = entry[2]
        elif name and line.startswith(" " * 8):
            found[name] += f" {line.strip()}"
        else:
            name = ""
    return found


def plain(meaning: str) -> str:
    """What a field is, without what None stands for: that is for readers of Python."""
    return _NONE.sub("", meaning)


def rows(instance: DataclassInstance, before: str = "") -> Iterator[Row]:
    """All fields that are meant to be seen, one below another.

    Args:
        instance: Whose fields.
        before: What stands before their names.
    """
    said = meanings(type(instance))
    for field in dataclasses.fields(instance):
        if field.name in _FOR_MACHINES:
            continue
        value = getattr(instance, field.name)
        name = before + field.name.replace("_", " ")
        if tables.is_instance(value):
            inner = field.name in _TRANSPARENT
            yield from rows(value, before if inner else f"{name}: ")
        elif isinstance(value, Mapping):
            yield from _of_mapping(value, name, said.get(field.name, ""))
        else:
            yield Row(name, word(value), said.get(field.name, ""))


def _of_mapping(
    value: Mapping[object, object], name: str, meaning: str
) -> Iterator[Row]:
    for key, each in value.items():
        if isinstance(each, Mapping):
            yield from _of_mapping(each, f"{name} {key}", meaning)
        elif tables.is_instance(each):
            yield from rows(each, f"{name} {key}: ")
        else:
            yield Row(f"{name} {key}", word(each), meaning)
            meaning = ""


def word(value: object) -> str:
    """A value for people."""
    return next(write(value) for kind, write in _WORDS if isinstance(value, kind))


def _list(value: Iterable[object]) -> str:
    listed = [word(each) for each in value]
    more = [f"{len(listed)} in all"] if len(listed) > _MAX_ITEMS else []
    return ", ".join([*listed[:_MAX_ITEMS], *more]) or "none"


def _bytes(value: bytes) -> str:
    if len(value) <= _MAX_BYTES:
        return value.hex() or "empty"
    return f"{value[:_MAX_BYTES].hex()}... ({len(value)} bytes)"


# The first kind that fits counts.
_WORDS: Final[tuple[tuple[Any, Callable[[Any], str]], ...]] = (
    (type(None), lambda _: "none"),
    (bool, lambda value: "yes" if value else "no"),
    (bytes, _bytes),
    (Enum, lambda value: f"{value.name} ({value.value})"),
    (datetime, lambda value: f"{value:%Y-%m-%d %H:%M:%S} UTC"),
    (timedelta, lambda value: f"{int(value.total_seconds())} s"),
    (tuple | frozenset, _list),
    (object, str),
)


def to_json(value: object) -> object:
    """A value for machines; byte strings in hexadecimal."""
    return next(write(value) for kind, write in _JSON if isinstance(value, kind))


def _fields(value: object) -> object:
    if not tables.is_instance(value):
        return str(value)
    names = {field.name for field in dataclasses.fields(value)} - _FOR_MACHINES
    return {name: to_json(getattr(value, name)) for name in sorted(names)}


_JSON: Final[tuple[tuple[Any, Callable[[Any], object]], ...]] = (
    (Enum, lambda value: value.value),
    (type(None) | bool | int | float | str, lambda value: value),
    (bytes, bytes.hex),
    (datetime, datetime.isoformat),
    (timedelta, timedelta.total_seconds),
    (Mapping, lambda value: {str(key): to_json(each) for key, each in value.items()}),
    (tuple | frozenset, lambda value: [to_json(each) for each in value]),
    (object, _fields),
)
