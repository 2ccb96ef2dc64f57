"""Binary HTTP: the examples of RFC 9292, section 5; truncation and padding, 3.8."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from blindai.errors import BinaryHttpError
from blindai.protocol import bhttp
from blindai.protocol.bhttp import (
    Content,
    End,
    InformationalResponse,
    RequestHead,
    ResponseHead,
    Trailers,
)
from blindai.protocol.bhttp_decoder import (
    Request,
    RequestDecoder,
    Response,
    ResponseDecoder,
    decode_request,
    decode_response,
)

# RFC 9292, section 5.1.
KNOWN_REQUEST = bytes.fromhex(
    "00034745 54056874 74707300 0a2f6865 6c6c6f2e 74787440 6c0a7573 65722d61"
    "67656e74 34637572 6c2f372e 31362e33 206c6962 6375726c 2f372e31 362e3320"
    "4f70656e 53534c2f 302e392e 376c207a 6c69622f 312e322e 3304686f 73740f77"
    "77772e65 78616d70 6c652e63 6f6d0f61 63636570 742d6c61 6e677561 67650665"
    "6e2c206d 690000"
)
INDETERMINATE_REQUEST = bytes.fromhex(
    "02034745 54056874 74707300 0a2f6865 6c6c6f2e 7478740a 75736572 2d616765"
    "6e743463 75726c2f 372e3136 2e33206c 69626375 726c2f37 2e31362e 33204f70"
    "656e5353 4c2f302e 392e376c 207a6c69 622f312e 322e3304 686f7374 0f777777"
    "2e657861 6d706c65 2e636f6d 0f616363 6570742d 6c616e67 75616765 06656e2c"
    "206d6900 00000000 00000000 00000000"
)
REQUEST = Request(
    RequestHead(
        b"GET",
        b"https",
        b"",
        b"/hello.txt",
        (
            (b"user-agent", b"curl/7.16.3 libcurl/7.16.3 OpenSSL/0.9.7l zlib/1.2.3"),
            (b"host", b"www.example.com"),
            (b"accept-language", b"en, mi"),
        ),
    )
)

# RFC 9292, section 5.2.
INDETERMINATE_RESPONSE = bytes.fromhex(
    "03406607 72756e6e 696e670a 22736c65 65702031 35220040 67046c69 6e6b233c"
    "2f737479 6c652e63 73733e3b 2072656c 3d707265 6c6f6164 3b206173 3d737479"
    "6c65046c 696e6b24 3c2f7363 72697074 2e6a733e 3b207265 6c3d7072 656c6f61"
    "643b2061 733d7363 72697074 0040c804 64617465 1d4d6f6e 2c203237 204a756c"
    "20323030 39203132 3a32383a 35332047 4d540673 65727665 72064170 61636865"
    "0d6c6173 742d6d6f 64696669 65641d57 65642c20 3232204a 756c2032 30303920"
    "31393a31 353a3536 20474d54 04657461 67142233 34616133 38372d64 2d313536"
    "38656230 30220d61 63636570 742d7261 6e676573 05627974 65730e63 6f6e7465"
    "6e742d6c 656e6774 68023531 04766172 790f4163 63657074 2d456e63 6f64696e"
    "670c636f 6e74656e 742d7479 70650a74 6578742f 706c6169 6e003348 656c6c6f"
    "20576f72 6c642120 4d792063 6f6e7465 6e742069 6e636c75 64657320 61207472"
    "61696c69 6e672043 524c462e 0d0a0000"
)
KNOWN_RESPONSE = bytes.fromhex(
    "0140c800 1d546869 7320636f 6e74656e 7420636f 6e746169 6e732043 524c462e"
    "0d0a0d07 74726169 6c657204 74657874"
)
LONG_RESPONSE = Response(
    ResponseHead(
        200,
        (
            (b"date", b"Mon, 27 Jul 2009 12:28:53 GMT"),
            (b"server", b"Apache"),
            (b"last-modified", b"Wed, 22 Jul 2009 19:15:56 GMT"),
            (b"etag", b'"34aa387-d-1568eb00"'),
            (b"accept-ranges", b"bytes"),
            (b"content-length", b"51"),
            (b"vary", b"Accept-Encoding"),
            (b"content-type", b"text/plain"),
        ),
        (
            InformationalResponse(102, ((b"running", b'"sleep 15"'),)),
            InformationalResponse(
                103,
                (
                    (b"link", b"</style.css>; rel=preload; as=style"),
                    (b"link", b"</script.js>; rel=preload; as=script"),
                ),
            ),
        ),
    ),
    b"Hello World! My content includes a trailing CRLF.\r\n",
)
SHORT_RESPONSE = Response(
    ResponseHead(200), b"This content contains CRLF.\r\n", ((b"trailer", b"text"),)
)


# Examples of RFC 9292, section 5.


def test_reads_the_known_length_request_of_the_rfc() -> None:
    assert decode_request(KNOWN_REQUEST) == REQUEST


def test_reads_the_indeterminate_length_request_of_the_rfc() -> None:
    assert decode_request(INDETERMINATE_REQUEST) == REQUEST


def test_reads_the_indeterminate_length_response_of_the_rfc() -> None:
    assert decode_response(INDETERMINATE_RESPONSE) == LONG_RESPONSE


def test_reads_the_known_length_response_of_the_rfc() -> None:
    assert decode_response(KNOWN_RESPONSE) == SHORT_RESPONSE


def test_writes_the_examples_of_the_rfc() -> None:
    written_request = bhttp.encode_request_head(REQUEST.head) + bhttp.encode_end()
    written_response = b"".join(
        (
            bhttp.encode_response_head(LONG_RESPONSE.head),
            *bhttp.encode_content(LONG_RESPONSE.content),
            bhttp.encode_end(),
        )
    )
    known = (SHORT_RESPONSE.head, SHORT_RESPONSE.content, SHORT_RESPONSE.trailers)
    assert bhttp.encode_request(REQUEST.head) == KNOWN_REQUEST
    assert written_request + bytes(10) == INDETERMINATE_REQUEST
    assert written_response == INDETERMINATE_RESPONSE
    assert bhttp.encode_response(*known) == KNOWN_RESPONSE


def test_reads_a_request_byte_by_byte() -> None:
    decoder = RequestDecoder()
    events = [e for byte in INDETERMINATE_REQUEST for e in decoder.feed(bytes([byte]))]
    assert events == [REQUEST.head]
    assert decoder.finish() == [End()]


def test_reads_a_response_byte_by_byte() -> None:
    decoder = ResponseDecoder()
    events = [e for byte in KNOWN_RESPONSE for e in decoder.feed(bytes([byte]))]
    assert events == [
        SHORT_RESPONSE.head,
        *(Content(bytes([byte])) for byte in SHORT_RESPONSE.content),
        Trailers(SHORT_RESPONSE.trailers),
    ]
    assert decoder.finish() == [End()]


# Truncation and padding: RFC 9292, section 3.8.

# The only sizes at which each message may be cut: after its control data where the
# header section could stand (section 3.1), and where what is missing is empty. What it
# says is then another message; sealing, not this format, shows that it was cut.
MAY_END = [
    pytest.param(decode_request, KNOWN_REQUEST, {23, 133, 134, 135}, id="known"),
    pytest.param(
        decode_request,
        INDETERMINATE_REQUEST,
        {23, *range(132, 145)},
        id="indeterminate",
    ),
    pytest.param(
        decode_request,
        b"\0\3GET\5https\1a\1/" + b"\0" + b"\1x" + b"\0",
        {15, 16, 18, 19},
        id="known, no fields",
    ),
    pytest.param(
        decode_request,
        b"\2\3GET\5https\1a\1/" + b"\0" + b"\1x\0" + b"\1a\1b\0",
        {15, 16, 19, 24},
        id="indeterminate, with trailers",
    ),
    pytest.param(decode_response, KNOWN_RESPONSE, {3, 4, 34, 48}, id="known, response"),
    pytest.param(
        decode_response,
        INDETERMINATE_RESPONSE,
        {111, 314, 367, 368},
        id="indeterminate, response",
    ),
]


@pytest.mark.parametrize(("decode", "message", "ends"), MAY_END)
def test_a_message_may_end_only_where_the_rfc_lets_it(
    decode: Callable[[bytes], Request | Response], message: bytes, ends: set[int]
) -> None:
    def whole(size: int) -> bool:
        try:
            decode(message[:size])
        except BinaryHttpError as error:
            return error.message != "message: expected more bytes, got its end"
        return True

    assert {size for size in range(len(message) + 1) if whole(size)} == ends


def test_what_is_missing_counts_as_empty() -> None:
    bare = Request(RequestHead(b"GET", b"https", b"a", b"/"))
    control = b"\3GET\5https\1a\1/"
    known, indeterminate = (b"\0" + control + bytes(3), b"\2" + control + bytes(3))
    sizes = range(1 + len(control), 1 + len(control) + 4)
    assert [decode_request(known[:size]) for size in sizes] == [bare] * 4
    assert [decode_request(indeterminate[:size]) for size in sizes] == [bare] * 4


def test_content_that_began_needs_its_terminator() -> None:
    with pytest.raises(BinaryHttpError, match="got its end"):
        decode_request(b"\2\3GET\5https\1a\1/\0\1x")


@pytest.mark.parametrize("message", [KNOWN_REQUEST, INDETERMINATE_REQUEST])
def test_zeros_may_follow_a_message(message: bytes) -> None:
    assert decode_request(message + bytes(200_000)) == REQUEST


@pytest.mark.parametrize("message", [KNOWN_REQUEST, INDETERMINATE_REQUEST])
@pytest.mark.parametrize("at", [0, 1, 70_000])
def test_nothing_else_may_follow_a_message(message: bytes, at: int) -> None:
    with pytest.raises(BinaryHttpError, match="padding: expected zeros"):
        decode_request(message + bytes(at) + b"\1")


def test_padding_is_looked_at_in_every_piece() -> None:
    decoder = RequestDecoder()
    decoder.feed(KNOWN_REQUEST)
    decoder.feed(bytes(3))
    with pytest.raises(BinaryHttpError, match="padding: expected zeros"):
        decoder.feed(b"\0\1\0")
