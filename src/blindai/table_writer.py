"""Dataclasses into TOML that people read: the other direction of `tables`.

    text = compose(policy, explain)
    tables.parse(text, Policy, "policy") == policy

What is left at its default is not written. A dataclass within becomes a table, a tuple
of them an array of tables, byte strings hexadecimal.
"""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING, Final

from blindai import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import DataclassInstance

    Comment = Callable[[DataclassInstance, str], str]
    """What to say above a field; nothing if it is empty."""

_WIDTH: Final = 88
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def no_comment(instance: DataclassInstance, field: str) -> str:  # noqa: ARG001  as others
    """Says nothing."""
    return ""


def compose(instance: DataclassInstance, comment: Comment = no_comment) -> str:
    """A dataclass as TOML.

    Args:
        instance: As `tables.parse` makes it.
        comment: What to say above each field.
    """
    return "\n".join(_body(instance, (), comment)) + "\n"


def remark(text: str) -> str:
    """A comment, wrapped."""
    return "\n".join(
        textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    )


def _body(
    instance: DataclassInstance, path: tuple[str, ...], comment: Comment
) -> Iterator[str]:
    """The keys of one table, and then the tables within it."""
    inner: list[tuple[str, str, object]] = []
    for key, field, value in tables.chosen(instance):
        if tables.is_instance(value) or _are_instances(value):
            inner.append((key, field, value))
        elif value is not None:
            yield from _said(instance, field, comment)
            yield f"{_key(key)} = {_value(value)}"
    for key, field, value in inner:
        name = (*path, key)
        brackets = "[{}]" if tables.is_instance(value) else "[[{}]]"
        head = brackets.format(".".join(map(_key, name)))
        for each in (value,) if tables.is_instance(value) else value:  # type: ignore[attr-defined]  # a tuple of them
            yield ""
            yield from _said(instance, field, comment)
            yield head
            yield from _body(each, name, comment)


def _said(instance: DataclassInstance, field: str, comment: Comment) -> Iterator[str]:
    if text := comment(instance, field):
        yield remark(text)


def _are_instances(value: object) -> bool:
    return (
        isinstance(value, tuple) and bool(value) and all(map(tables.is_instance, value))
    )


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    """A basic string (TOML 1.0, "String"): JSON's escapes are among its own."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case bytes():
            return _text(value.hex())
        case str():
            return _text(value)
        case tuple():
            return _list([_value(each) for each in value])
        case _:
            return str(value)


def _list(written: list[str]) -> str:
    if sum(map(len, written)) + 2 * len(written) < _WIDTH // 2:
        return f"[{', '.join(written)}]"
    lines = "".join(f"\n    {each}," for each in written)
    return f"[{lines}\n]"
