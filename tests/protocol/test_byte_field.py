"""Bytes in header fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import ProtocolError
from blindai.protocol import byte_field


@given(st.binary(max_size=100))
def test_what_is_encoded_is_read_again(value: bytes) -> None:
    assert byte_field.parse(byte_field.encode(value), "x") == value


def test_it_is_rfc_9651s_example() -> None:
    text = ":cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:"

    assert byte_field.parse(text, "x") == b"pretend this is binary content."


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "AAAA",
        ":AAAA",
        "AAAA:",
        ":A:",
        ":AAA:",
        ":AA-_:",
        ":é:",
        ":AAAA:;a",
        '"a"',
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="x: expected bytes"):
        byte_field.parse(text, "x")


def test_another_size_is_refused() -> None:
    with pytest.raises(ProtocolError, match="expected 32 bytes"):
        byte_field.parse(byte_field.encode(bytes(31)), "x", 32)
