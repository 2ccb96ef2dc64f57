"""Policies in sentences, and what tells two of them apart.

What each key means is what its dataclass says of it; see `words`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai import tables
from blindai.cli import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from _typeshed import DataclassInstance

    from blindai.verifier import Policy

DANGER: Final = "insecure_"
_RED, _DIM = "bold red", "dim"
_WHETHER: Final = "Whether "


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence: its words, how far it is set in, and how it is shown."""

    text: str
    depth: int = 0
    style: str = ""


def sentences(policy: Policy) -> Iterator[Sentence]:
    """A policy, read aloud."""
    accepted = list(policy.tees)
    if policy.insecure_accept_simulation:
        accepted.append("the simulation, which proves nothing")
    yield Sentence(f"Accepts: {', '.join(accepted)}.", style="bold")
    yield Sentence(f"Its digest: {policy.digest.hex()}.", style=_DIM)
    yield from _table("policy", policy, depth=0)


def _table(name: str, instance: DataclassInstance, depth: int) -> Iterator[Sentence]:
    """What is chosen in a table, then what is left open, then the tables within."""
    said = words.meanings(type(instance))
    fields = dict(tables.names(type(instance)))
    entries = dict(tables.items(instance))
    if depth:
        yield Sentence("")
        yield Sentence(f"[{name}]", depth - 1, _RED if DANGER in name else "bold")
    inner = {key: value for key, value in entries.items() if _within(value)}
    left_open = [key for key, value in entries.items() if value is None or value == ()]
    skipped = {*inner, *left_open, "version"}
    for key in (each for each in entries if each not in skipped):
        meaning = words.plain(said.get(fields[key], key))
        yield _said(key, entries[key], meaning, depth)
    yield from _left_open(left_open, said, fields, depth)
    for key, values in inner.items():
        for each in _within(values):
            path = f"{name}.{key}" if depth else key
            yield from _table(path, each, depth + 1)


def _within(value: object) -> tuple[DataclassInstance, ...]:
    """The tables that a value stands for; none if it is a plain value."""
    listed = value if isinstance(value, tuple) else (value,)
    return tuple(each for each in listed if tables.is_instance(each))


def _left_open(
    keys: list[str], said: Mapping[str, str], fields: Mapping[str, str], depth: int
) -> Iterator[Sentence]:
    """What nothing is asked of; whole tables in one sentence."""
    if not depth:
        yield Sentence(f"no table, so neither accepted nor asked: {', '.join(keys)}.")
        return
    for key in keys:
        meaning = words.plain(said.get(fields[key], key))
        yield Sentence(f"not pinned: {key}. {meaning}", depth, _DIM)


def _said(key: str, value: object, meaning: str, depth: int) -> Sentence:
    """What a key's value stands for."""
    danger = key.startswith(DANGER) and value is not False
    style = _RED if danger else ""
    if isinstance(value, bool):
        answer = "yes" if value else "no"
        about = meaning.removeprefix(_WHETHER).rstrip(".")
        if meaning.startswith(_WHETHER):
            return Sentence(f"{answer}: {about}. ({key})", depth, style)
        return Sentence(f"{answer}: {meaning} ({key})", depth, style)
    values = value if isinstance(value, tuple) else (value,)
    listed = " or ".join(words.word(each) for each in values)
    return Sentence(f"{meaning.rstrip('.')}: {listed}. ({key})", depth, style)


@dataclass(frozen=True, slots=True)
class Difference:
    """A key whose values are not the same in two policies.

    Attributes:
        key: With the tables it is in: `sev-snp.measurements`.
        removed: What only the first has.
        added: What only the second has.
    """

    key: str
    removed: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def danger(self) -> bool:
        """Whether the key weakens security."""
        return DANGER in self.key

    def to_json(self) -> dict[str, object]:
        """The difference for machines."""
        return dataclasses.asdict(self)


def differences(before: Policy, after: Policy) -> Iterator[Difference]:
    """What tells two policies apart, key by key, whatever the order within lists."""
    first, second = dict(_flat(before.to_json())), dict(_flat(after.to_json()))
    for key in dict.fromkeys([*first, *second]):
        old, new = first.get(key, ()), second.get(key, ())
        removed = tuple(each for each in old if each not in new)
        added = tuple(each for each in new if each not in old)
        if removed or added:
            yield Difference(key, removed, added)


def _flat(
    table: Mapping[str, object], before: str = ""
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key, value in table.items():
        name = f"{before}{key}"
        match value:
            case dict():
                yield from _flat(value, f"{name}.")
            case list():
                yield name, tuple(map(_word, value))
            case _:
                yield name, (_word(value),)


def _word(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_word(each)}" for key, each in value.items())
    if isinstance(value, list):
        return " or ".join(map(_word, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
