"""Reading Binary HTTP: what is malformed, what is too much, and the events."""

from __future__ import annotations

import pytest

from blindai.errors import BinaryHttpError, TooLargeError
from blindai.protocol import bhttp, varint
from blindai.protocol.bhttp import (
    Content,
    End,
    InformationalResponse,
    RequestHead,
    ResponseHead,
    Trailers,
)
from blindai.protocol.bhttp_decoder import (
    Limits,
    Request,
    RequestDecoder,
    Response,
    ResponseDecoder,
    decode_request,
    decode_response,
)

POST = RequestHead(b"POST", b"https", b"a", b"/", ((b"x", b"y"),))
OK = ResponseHead(200)
KNOWN = bhttp.encode_request(POST, b"abc")
RESPONSE = bhttp.encode_response(OK, b"abc")


def known_request(section: bytes) -> bytes:
    return b"\0\3GET\5https\1a\1/" + varint.encode(len(section)) + section


def indeterminate_request(rest: bytes) -> bytes:
    return b"\2\3GET\5https\1a\1/" + rest


# What is malformed.


@pytest.mark.parametrize("framing", [1, 3, 4, 64, 2**62 - 1])
def test_a_request_has_framing_0_or_2(framing: int) -> None:
    with pytest.raises(BinaryHttpError, match=f"expected 0 or 2, got {framing}"):
        decode_request(varint.encode(framing) + KNOWN[1:])


@pytest.mark.parametrize("framing", [0, 2, 4, 64, 2**62 - 1])
def test_a_response_has_framing_1_or_3(framing: int) -> None:
    with pytest.raises(BinaryHttpError, match=f"expected 1 or 3, got {framing}"):
        decode_response(varint.encode(framing) + b"\x40\xc8")


def test_integers_may_be_longer_than_they_need() -> None:
    wide = b"\x40\0" + b"\x80\0\0\4POST" + KNOWN[6:]
    assert decode_request(wide) == decode_request(KNOWN)


def test_an_empty_line_name_is_refused_where_nothing_ends_the_section() -> None:
    with pytest.raises(BinaryHttpError, match="name of field 0"):
        decode_request(known_request(b"\0\0"))


@pytest.mark.parametrize(
    "section",
    [
        pytest.param(b"\2a", id="name"),
        pytest.param(b"\1a", id="value missing"),
        pytest.param(b"\1a\2b", id="value"),
        pytest.param(b"\1a\1b\x40", id="length"),
        pytest.param(b"\1a\1b\x80", id="length, longer"),
    ],
)
def test_a_line_ends_within_its_section(section: bytes) -> None:
    with pytest.raises(BinaryHttpError, match="lines within its size"):
        decode_request(known_request(section) + bytes(9))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(known_request(b"\1A\1b"), id="header"),
        pytest.param(known_request(b"") + b"\0\4\1A\1b", id="trailer"),
        pytest.param(known_request(b"") + b"\0\6\5:path\0", id="pseudo-field"),
        pytest.param(indeterminate_request(b"\1A\1b\0"), id="header, indeterminate"),
        pytest.param(indeterminate_request(b"\0\0\1A\1b\0"), id="trailer, too"),
    ],
)
def test_malformed_fields_are_refused_in_every_section(message: bytes) -> None:
    with pytest.raises(BinaryHttpError, match="field"):
        decode_request(message)


def test_malformed_control_data_is_refused() -> None:
    with pytest.raises(BinaryHttpError, match="path: expected"):
        decode_request(b"\0\3GET\5https\1a\1*\0")


@pytest.mark.parametrize("status", [0, 99, 600, 2**62 - 1])
def test_a_status_is_of_three_digits_that_exist(status: int) -> None:
    with pytest.raises(BinaryHttpError, match=f"200 to 599, got {status}"):
        decode_response(b"\1" + varint.encode(status) + b"\0")


@pytest.mark.parametrize("status", [100, 199])
def test_statuses_of_100_to_199_are_informational(status: int) -> None:
    response = decode_response(b"\1" + varint.encode(status) + b"\0\x40\xc8")
    assert response.head.informational == (InformationalResponse(status),)


def test_malformed_informational_fields_are_refused() -> None:
    with pytest.raises(BinaryHttpError, match="name of field 0"):
        decode_response(b"\1\x40\x64\3\1A\0\x40\xc8")


# Limits.


