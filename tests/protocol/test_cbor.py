"""Deterministic CBOR: one value, one encoding, and nothing else is read."""

from __future__ import annotations

from collections.abc import Callable

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import ProtocolError
from blindai.protocol.cbor import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_ITEMS,
    decode,
    decode_claims,
    decode_loosely,
    decode_preferred,
    encode,
)

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=40)
    | st.text(max_size=40)
    | st.floats(allow_nan=False)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=30), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_encoded_is_decoded_again(value: object) -> None:
    assert decode(encode(value)) == value
    assert decode_loosely(encode(value)) == value


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        pytest.param(23, "17", id="shortest integer"),
        pytest.param(24, "1818", id="integer of one byte"),
        pytest.param(-1, "20", id="negative integer"),
        pytest.param(None, "f6", id="null"),
        pytest.param(True, "f5", id="true"),
        pytest.param(b"\x01", "4101", id="bytes"),
        pytest.param("a", "6161", id="text"),
        pytest.param([1, []], "820180", id="list"),
        pytest.param({"b": 1, "a": 2, "aa": 3}, "a361610261620162616103", id="map"),
        pytest.param(
            {"z": 0, "a" * 24: 1}, "a2617a007818" + "61" * 24 + "01", id="long"
        ),
        pytest.param(1.5, "f93e00", id="shortest float"),
    ],
)
def test_each_value_has_the_encoding_of_rfc_8949(value: object, encoded: str) -> None:
    assert encode(value).hex() == encoded
    assert decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param("1817", id="long integer"),
        pytest.param("190017", id="longer integer"),
        pytest.param("1a00000017", id="even longer integer"),
        pytest.param("580101", id="long byte string length"),
        pytest.param("780161", id="long text length"),
        pytest.param("980101", id="long list length"),
        pytest.param("b801616101", id="long map length"),
        pytest.param("fb3ff8000000000000", id="long float"),
        pytest.param("f97e01", id="another not-a-number"),
        pytest.param("a2616201616101", id="unsorted keys"),
        pytest.param("a262616101616201", id="longer key first"),
    ],
)
def test_another_encoding_of_a_value_is_refused(encoded: str) -> None:
    assert decode_loosely(bytes.fromhex(encoded)) is not None
    with pytest.raises(ProtocolError, match="expected the deterministic encoding"):
        decode(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param("", id="nothing"),
        pytest.param("18", id="half an integer"),
        pytest.param("4201", id="half a byte string"),
        pytest.param("5bffffffffffffffff", id="huge byte string"),
        pytest.param("9bffffffffffffffff", id="huge list"),
        pytest.param("bbffffffffffffffff", id="huge map"),
        pytest.param("61ff", id="text that is not UTF-8"),
        pytest.param("9f01ff", id="indefinite list"),
        pytest.param("bf616101ff", id="indefinite map"),
        pytest.param("5f4101ff", id="indefinite byte string"),
        pytest.param("7f6161ff", id="indefinite text"),
        pytest.param("a2616101616102", id="key twice"),
        pytest.param("1e", id="reserved"),
        pytest.param("f818", id="long simple value"),
        pytest.param("ff", id="break alone"),
    ],
)
@pytest.mark.parametrize("read", [decode, decode_preferred, decode_loosely])
def test_what_is_not_one_value_is_refused(
    encoded: str, read: Callable[[bytes], object]
) -> None:
    with pytest.raises(ProtocolError, match="CBOR: expected one well-formed value"):
        read(bytes.fromhex(encoded))


@pytest.mark.parametrize("read", [decode, decode_preferred, decode_loosely])
def test_bytes_after_the_value_are_refused(read: Callable[[bytes], object]) -> None:
    with pytest.raises(ProtocolError, match="one value, got 2 bytes after it"):
        read(b"\x01\x02\x03")


@pytest.mark.parametrize("read", [decode, decode_preferred, decode_loosely])
def test_nesting_is_limited(read: Callable[[bytes], object]) -> None:
    assert MAX_DEPTH == 16
    assert read(b"\x81" * MAX_DEPTH + b"\x00")
    with pytest.raises(ProtocolError, match="one well-formed value"):
        read(b"\x81" * (MAX_DEPTH + 1) + b"\x00")


