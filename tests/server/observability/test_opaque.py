"""Ids that mean nothing outside the process."""

from __future__ import annotations

import hashlib
import re

from blindai.server.observability.opaque import OTHERS, OpaqueIds


def test_a_name_has_one_id_and_another_has_another() -> None:
    ids = OpaqueIds(10)

    assert ids.of("ward-7") == ids.of("ward-7")
    assert ids.of("ward-7") != ids.of("ward-8")


def test_an_id_cannot_be_computed_from_the_name() -> None:
    first, second = OpaqueIds(10).of("ward-7"), OpaqueIds(10).of("ward-7")

    assert first != second
    assert re.fullmatch(r"[0-9a-f]{8}", first)
    assert not hashlib.sha256(b"ward-7").hexdigest().startswith(first)


def test_there_is_a_bounded_number_of_them() -> None:
    ids = OpaqueIds(2)
    known = [ids.of("a"), ids.of("b")]

    assert ids.of("c") == OTHERS
    assert [ids.of("a"), ids.of("b")] == known