@pytest.mark.parametrize(
    ("what", "control"),
    [
        ("method", b"\5"),
        ("scheme", b"\4AAAA\5"),
        ("authority", b"\4AAAA\4AAAA\5"),
        ("path", b"\4AAAA\4AAAA\4AAAA\5"),
    ],
)
def test_each_part_of_control_data_has_a_limit(what: str, control: bytes) -> None:
    decoder = RequestDecoder(Limits(max_control_bytes=4))
    with pytest.raises(BinaryHttpError, match=f"{what}: expected at most 4 .*got 5"):
        decoder.feed(b"\0" + control)


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_control_data_over_its_limit_is_refused_when_it_is_all_there(at: int) -> None:
    what, parts = ("method", "scheme", "authority", "path")[at], [b"\1A"] * 4
    parts[at] = b"\5AAAAA"
    message = b"\0" + b"".join(parts) + b"\0"
    with pytest.raises(BinaryHttpError, match=f"{what}: expected at most 4 .*got 5"):
        decode_request(message, Limits(max_control_bytes=4))


def test_control_data_reaches_its_limit() -> None:
    head = RequestHead(b"POST", b"http", b"a.bc", b"/abc")
    limits = Limits(max_control_bytes=4)
    assert decode_request(bhttp.encode_request(head), limits).head == head


def test_a_section_of_known_length_has_a_limit() -> None:
    decoder = RequestDecoder(Limits(max_field_section_bytes=7))
    with pytest.raises(BinaryHttpError, match=r"field section: .* 7 bytes, got 8"):
        decoder.feed(b"\0\3GET\5https\1a\1/\x08")


def test_a_section_of_indeterminate_length_has_a_limit() -> None:
    decoder = RequestDecoder(Limits(max_field_section_bytes=8))
    with pytest.raises(BinaryHttpError, match="field section: expected lines within"):
        decoder.feed(indeterminate_request(b"\1a\1b\1c\3"))


def test_a_section_of_indeterminate_length_cannot_go_on_over_its_limit() -> None:
    limits = Limits(max_field_section_bytes=8)
    with pytest.raises(BinaryHttpError, match="field section: expected lines within"):
        decode_request(indeterminate_request(b"\1a\1b\1c\1d\0"), limits)


def test_sections_reach_their_limit() -> None:
    fields = ((b"a", b"b"), (b"c", b"d"))
    head = RequestHead(b"GET", b"https", b"a", b"/", fields)
    known = bhttp.encode_request(head, b"", fields)
    indeterminate = bhttp.encode_request_head(head) + bhttp.encode_end(fields)
    expected = Request(head, b"", fields)
    assert decode_request(known, Limits(max_field_section_bytes=8)) == expected
    assert decode_request(indeterminate, Limits(max_field_section_bytes=9)) == expected


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(known_request(b"\1a\0" * 3), id="known"),
        pytest.param(known_request(b"") + b"\0\x09" + b"\1a\0" * 3, id="trailers"),
        pytest.param(indeterminate_request(b"\1a\0" * 3), id="indeterminate"),
    ],
)
def test_the_number_of_fields_has_a_limit(message: bytes) -> None:
    with pytest.raises(BinaryHttpError, match="expected at most 2 fields"):
        RequestDecoder(Limits(max_fields=2)).feed(message)


def test_the_number_of_fields_reaches_its_limit() -> None:
    message = indeterminate_request(b"\1a\0" * 3 + b"\0")
    assert len(decode_request(message, Limits(max_fields=3)).head.fields) == 3


def test_informational_responses_have_a_limit() -> None:
    message = b"\1" + b"\x40\x64\0" * 3 + b"\x40\xc8"
    with pytest.raises(BinaryHttpError, match="responses: expected at most 2"):
        decode_response(message, Limits(max_informational=2))


def test_informational_responses_reach_their_limit() -> None:
    message = b"\1" + b"\x40\x64\0" * 3 + b"\x40\xc8"
    head = decode_response(message, Limits(max_informational=3)).head
    assert head.informational == (InformationalResponse(100),) * 3


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(known_request(b"") + b"\4", id="known, before any content"),
        pytest.param(indeterminate_request(b"\0\4"), id="indeterminate, first chunk"),
        pytest.param(indeterminate_request(b"\0\3abc\1"), id="indeterminate, later"),
    ],
)
def test_content_has_a_limit_told_from_other_errors(message: bytes) -> None:
    with pytest.raises(TooLargeError, match="content: expected at most 3 bytes"):
        RequestDecoder(Limits(max_content_bytes=3)).feed(message)


@pytest.mark.parametrize(
    "message", [known_request(b"") + b"\3abc", indeterminate_request(b"\0\1a\2bc\0")]
)
def test_content_reaches_its_limit(message: bytes) -> None:
    assert decode_request(message, Limits(max_content_bytes=3)).content == b"abc"


def test_no_content_is_taken_where_the_limit_is_zero() -> None:
    with pytest.raises(TooLargeError):
        decode_request(known_request(b"") + b"\1a", Limits(max_content_bytes=0))


