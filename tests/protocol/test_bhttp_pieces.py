"""Binary HTTP: any message, and any bytes, in pieces of any size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import BinaryHttpError, TooLargeError
from blindai.protocol import bhttp
from blindai.protocol.bhttp import (
    Content,
    End,
    Fields,
    InformationalResponse,
    RequestHead,
    ResponseHead,
    Trailers,
)
from blindai.protocol.bhttp_decoder import (
    Limits,
    RequestDecoder,
    ResponseDecoder,
    decode_request,
)

Event = RequestHead | ResponseHead | Content | Trailers | End


def read(
    decoder: RequestDecoder | ResponseDecoder, pieces: Iterable[bytes]
) -> list[Event]:
    events: list[Event] = []
    for piece in pieces:
        events += decoder.feed(piece)
    return [*events, *decoder.finish()]


def joined(events: list[Event]) -> list[Event | bytes]:
    """The events, all content as one."""
    content = b"".join(event.data for event in events if isinstance(event, Content))
    others = [event for event in events if not isinstance(event, Content)]
    return [others[0], content, *others[1:]]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted(cut % (len(data) + 1) for cut in cuts)
    return [
        data[start:end]
        for start, end in zip([0, *ends], [*ends, len(data)], strict=True)
    ]


# Every message, in every piece.

FIELDS = st.lists(
    st.tuples(
        st.from_regex(rb"[!#$%&'*+\-.^_`|~0-9a-z]{1,8}", fullmatch=True),
        st.from_regex(rb"([!-~\x80-\xff]([\t -~]{0,80}[!-~])?)?", fullmatch=True),
    ),
    max_size=4,
).map(tuple)
REQUEST_HEADS = st.builds(
    RequestHead,
    st.sampled_from([b"GET", b"POST", b"get", b"M-SEARCH"]),
    st.sampled_from([b"https", b"http", b"a+b"]),
    st.sampled_from([b"", b"example.com:8080", b"[::1]"]),
    st.from_regex(rb"/[a-z/?%=&]{0,80}", fullmatch=True),
    FIELDS,
)
RESPONSE_HEADS = st.builds(
    ResponseHead,
    st.integers(200, 599),
    FIELDS,
    st.lists(
        st.builds(InformationalResponse, st.integers(100, 199), FIELDS), max_size=3
    ).map(tuple),
)
CONTENT = st.lists(st.binary(max_size=20) | st.just(bytes(700)), max_size=4)
CUTS = st.lists(st.integers(0, 10_000), max_size=8)
PADDING = st.integers(0, 20).map(bytes)


def expected(
    head: RequestHead | ResponseHead, chunks: list[bytes], trailers: Fields
) -> list[Event | bytes]:
    ending: list[Event] = [Trailers(trailers)] * bool(trailers)
    return [head, b"".join(chunks), *ending, End()]


def indeterminate(start: bytes, chunks: list[bytes], trailers: Fields) -> bytes:
    parts = [part for chunk in chunks for part in bhttp.encode_content(chunk)]
    return b"".join((start, *parts, bhttp.encode_end(trailers)))


@given(REQUEST_HEADS, CONTENT, FIELDS, PADDING, CUTS)
def test_reads_any_request_in_any_pieces(
    head: RequestHead,
    chunks: list[bytes],
    trailers: Fields,
    padding: bytes,
    cuts: list[int],
) -> None:
    known = bhttp.encode_request(head, b"".join(chunks), trailers) + padding
    open_ended = (
        indeterminate(bhttp.encode_request_head(head), chunks, trailers) + padding
    )
    assert joined(read(RequestDecoder(), split(known, cuts))) == expected(
        head, chunks, trailers
    )
    assert joined(read(RequestDecoder(), split(open_ended, cuts))) == expected(
        head, chunks, trailers
    )


@given(RESPONSE_HEADS, CONTENT, FIELDS, PADDING, CUTS)
def test_reads_any_response_in_any_pieces(
    head: ResponseHead,
    chunks: list[bytes],
    trailers: Fields,
    padding: bytes,
    cuts: list[int],
) -> None:
    known = bhttp.encode_response(head, b"".join(chunks), trailers) + padding
    open_ended = (
        indeterminate(bhttp.encode_response_head(head), chunks, trailers) + padding
    )
    assert joined(read(ResponseDecoder(), split(known, cuts))) == expected(
        head, chunks, trailers
    )
    assert joined(read(ResponseDecoder(), split(open_ended, cuts))) == expected(
        head, chunks, trailers
    )


SMALL = Limits(
    max_field_section_bytes=40,
    max_fields=2,
    max_control_bytes=12,
    max_informational=1,
    max_content_bytes=20,
)
EARLY = InformationalResponse(103, ((b"link", b"</style.css>"),))
GET = RequestHead(b"GET", b"https", b"a.b:1", b"/c", ((b"d", b"e"), (b"f", b"")))
OK = ResponseHead(200, ((b"content-type", b"text/plain"),), (EARLY,))
END = ((b"trailer", b"text"),)
MESSAGES = [
    bhttp.encode_request(GET, b"content", END),
    bhttp.encode_response(OK, b"content", END),
    indeterminate(bhttp.encode_request_head(GET), [b"con", b"tent"], END),
    indeterminate(bhttp.encode_response_head(OK), [b"con", b"tent"], END),
]
# Bytes at random, and messages of which one stretch was replaced.
ANY_BYTES = st.binary(max_size=60) | st.builds(
    lambda message, at, size, other: message[:at] + other + message[at + size :],
    st.sampled_from(MESSAGES),
    st.integers(0, 80),
    st.integers(0, 5),
    st.binary(max_size=5),
)


def outcome(
    decoder: RequestDecoder | ResponseDecoder, pieces: list[bytes]
) -> list[Event | bytes] | str:
    try:
        return joined(read(decoder, pieces))
    except (BinaryHttpError, TooLargeError) as error:
        return str(error)


@given(ANY_BYTES, CUTS, st.sampled_from([Limits(), SMALL]))
def test_any_bytes_as_a_request_give_the_same_in_any_pieces(
    data: bytes, cuts: list[int], limits: Limits
) -> None:
    pieces = outcome(RequestDecoder(limits), split(data, cuts))
    assert pieces == outcome(RequestDecoder(limits), [data])


@given(ANY_BYTES, CUTS, st.sampled_from([Limits(), SMALL]))
def test_any_bytes_as_a_response_give_the_same_in_any_pieces(
    data: bytes, cuts: list[int], limits: Limits
) -> None:
    pieces = outcome(ResponseDecoder(limits), split(data, cuts))
    assert pieces == outcome(ResponseDecoder(limits), [data])


@given(ANY_BYTES)
def test_what_was_read_can_be_written_and_read_again(data: bytes) -> None:
    with contextlib.suppress(BinaryHttpError):
        message = decode_request(data)
        again = bhttp.encode_request(message.head, message.content, message.trailers)
        assert decode_request(again) == message
