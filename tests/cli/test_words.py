"""Dataclasses in words."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import pytest

from blindai import tables
from blindai.cli.words import meanings, plain, rows, to_json, word
from blindai.verifier import Policy


class Colour(Enum):
    RED = 1


@dataclass(frozen=True)
class Inner:
    """Within.

    Attributes:
        number: A number, which is
            explained at length.
    """

    number: int = 5


@dataclass(frozen=True)
class Outer:
    """All of it.

    Attributes:
        claims: What is within.
        parts: By name.

    And a word that belongs to nothing.
    """

    claims: Inner = field(default_factory=Inner)
    inner: Inner = field(default_factory=Inner)
    parts: dict[str, object] = field(
        default_factory=lambda: {"a": 1, "b": {"c": 2}, "d": Inner()}
    )
    signature: bytes = b"not shown"


def test_fields_stand_below_one_another() -> None:
    found = [(row.name, row.value, row.meaning) for row in rows(Outer())]

    at_length = "A number, which is explained at length."
    assert found == [
        ("number", "5", at_length),
        ("inner: number", "5", at_length),
        ("parts a", "1", "By name."),
        ("parts b c", "2", ""),
        ("parts d: number", "5", at_length),
    ]


def test_without_a_docstring_names_have_to_do() -> None:
    @dataclass(frozen=True)
    class Bare:
        number: int = 1

    assert not meanings(Bare)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "none"),
        (True, "yes"),
        (False, "no"),
        (b"\x01", "01"),
        (b"", "empty"),
        (bytes(200), f"{'00' * 128}... (200 bytes)"),
        (Colour.RED, "RED (1)"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00 UTC"),
        (timedelta(minutes=2), "120 s"),
        ((1, b"\x02"), "1, 02"),
        ((), "none"),
        (tuple(range(70)), ", ".join(map(str, range(64))) + ", 70 in all"),
        ("text", "text"),
    ],
)
def test_values_are_written_for_people(value: object, expected: str) -> None:
    assert word(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (5, 5),
        (b"\x01", "01"),
        (Colour.RED, 1),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (timedelta(minutes=2), 120.0),
        ({1: b"\x02"}, {"1": "02"}),
        ((1, 2), [1, 2]),
        (Inner(), {"number": 5}),
        (object, "<class 'object'>"),
    ],
)
def test_values_are_written_for_machines(value: object, expected: object) -> None:
    assert to_json(value) == expected


@pytest.mark.parametrize(
    ("meaning", "expected"),
    [
        ("A thing; None if there is none.", "A thing."),
        ("A thing, or None.", "A thing."),
        ("Nothing, None of it.", "Nothing."),
        ("None of these", "None of these"),
    ],
)
def test_what_is_for_readers_of_python_is_left_out(meaning: str, expected: str) -> None:
    assert plain(meaning) == expected


POLICY_TABLES = [
    getattr(importlib.import_module(f"blindai.verifier.{module}"), name)
    for module, name in (
        ("policy", "Policy"),
        ("policy", "EvidencePolicy"),
        ("policy", "EnclavePolicy"),
        ("policy", "InsecureRoot"),
        ("snp.policy", "SnpPolicy"),
        ("intel.policy", "SgxPolicy"),
        ("intel.policy", "TdxPolicy"),
        ("intel.policy", "PlatformPolicy"),
        ("nitro.policy", "NitroPolicy"),
        ("tpm.policy", "TpmPolicy"),
        ("nvidia.policy", "GpuPolicy"),
    )
]


@pytest.mark.parametrize("table", POLICY_TABLES, ids=lambda table: str(table.__name__))
def test_every_key_of_a_policy_can_be_read_aloud(table: Any) -> None:  # noqa: ANN401  a class
    assert {each.name for each in fields(table)} <= meanings(table).keys()


def test_every_table_of_a_policy_is_among_them() -> None:
    names = {name for _, name in tables.names(Policy)}

    assert {"sev_snp", "sgx", "tdx", "nitro", "tpm", "nvidia_gpu"} <= names