# Events.


def test_the_head_does_not_wait_for_content() -> None:
    decoder = RequestDecoder()
    assert decoder.feed(bhttp.encode_request_head(POST)) == [POST]


def test_content_does_not_wait_for_the_rest_of_its_chunk() -> None:
    decoder = RequestDecoder()
    decoder.feed(bhttp.encode_request_head(POST) + varint.encode(1000))
    assert decoder.feed(b"abc") == [Content(b"abc")]


def test_trailers_and_end_come_last() -> None:
    message = bhttp.encode_request(POST, b"abc", ((b"a", b"b"),))
    decoder = RequestDecoder()
    assert decoder.feed(message) + decoder.finish() == [
        POST,
        Content(b"abc"),
        Trailers(((b"a", b"b"),)),
        End(),
    ]


def test_the_end_waits_for_the_end_of_the_bytes() -> None:
    decoder = RequestDecoder()
    assert decoder.feed(bhttp.encode_request(POST)) == [POST]
    assert decoder.feed(bytes(5)) == []
    assert decoder.finish() == [End()]


def test_no_bytes_are_no_events() -> None:
    assert RequestDecoder().feed(b"") == []


@pytest.mark.parametrize("content", [b"", b"content"])
def test_a_request_of_known_length_ends_with_its_content(content: bytes) -> None:
    written = bhttp.encode_whole_request_head(POST, len(content)) + content
    assert bhttp.encode_request(POST, content) == written + b"\0"
    assert decode_request(written) == decode_request(written + b"\0")
    assert decode_request(written).content == content


def test_small_chunks_are_joined_and_order_is_kept() -> None:
    chunks = [b"a" * 511, b"b" * 511, b"c" * 512, b"d"]
    encoded = [part for chunk in chunks for part in bhttp.encode_content(chunk)]
    decoder = RequestDecoder()
    events = decoder.feed(
        b"".join((bhttp.encode_request_head(POST), *encoded, bhttp.encode_end()))
    )
    assert events == [
        POST,
        Content(chunks[0] + chunks[1]),
        Content(chunks[2]),
        Content(chunks[3]),
    ]


def test_views_are_read_as_bytes_are() -> None:
    assert decode_request(memoryview(KNOWN)) == Request(POST, b"abc")
    assert decode_response(memoryview(RESPONSE)) == Response(OK, b"abc")


def test_views_of_wide_items_are_read_byte_by_byte() -> None:
    head = RequestHead(b"POST", b"https", b"a", b"/b")
    wide = memoryview(bhttp.encode_request(head, bytes(16))).cast("I")
    assert decode_request(wide) == Request(head, bytes(16))


@pytest.mark.parametrize("decoder", [RequestDecoder(), ResponseDecoder()])
def test_an_error_is_final(decoder: RequestDecoder | ResponseDecoder) -> None:
    with pytest.raises(BinaryHttpError):
        decoder.feed(b"\5")
    with pytest.raises(ValueError, match="no call after the end or an error"):
        decoder.feed(b"\0")
    with pytest.raises(ValueError, match="no call after the end or an error"):
        decoder.finish()


def test_the_end_is_final() -> None:
    decoder = ResponseDecoder()
    decoder.feed(RESPONSE)
    decoder.finish()
    with pytest.raises(ValueError, match="no call after the end or an error"):
        decoder.feed(b"")
    with pytest.raises(ValueError, match="no call after the end or an error"):
        decoder.finish()


def test_what_was_sent_is_in_no_repr() -> None:
    secret = ((b"secret", b"secret"),)
    whole = [Request(POST, b"secret", secret), Response(OK, b"secret", secret)]
    assert "secret" not in repr(whole)


def test_the_size_of_all_content_is_known_once_it_begins() -> None:
    decoder = ResponseDecoder()
    begin = bhttp.encode_whole_response_head(OK, 3)
    decoder.feed(begin[:-1])
    assert decoder.content_bytes is None
    decoder.feed(begin[-1:] + b"a")
    assert decoder.content_bytes == 3
    decoder.feed(b"bc")
    decoder.finish()
    assert decoder.content_bytes == 3


def test_the_size_of_content_that_is_made_as_it_is_sent_is_not_known() -> None:
    decoder = ResponseDecoder()
    decoder.feed(bhttp.encode_response_head(OK) + b"\3abc")
    assert decoder.content_bytes is None


def test_no_content_has_no_size() -> None:
    decoder = ResponseDecoder()
    decoder.feed(bhttp.encode_whole_response_head(OK, 0))
    decoder.finish()
    assert decoder.content_bytes is None