@pytest.mark.parametrize("read", [decode, decode_preferred, decode_loosely])
def test_size_is_limited(read: Callable[[bytes], object]) -> None:
    largest = encode(bytes(MAX_BYTES - 5))
    assert len(largest) == MAX_BYTES
    assert read(largest) == bytes(MAX_BYTES - 5)
    with pytest.raises(ProtocolError, match="at most 1048576 bytes, got 1048577"):
        read(encode(bytes(MAX_BYTES - 4)))


# What other makers sign: shortest forms, but any order and any keys.


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        pytest.param("a1013822", {1: -35}, id="integer key"),
        pytest.param("a26162016161" + "02", {"b": 1, "a": 2}, id="another order"),
        pytest.param("a1410100", {b"\x01": 0}, id="key of bytes"),
        pytest.param("fb3ff8000000000000", 1.5, id="float"),
    ],
)
def test_the_preferred_encoding_is_read(encoded: str, value: object) -> None:
    assert decode_preferred(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param("1817", id="long integer"),
        pytest.param("a1180100", id="long key"),
        pytest.param("580101", id="long byte string length"),
        pytest.param("780161", id="long text length"),
        pytest.param("980101", id="long list length"),
        pytest.param("b801616101", id="long map length"),
        pytest.param("f93e00", id="short float"),
    ],
)
def test_a_longer_encoding_than_the_preferred_one_is_refused(encoded: str) -> None:
    assert decode_loosely(bytes.fromhex(encoded)) is not None
    with pytest.raises(ProtocolError, match="expected the preferred encoding"):
        decode_preferred(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param("a201000101", id="twice"),
        pytest.param("a20100f501", id="number and boolean"),
        pytest.param("a20100fb3ff000000000000001", id="integer and float"),
    ],
)
def test_keys_that_are_equal_are_refused(encoded: str) -> None:
    with pytest.raises(ProtocolError, match="one well-formed value"):
        decode_preferred(bytes.fromhex(encoded))


@given(st.binary(max_size=200))
def test_any_bytes_give_their_preferred_value_or_the_error(data: bytes) -> None:
    try:
        value = decode_preferred(data)
    except ProtocolError:
        return
    assert cbor2.dumps(value) == data


# Tags.

TAGGED = [
    pytest.param("c249010000000000000000", id="big integer"),
    pytest.param("c11a5f5e1000", id="date"),
    pytest.param("d8236161", id="regular expression"),
    pytest.param("d81c80", id="shared value"),
    pytest.param("d82550" + "00" * 16, id="UUID"),
    pytest.param("d9d9f700", id="self-described CBOR"),
    pytest.param("da6374010140", id="unknown to the library"),
    pytest.param("dbffffffffffffffff00", id="largest number"),
]


@pytest.mark.parametrize("encoded", TAGGED)
@pytest.mark.parametrize("read", [decode, decode_preferred])
def test_a_tag_is_refused_where_bytes_are_hashed(
    read: Callable[[bytes], object], encoded: str
) -> None:
    with pytest.raises(ProtocolError, match="one well-formed value"):
        read(bytes.fromhex(encoded))


@pytest.mark.parametrize("encoded", TAGGED)
def test_a_tag_is_never_given_its_meaning(encoded: str) -> None:
    assert type(decode_loosely(bytes.fromhex(encoded))) is cbor2.CBORTag


def test_a_tag_keeps_its_number_and_value() -> None:
    assert decode_loosely(bytes.fromhex("c11903e8")) == cbor2.CBORTag(1, 1000)


def test_shared_references_do_not_make_small_bytes_large() -> None:
    level = b"\x00"
    for index in range(7, -1, -1):
        level = b"\xd8\x1c\x98\xff" + level + (b"\xd8\x1d" + bytes([index])) * 254
    with pytest.raises(ProtocolError, match="one well-formed value"):
        decode(level)


