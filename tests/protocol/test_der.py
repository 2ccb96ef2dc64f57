"""DER, read strictly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.protocol import der


@pytest.mark.parametrize(
    ("data", "content"),
    [
        pytest.param("3000", b"", id="empty"),
        pytest.param("307f" + 127 * "00", bytes(127), id="one octet"),
        pytest.param("308180" + 128 * "00", bytes(128), id="two octets"),
        pytest.param("30820100" + 256 * "00", bytes(256), id="three octets"),
    ],
)
def test_lengths_in_their_shortest_form_are_read(data: str, content: bytes) -> None:
    assert der.only(bytes.fromhex(data), der.SEQUENCE, "test") == content


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param("", "1 elements", id="nothing"),
        pytest.param("30", "one-byte tag", id="a tag alone"),
        pytest.param("3f2000", "one-byte tag", id="long tag"),
        pytest.param("3080" + "0000", "shortest DER length", id="indefinite"),
        pytest.param("30817f" + 127 * "00", "shortest DER length", id="long for 127"),
        pytest.param("3081", "shortest DER length", id="length cut short"),
        pytest.param("308200ff" + 255 * "00", "shortest DER length", id="long for 255"),
        pytest.param("308201", "shortest DER length", id="two octets cut short"),
        pytest.param("3083010000", "shortest DER length", id="three octets"),
        pytest.param("3001", "got fewer", id="content cut short"),
        pytest.param("30000500", "1 elements", id="something after it"),
        pytest.param("0500", "1 elements", id="another tag"),
        pytest.param(65 * "0500", "at most 64 elements", id="too many"),
    ],
)
def test_anything_else_is_refused(data: str, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        der.only(bytes.fromhex(data), der.SEQUENCE, "test")


def test_a_later_element_that_is_cut_short_is_refused() -> None:
    with pytest.raises(EvidenceError, match="got fewer"):
        der.elements(bytes.fromhex("0500" + "3001"), "test")


@pytest.mark.parametrize(
    ("content", "value"),
    [("00", 0), ("7f", 127), ("0080", 128), ("00" + 20 * "ff", 2**160 - 1)],
)
def test_integers_are_read(content: str, value: int) -> None:
    assert der.integer(bytes.fromhex(content), "test") == value


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("80", id="negative"),
        pytest.param("ff", id="minus one"),
        pytest.param("0001", id="not the shortest"),
        pytest.param("01" + 21 * "00", id="too long"),
    ],
)
def test_other_integers_are_refused(content: str) -> None:
    with pytest.raises(EvidenceError, match="integer"):
        der.integer(bytes.fromhex(content), "test")


@given(st.binary(max_size=80))
def test_what_is_read_is_all_there_was(data: bytes) -> None:
    try:
        found = der.elements(data, "test")
    except EvidenceError:
        return

    assert b"".join(element.encoding for element in found) == data
