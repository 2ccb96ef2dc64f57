"""RATS conceptual messages wrapper: records, tagged records and collections."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.protocol import cmw
from blindai.protocol.cmw import (
    MAX_DEPTH,
    MAX_ITEMS,
    Collection,
    Indicator,
    Record,
    encode,
    parse,
)

RECORD = Record("application/eat+cwt", b"evidence", Indicator.EVIDENCE)

TYPES = st.integers(0, 65535) | st.text(max_size=20).map(lambda text: f"a/{text}")
RECORDS = st.builds(
    Record,
    type=TYPES,
    value=st.binary(max_size=20),
    indicator=st.none() | st.integers(1, 31).map(Indicator),
)
LABELS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=8).filter(
    lambda label: label != cmw.COLLECTION_TYPE
)


def collections(
    inner: st.SearchStrategy[Record | Collection],
) -> st.SearchStrategy[Collection]:
    return st.builds(
        Collection,
        items=st.dictionaries(LABELS, inner, min_size=1, max_size=4),
        type=st.none() | st.text(max_size=20),
    )


MESSAGES: st.SearchStrategy[Record | Collection] = (
    RECORDS | collections(RECORDS) | collections(RECORDS | collections(RECORDS))
)


@given(MESSAGES)
def test_what_is_encoded_is_parsed_again(message: Record | Collection) -> None:
    assert parse(encode(message)) == message


@pytest.mark.parametrize(
    ("data", "record"),
    [
        pytest.param("8263612f6241ab", Record("a/b", b"\xab"), id="media type"),
        pytest.param("821a000075314100", Record(30001, b"\0"), id="content format"),
        pytest.param("8263612f6240", Record("a/b", b""), id="empty"),
        pytest.param(
            "8363612f6240181f", Record("a/b", b"", Indicator(31)), id="indicator of all"
        ),
        pytest.param("8219ffff40", Record(65535, b""), id="largest content format"),
    ],
)
def test_a_record_is_a_list(data: str, record: Record) -> None:
    assert parse(bytes.fromhex(data)) == record


@pytest.mark.parametrize(
    ("tag", "content_format"),
    [
        (1668546817, 0),
        (1668546817 + 254, 254),
        (1668546817 + 256, 255),
        (1668546817 + 117 * 256 + 166, 30001),
        (1668612095, 65024),
    ],
)
def test_a_tag_carries_its_content_format_as_rfc_9277_says(
    tag: int, content_format: int
) -> None:
    expected = 0x63740101 + content_format // 255 * 256 + content_format % 255
    assert tag == expected
    assert parse(cbor2.dumps(cbor2.CBORTag(tag, b"x"))) == Record(content_format, b"x")


@pytest.mark.parametrize(
    "tag",
    [0, 28, 1668546816, 1668546817 + 255, 1668612096, 1668612097, 2**64 - 1],
)
def test_a_tag_outside_the_transform_is_refused(tag: int) -> None:
    with pytest.raises(EvidenceError, match="expected a media type or content format"):
        parse(cbor2.dumps(cbor2.CBORTag(tag, b"x")))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(["a/b", "text"], "record: expected bytes", id="text value"),
        pytest.param(["a/b", None], "record: expected bytes", id="no value"),
        pytest.param(
            cbor2.CBORTag(1668546817, "x"), "record: expected bytes", id="tagged text"
        ),
        pytest.param(["a/b", b"", 32], "an indicator of RFC 9999", id="unknown bit"),
        pytest.param(["a/b", b"", 0], "an indicator of RFC 9999", id="no bit"),
        pytest.param(["a/b", b"", -1], "an indicator of RFC 9999", id="negative"),
        pytest.param(["a/b", b"", None], "an indicator of RFC 9999", id="null"),
        pytest.param(["a/b", b"", True], "an indicator of RFC 9999", id="boolean"),
        pytest.param(["a/b", b"", "4"], "an indicator of RFC 9999", id="text"),
        pytest.param(["ab", b""], "expected a media type or", id="no media type"),
        pytest.param([-1, b""], "expected a media type or", id="negative format"),
        pytest.param([65536, b""], "expected a media type or", id="large format"),
        pytest.param([True, b""], "expected a media type or", id="boolean format"),
        pytest.param([None, b""], "expected a media type or", id="no type"),
        pytest.param([], "expected a record or a collection", id="empty list"),
        pytest.param(["a/b"], "expected a record or a collection", id="list of one"),
        pytest.param(["a/b", b"", 4, 4], "a record or a collection", id="list of four"),
        pytest.param(1, "expected a record or a collection", id="number"),
        pytest.param("a/b", "expected a record or a collection", id="bare text"),
        pytest.param(b"ab", "expected a record or a collection", id="bare bytes"),
        pytest.param({}, "expected at least one item, got none", id="empty map"),
        pytest.param(
            {"__cmwc_t": "tag:a"}, "at least one item, got none", id="type alone"
        ),
        pytest.param(
            {"__cmwc_t": 1, "a": ["a/b", b""]}, "text as __cmwc_t", id="type not text"
        ),
        pytest.param(
            {"__cmwc_t": None, "a": ["a/b", b""]}, "text as __cmwc_t", id="type null"
        ),
        pytest.param(
            {b"a": ["a/b", b""]}, "text or integers as labels", id="bytes label"
        ),
        pytest.param(
            {True: ["a/b", b""]}, "text or integers as labels", id="boolean label"
        ),
        pytest.param({"a": 1}, "a record or a collection", id="item of no kind"),
        pytest.param({"a": {}}, "at least one item, got none", id="empty inner map"),
    ],
)
def test_what_is_malformed_is_refused(value: object, message: str) -> None:
    with pytest.raises(EvidenceError, match=rf"^CMW.*{message}"):
        parse(cbor2.dumps(value))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x82", b"\x9f\xff", b"\xa2\x61a\x00\x61a\x00", encode(RECORD) + b"a"],
)
def test_what_is_not_cbor_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError, match=r"^CMW: CBOR: expected"):
        parse(data)


def test_an_indicator_of_nothing_is_left_out() -> None:
    assert encode(Record("a/b", b"", Indicator(0))) == encode(Record("a/b", b""))


def test_a_collection_may_hold_another() -> None:
    inner = Collection({1: RECORD}, "tag:example.org,2026:inner")
    outer = Collection({"inner": inner, "record": RECORD})
    parsed = parse(encode(outer))
    assert parsed == outer


def nested(depth: int) -> object:
    value: object = ["a/b", b""]
    for _ in range(depth):
        value = {"a": value}
    return value


def test_nesting_is_limited() -> None:
    assert MAX_DEPTH == 4
    assert isinstance(parse(cbor2.dumps(nested(MAX_DEPTH))), Collection)
    with pytest.raises(EvidenceError, match="expected a record or a collection"):
        parse(cbor2.dumps(nested(MAX_DEPTH + 1)))


def test_items_are_limited() -> None:
    items: dict[str | int, Record | Collection] = dict.fromkeys(
        range(MAX_ITEMS), RECORD
    )
    assert parse(encode(Collection(items))) == Collection(items)
    with pytest.raises(EvidenceError, match="at most 64 items, got 65"):
        parse(encode(Collection(items | {"more": RECORD})))


def test_encodings_of_other_makers_are_read() -> None:
    data = b"\xb8\x02" + b"\x61b" + encode(RECORD) + b"\x61a" + encode(RECORD)
    assert parse(data) == Collection({"a": RECORD, "b": RECORD})


# Looking things up.

COLLECTION = Collection({"evidence": RECORD, "inner": Collection({1: RECORD})})


def test_a_record_is_found_by_its_label() -> None:
    assert COLLECTION.record("evidence") is RECORD
    assert COLLECTION.record("evidence", "application/eat+cwt") is RECORD


@pytest.mark.parametrize("label", ["missing", "inner"])
def test_what_is_no_record_is_not_found(label: str) -> None:
    with pytest.raises(EvidenceError, match=f"expected a record '{label}'"):
        COLLECTION.record(label)


def test_a_record_of_another_type_is_refused() -> None:
    with pytest.raises(EvidenceError, match="expected a/b, got application/eat"):
        COLLECTION.record("evidence", "a/b")


def test_a_record_shows_no_value() -> None:
    assert "b'evidence'" not in repr(COLLECTION)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=4)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4) | st.integers(0, 3), inner, max_size=3)
        | st.builds(cbor2.CBORTag, st.integers(1668546800, 1668547100), inner)
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_any_value_gives_a_message_or_the_error(value: object) -> None:
    try:
        message = parse(cbor2.dumps(value))
    except EvidenceError:
        return
    assert parse(encode(message)) == message


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_the_error(data: bytes) -> None:
    try:
        message = parse(data)
    except EvidenceError:
        return
    assert parse(encode(message)) == message