@pytest.mark.parametrize(
    "key", ["01", "f5", "f6", "8101", "a0", "f97e00", "f93c00"], ids=str
)
def test_keys_are_text_where_bytes_are_hashed(key: str) -> None:
    data = bytes.fromhex("a1" + key + "00")
    assert decode_loosely(data)
    with pytest.raises(ProtocolError, match="one well-formed value"):
        decode(data)


@given(st.binary(max_size=200))
def test_any_bytes_give_their_only_value_or_the_error(data: bytes) -> None:
    try:
        value = decode(data)
    except ProtocolError:
        return
    assert encode(value) == data


@given(st.binary(max_size=200))
def test_any_bytes_give_a_loose_value_or_the_error(data: bytes) -> None:
    try:
        decode_loosely(data)
    except ProtocolError:
        return


@given(VALUES, st.data())
def test_a_changed_byte_gives_another_value_or_the_error(
    value: object, data: st.DataObject
) -> None:
    encoded = bytearray(encode(value))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        other = decode(bytes(encoded))
    except ProtocolError:
        return
    assert encode(other) == encoded


@pytest.mark.parametrize(
    "value", [{1: 2, 7: b"x", "a": [{-8: None}]}, [], {-24: 1, 23: 0}]
)
def test_claims_have_small_integers_and_text_as_keys(value: object) -> None:
    assert decode_claims(encode(value)) == value


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param("a1181801", id="an integer of two bytes"),
        pytest.param("a1f501", id="true, which Python takes for 1"),
        pytest.param("a1f93c0001", id="1.0, likewise"),
        pytest.param("a1410101", id="bytes"),
        pytest.param("81a1f501", id="deeper in a list"),
        pytest.param("a161 61a1f501", id="deeper in a map"),
        pytest.param("a1180101", id="a long integer"),
        pytest.param("a207000600", id="unsorted"),
        pytest.param("a201020102", id="twice"),
        pytest.param("a1010200", id="something after it"),
    ],
)
def test_claims_with_other_keys_are_refused(encoded: str) -> None:
    with pytest.raises(ProtocolError):
        decode_claims(bytes.fromhex(encoded))


def test_more_can_be_read_where_it_is_asked_for() -> None:
    large = encode(bytes(MAX_BYTES))

    with pytest.raises(ProtocolError, match="at most"):
        decode(large)
    assert decode(large, MAX_BYTES + 8) == bytes(MAX_BYTES)
    assert decode_loosely(large, MAX_BYTES + 8) == bytes(MAX_BYTES)


def long(items: bytes) -> bytes:
    """An array of as many as there are, behind a string that makes it long."""
    return b"\x82" + encode(bytes(MAX_BYTES)) + items


MANY = encode([[]] * (MAX_ITEMS + 1))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(long(MANY), id="arrays"),
        pytest.param(long(encode([2**40] * (MAX_ITEMS + 1))), id="numbers"),
        pytest.param(long(encode(["x" * 300] * (MAX_ITEMS + 1))), id="text"),
        pytest.param(b"\xa1\x61a" * (MAX_ITEMS + MAX_BYTES), id="maps in maps"),
    ],
)
@pytest.mark.parametrize("read", [decode, decode_loosely])
def test_what_is_long_has_few_items(read: Callable[..., object], data: bytes) -> None:
    with pytest.raises(ProtocolError, match="at most 65536 items"):
        read(data, 1 << 30)


def test_as_many_items_as_may_be_are_read() -> None:
    some = encode([[]] * (MAX_ITEMS - 3))

    assert decode(long(some), 1 << 30) == [bytes(MAX_BYTES), [[]] * (MAX_ITEMS - 3)]


@pytest.mark.parametrize(
    "items", [b"\x9f" + MANY, b"\x1c" + MANY, b"\x5b" + b"\xff" * 8, b"\x1b\x00", b""]
)
def test_what_is_long_and_no_cbor_is_refused_as_that(items: bytes) -> None:
    with pytest.raises(ProtocolError, match="well-formed"):
        decode(long(items), 1 << 30)
