"""Binary structures, read forward."""

from __future__ import annotations

import pytest

from blindai.errors import EvidenceError
from blindai.verifier.reader import Reader

DATA = bytes.fromhex("0003") + b"abc" + b"de"


def test_what_is_counted_may_be_as_long_as_the_limit() -> None:
    reader = Reader(DATA, "test")

    assert reader.sized(2, 3) == b"abc"
    assert reader.take(2) == b"de"
    reader.end()


def test_what_is_longer_than_the_limit_is_refused() -> None:
    with pytest.raises(EvidenceError, match="test: expected at most 2 bytes, got 3"):
        Reader(DATA, "test").sized(2, 2)


def test_no_more_is_taken_than_there_is() -> None:
    with pytest.raises(EvidenceError, match="test: expected 8 bytes, got 7"):
        Reader(DATA, "test").take(8)


def test_an_end_is_where_nothing_is_left() -> None:
    reader = Reader(DATA, "test")
    reader.take(6)

    with pytest.raises(EvidenceError, match="test: expected its end, got 1 bytes more"):
        reader.end()


@pytest.mark.parametrize(("order", "number"), [("big", 3), ("little", 0x300)])
def test_numbers_have_an_order(order: str, number: int) -> None:
    assert Reader(DATA, "test", order).number(2) == number  # type: ignore[arg-type]  # one of two
