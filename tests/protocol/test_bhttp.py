"""Binary HTTP messages and how they are written: RFC 9292."""

from __future__ import annotations

import pytest

from blindai.errors import BinaryHttpError
from blindai.protocol import bhttp
from blindai.protocol.bhttp import InformationalResponse, RequestHead, ResponseHead

GET = RequestHead(b"GET", b"https", b"example.com", b"/")
OK = ResponseHead(200)

BAD_NAMES = [
    pytest.param(b"", id="empty"),
    pytest.param(b"Host", id="capital"),
    pytest.param(b":path", id="pseudo-field"),
    pytest.param(b":protocol", id="pseudo-field of an extension"),
    pytest.param(b"a b", id="space"),
    pytest.param(b"a\n", id="line feed at the end"),
    pytest.param(b"a\x00", id="nul"),
    pytest.param(b"caf\xc3\xa9", id="not ascii"),
]
BAD_VALUES = [
    pytest.param(b"a\rb", id="carriage return"),
    pytest.param(b"a\nb", id="line feed"),
    pytest.param(b"a\0b", id="nul"),
    pytest.param(b"\n", id="line feed alone"),
    pytest.param(b"a\n", id="line feed at the end"),
    pytest.param(b" a", id="space first"),
    pytest.param(b"a ", id="space last"),
    pytest.param(b"\ta", id="tab first"),
    pytest.param(b"a\t", id="tab last"),
    pytest.param(b" ", id="space alone"),
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_field_name_is_a_lower_case_token(name: bytes) -> None:
    with pytest.raises(BinaryHttpError, match="name of field 1: expected"):
        RequestHead(b"GET", b"https", b"a", b"/", ((b"ok", b""), (name, b"")))


@pytest.mark.parametrize("value", BAD_VALUES)
def test_a_field_value_has_no_line_ends_and_no_space_around_it(value: bytes) -> None:
    with pytest.raises(BinaryHttpError, match="value of field 0: expected"):
        RequestHead(b"GET", b"https", b"a", b"/", ((b"a", value),))


@pytest.mark.parametrize(
    "value", [b"", b"a", b"a b", b"a\tb", b"\xff", b"\x01", b"caf\xc3\xa9"]
)
def test_a_field_value_is_any_other_bytes(value: bytes) -> None:
    assert ResponseHead(200, ((b"a", value),)).fields == ((b"a", value),)


@pytest.mark.parametrize("make", [ResponseHead, InformationalResponse])
def test_responses_refuse_malformed_fields(
    make: type[ResponseHead | InformationalResponse],
) -> None:
    statuses = {ResponseHead: 200, InformationalResponse: 100}
    with pytest.raises(BinaryHttpError, match="name of field 0"):
        make(statuses[make], ((b"A", b""),))


@pytest.mark.parametrize("method", [b"", b"GE T", b"GET\n", b"G\xc3\xa9T", b"CONNECT"])
def test_the_method_is_a_token_other_than_connect(method: bytes) -> None:
    with pytest.raises(BinaryHttpError, match="method: expected"):
        RequestHead(method, b"https", b"a", b"/")


@pytest.mark.parametrize("scheme", [b"", b"1a", b"ht tp", b"https:", b"https\n"])
def test_the_scheme_is_a_uri_scheme(scheme: bytes) -> None:
    with pytest.raises(BinaryHttpError, match="scheme: expected"):
        RequestHead(b"GET", scheme, b"a", b"/")


@pytest.mark.parametrize("authority", [b"me@a", b"a/b", b"a b", b"a\n", b"\xc3\xa9"])
def test_the_authority_is_host_and_port(authority: bytes) -> None:
    with pytest.raises(BinaryHttpError, match="authority: expected"):
        RequestHead(b"GET", b"https", authority, b"/")


@pytest.mark.parametrize("authority", [b"", b"a:8080", b"[::1]:443", b"a%20b"])
def test_the_authority_may_be_empty(authority: bytes) -> None:
    assert RequestHead(b"GET", b"https", authority, b"/").authority == authority


@pytest.mark.parametrize(
    ("method", "scheme", "path"),
    [
        pytest.param(b"GET", b"https", b"", id="empty"),
        pytest.param(b"GET", b"HTTP", b"", id="empty, scheme in capitals"),
        pytest.param(b"GET", b"https", b"a", id="no slash first"),
        pytest.param(b"GET", b"https", b"*", id="star, not options"),
        pytest.param(b"OPTIONS", b"https", b"**", id="two stars"),
        pytest.param(b"GET", b"https", b"/ ", id="space"),
        pytest.param(b"GET", b"https", b"/a#b", id="fragment"),
        pytest.param(b"GET", b"https", b"/\n", id="line feed"),
        pytest.param(b"GET", b"https", b"/\x7f", id="delete"),
        pytest.param(b"GET", b"https", b"/\xc3\xa9", id="not ascii"),
        pytest.param(b"GET", b"urn", b"a b", id="space, other scheme"),
    ],
)
def test_the_path_is_path_and_query(method: bytes, scheme: bytes, path: bytes) -> None:
    with pytest.raises(BinaryHttpError, match="path: expected"):
        RequestHead(method, scheme, b"a", path)


@pytest.mark.parametrize(
    ("method", "scheme", "path"),
    [
        (b"GET", b"https", b"/a/b;c?d=%20&e"),
        (b"OPTIONS", b"https", b"*"),
        (b"GET", b"urn", b""),
        (b"GET", b"urn", b"isbn:1"),
    ],
)
def test_other_paths_are_taken(method: bytes, scheme: bytes, path: bytes) -> None:
    assert RequestHead(method, scheme, b"a", path).path == path


@pytest.mark.parametrize("status", [-1, 0, 100, 199, 600, 1000])
def test_a_final_status_is_200_to_599(status: int) -> None:
    with pytest.raises(BinaryHttpError, match=f"status: expected .*, got {status}"):
        ResponseHead(status)


@pytest.mark.parametrize("status", [-1, 0, 99, 200])
def test_an_informational_status_is_100_to_199(status: int) -> None:
    with pytest.raises(BinaryHttpError, match=f"status: expected .*, got {status}"):
        InformationalResponse(status)


@pytest.mark.parametrize("status", [200, 599])
def test_final_statuses_reach_their_ends(status: int) -> None:
    assert ResponseHead(status).status == status


@pytest.mark.parametrize("status", [100, 199])
def test_informational_statuses_reach_their_ends(status: int) -> None:
    assert InformationalResponse(status).status == status


def test_what_was_sent_is_in_no_repr() -> None:
    secret = ((b"secret", b"secret"),)
    shown = [
        RequestHead(b"GET", b"https", b"secret", b"/secret", secret),
        ResponseHead(200, secret, (InformationalResponse(100, secret),)),
        bhttp.Trailers(secret),
        bhttp.Content(b"secret"),
    ]
    assert "secret" not in repr(shown)


def test_writes_every_part_of_a_request_of_known_length() -> None:
    head = RequestHead(b"PUT", b"https", b"a.b", b"/c", ((b"d", b"e"), (b"d", b"")))
    encoded = bhttp.encode_request(head, b"content", ((b"f", b"g"),))
    assert encoded == (b"\0\3PUT\5https\3a.b\2/c\7\1d\1e\1d\0\7content\4\1f\1g")


def test_writes_every_part_of_a_response_of_known_length() -> None:
    early = InformationalResponse(103, ((b"a", b"b"),))
    head = ResponseHead(200, ((b"c", b"d"),), (early,))
    encoded = bhttp.encode_response(head, b"content", ((b"f", b"g"),))
    assert encoded == (b"\1\x40\x67\4\1a\1b\x40\xc8\4\1c\1d\7content\4\1f\1g")


def test_writes_every_part_of_a_request_of_indeterminate_length() -> None:
    head = RequestHead(b"PUT", b"https", b"a.b", b"/c", ((b"d", b"e"),))
    encoded = [
        bhttp.encode_request_head(head),
        *bhttp.encode_content(b"content"),
        bhttp.encode_end(((b"f", b"g"),)),
    ]
    assert encoded == [
        b"\2\3PUT\5https\3a.b\2/c\1d\1e\0",
        b"\7",
        b"content",
        b"\0\1f\1g\0",
    ]


def test_writes_every_part_of_a_response_of_indeterminate_length() -> None:
    early = InformationalResponse(103, ((b"a", b"b"),))
    head = ResponseHead(200, ((b"c", b"d"),), (early,))
    encoded = bhttp.encode_response_head(head) + bhttp.encode_end()
    assert encoded == b"\3\x40\x67\1a\1b\0\x40\xc8\1c\1d\0\0\0"


def test_content_is_not_copied() -> None:
    data = memoryview(bytes(100))
    prefix, same = bhttp.encode_content(data)
    assert prefix == b"\x40\x64"
    assert same is data


def test_no_content_is_no_chunk() -> None:
    assert bhttp.encode_content(b"") == []


def test_content_of_wide_items_is_counted_in_bytes() -> None:
    wide = memoryview(bytes(8)).cast("I")
    assert bhttp.encode_content(wide)[0] == b"\x08"
    assert bhttp.encode_response(OK, wide) == b"\1\x40\xc8\0\x08" + bytes(8) + b"\0"


def test_no_encoder_writes_malformed_trailers() -> None:
    bad = ((b"a", b"\n"),)
    with pytest.raises(BinaryHttpError, match="value of field 0"):
        bhttp.encode_request(GET, b"", bad)
    with pytest.raises(BinaryHttpError, match="value of field 0"):
        bhttp.encode_response(OK, b"", bad)
    with pytest.raises(BinaryHttpError, match="value of field 0"):
        bhttp.encode_end(bad)
