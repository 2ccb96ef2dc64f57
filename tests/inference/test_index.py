"""The index of a sealed store: what it holds, and the chain it is a link of."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import BlindAIError, OverloadedError, ProtocolError, SealingError
from blindai.inference import index
from blindai.inference.index import Entry, Index, parse, parse_metadata
from blindai.protocol import cbor

STORE = b"s" * 16
ENTRY = Entry(
    name="medical-model",
    version=3,
    digest="ab" * 32,
    owner="key:clinic",
    size_bytes=1234,
    created_at=datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC),
    epoch=7,
    salt=b"\x01" * 32,
)
FULL = Index(store=STORE).after(added=(ENTRY,))


def test_an_index_is_read_as_it_was_written() -> None:
    assert parse(FULL.encode()) == FULL


def test_the_first_index_has_none_before_it() -> None:
    first = Index(store=STORE)

    assert (first.epoch, first.previous, first.entries) == (1, bytes(32), ())


def test_each_index_names_the_one_before_it() -> None:
    first = Index(store=STORE)

    second = first.after(added=(ENTRY,))
    third = second.after(removed=(ENTRY,))

    assert (second.epoch, third.epoch) == (2, 3)
    assert second.previous == hashlib.sha256(first.encode()).digest()
    assert third.previous == hashlib.sha256(second.encode()).digest()
    assert third.entries == ()


def test_its_mark_is_what_clients_compare() -> None:
    mark = FULL.mark

    assert (mark.store, mark.epoch) == (STORE, 2)
    assert (mark.index, mark.previous) == (FULL.digest, FULL.previous)


def test_numbers_that_were_given_out_are_remembered_while_the_name_is_held() -> None:
    older = replace(ENTRY, version=1, salt=b"\x02" * 32)
    both = Index(store=STORE).after(added=(older, ENTRY))

    assert both.after(removed=(ENTRY,)).issued == {"medical-model": 3}
    assert both.after(removed=(older, ENTRY)).issued == {}


def test_a_file_is_named_by_its_salt() -> None:
    assert ENTRY.file == "01" * 32


def test_an_index_that_would_be_too_large_is_refused() -> None:
    many = tuple(
        replace(ENTRY, name=f"{number:0128}", salt=number.to_bytes(32))
        for number in range(4000)
    )

    with pytest.raises(OverloadedError, match="fewer models"):
        Index(store=STORE).after(added=many)


def good() -> dict[str, object]:
    read = cbor.decode(FULL.encode())
    assert isinstance(read, dict)
    return read


@pytest.mark.parametrize(
    "change",
    [
        {"v": 3},
        {"store": "text"},
        {"epoch": "1"},
        {"models": {}},
        {"models": [1]},
        {"models": [ENTRY.table() | {"more": 1}]},
        {"models": [ENTRY.table() | {"version": "1"}]},
        {"models": [ENTRY.table() | {"version": True}]},
        {"models": [ENTRY.table() | {"salt": "00"}]},
    ],
)
def test_refuses_another_index(change: dict[str, object]) -> None:
    with pytest.raises(SealingError):
        parse(cbor.encode(good() | change))


def test_refuses_what_is_no_cbor() -> None:
    with pytest.raises(ProtocolError, match="CBOR"):
        parse(b"\xff")


@given(st.binary(max_size=200))
def test_any_bytes_are_an_index_or_the_documented_error(data: bytes) -> None:
    with pytest.raises((ProtocolError, SealingError)):
        parse(data)


def test_a_models_metadata_names_all_that_is_known_of_it() -> None:
    assert parse_metadata(index.metadata(STORE, ENTRY)) == (STORE, ENTRY)


@pytest.mark.parametrize("field", ENTRY.table())
def test_metadata_that_lacks_a_field_is_refused(field: str) -> None:
    table = {"v": 2, "store": STORE} | ENTRY.table()
    del table[field]

    with pytest.raises(BlindAIError):
        parse_metadata(cbor.encode(table))


def test_metadata_of_the_first_version_is_refused() -> None:
    with pytest.raises(SealingError, match="expected one of version 2"):
        parse_metadata(cbor.encode({"v": 1, "name": "m"}))


def test_times_are_exact() -> None:
    later = replace(ENTRY, created_at=ENTRY.created_at + timedelta(microseconds=1))

    assert parse_metadata(index.metadata(STORE, later)) == (STORE, later)
