"""An answer of HTTP/1.1 is read as RFC 9112 writes it, or refused."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.client.http1 import MAX_HEAD_BYTES, Body, Head, parse_head
from blindai.errors import TransportError

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = Head(200, (), None, chunked=True, keeps=True)


def head(*lines: bytes, start: bytes = OK) -> Head:
    """The head of an answer with these header fields."""
    received = start + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    found = parse_head(received + b"body")
    assert found is not None
    parsed, end = found
    assert end == len(received)
    return parsed


def read(kind: Head, *received: bytes) -> tuple[bytes, bool]:
    """The content of a body that arrives in pieces, and whether it is complete."""
    body = Body(kind)
    content = b"".join(b"".join(body.feed(piece)) for piece in received)
    return content, body.complete


def test_a_head_has_a_status_and_fields() -> None:
    parsed = head(b"Content-Type: a/b", b"X:", b"y: \t two words \t", b"X:\v3\f")
    assert parsed.status == 200
    assert parsed.fields == (
        (b"content-type", b"a/b"),
        (b"x", b""),
        (b"y", b"two words"),
        (b"x", b"\v3\f"),
    )


@pytest.mark.parametrize(
    ("lines", "length", "chunked", "keeps"),
    [
        pytest.param([], None, False, False, id="until the end"),
        pytest.param([b"Content-Length: 5"], 5, False, True, id="a length"),
        pytest.param([b"Content-Length: 5"] * 2, 5, False, True, id="twice the same"),
        pytest.param([b"Transfer-Encoding: Chunked"], None, True, True, id="chunks"),
        pytest.param(
            [b"Content-Length: 5", b"Connection: a, Close"], 5, False, False, id="close"
        ),
        pytest.param(
            [b"Connection: close", b"Content-Length: 5", b"Connection: a"],
            *(5, False, False),
            id="close, and something else",
        ),
        pytest.param(
            [b"Connection: a", b"Content-Length: 5", b"Connection: close"],
            *(5, False, False),
            id="something else, and close",
        ),
    ],
)
def test_the_fields_say_where_the_body_ends(
    lines: list[bytes], length: int | None, *, chunked: bool, keeps: bool
) -> None:
    parsed = head(*lines)
    assert (parsed.length, parsed.chunked, parsed.keeps) == (length, chunked, keeps)


@pytest.mark.parametrize("status", [b"100", b"103", b"204", b"304"])
def test_some_statuses_have_no_body(status: bytes) -> None:
    parsed = head(b"Content-Length: 5", start=b"HTTP/1.1 " + status + b"\r\n")
    assert (parsed.length, parsed.chunked) == (0, False)


def test_a_server_of_http_1_0_does_not_keep_the_connection() -> None:
    assert not head(b"Content-Length: 5", start=b"HTTP/1.0 200 OK\r\n").keeps


@pytest.mark.parametrize("received", [b"", b"HTTP", OK, OK + b"a: b\r\n"])
def test_a_head_that_is_not_all_there_needs_more(received: bytes) -> None:
    assert parse_head(received) is None


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(b"HTTP/2 200\r\n", id="another version"),
        pytest.param(b"HTTP/1.1 099 OK\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 2000\r\n", id="four digits"),
        pytest.param(b"SSH-2.0-x\r\n", id="another protocol"),
        pytest.param(b"\r\n", id="nothing"),
        pytest.param(OK + b"a : b\r\n", id="a space before the colon"),
        pytest.param(OK + b" a: b\r\n", id="a folded line"),
        pytest.param(OK + b": b\r\n", id="no name"),
        pytest.param(OK + b"a: b\nc: d\r\n", id="a bare line feed"),
        pytest.param(OK + b"a: \0\r\n", id="a zero"),
        pytest.param(OK + b"Content-Length: +5\r\n", id="a sign"),
        pytest.param(OK + b"Content-Length: 5, 5\r\n", id="a list"),
        pytest.param(OK + b"Content-Length: " + b"9" * 19 + b"\r\n", id="too long"),
        pytest.param(
            OK + b"Content-Length: 5\r\nContent-Length: 6\r\n", id="two lengths"
        ),
        pytest.param(
            OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            id="a length and chunks",
        ),
        pytest.param(OK + b"Transfer-Encoding: gzip, chunked\r\n", id="compressed"),
        pytest.param(
            OK + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            id="compressed, in two lines",
        ),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n" * 2, id="chunks in chunks"),
        pytest.param(OK + b"Content-Length: 5\v\r\n", id="a vertical tab"),
    ],
)
def test_a_head_that_is_not_one_is_refused(received: bytes) -> None:
    with pytest.raises(TransportError):
        parse_head(received + b"\r\n")


def test_a_head_without_end_is_refused() -> None:
    with pytest.raises(TransportError):
        parse_head(OK + b"a" * MAX_HEAD_BYTES)


@given(st.binary(), st.sampled_from([b"", OK]))
def test_any_bytes_are_a_head_or_an_error(received: bytes, before: bytes) -> None:
    with suppress(TransportError):
        parse_head(before + received + b"\r\n\r\n")


def test_a_body_of_a_length_is_complete_with_its_last_byte() -> None:
    kind = Head(200, (), 5, chunked=False, keeps=True)
    assert read(kind, b"he") == (b"he", False)
    assert read(kind, b"he", b"llo") == (b"hello", True)


def test_a_body_of_no_length_is_complete_at_once() -> None:
    assert read(Head(204, (), 0, chunked=False, keeps=True)) == (b"", True)


def test_a_body_may_go_on_until_the_connection_ends() -> None:
    body = Body(Head(200, (), None, chunked=False, keeps=False))
    assert body.feed(b"") == []
    assert body.feed(b"hello") == [b"hello"]
    assert not body.complete
    body.end()
    assert body.complete


@pytest.mark.parametrize(
    "received",
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"005;a=b\r\nhello\r\n0;c\r\n\r\n",
        b"2\r\nhe\r\n3 \r\nllo\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nTrailer: x\r\nAnother: y\r\n\r\n",
    ],
)
def test_chunks_are_put_together(received: bytes) -> None:
    assert read(CHUNKED, received) == (b"hello", True)
    single = [received[at : at + 1] for at in range(len(received))]
    assert read(CHUNKED, *single) == (b"hello", True)
    assert not read(CHUNKED, *single[:-1])[1]


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(b"x\r\n", id="no size"),
        pytest.param(b"\r\n", id="no size at all"),
        pytest.param(b"-5\r\n", id="a sign"),
        pytest.param(b"f" * 16 + b"\r\n", id="a size beyond all bounds"),
        pytest.param(b"5\r\nhello!\r\n", id="a chunk that goes on"),
        pytest.param(b"0\r\n\r\nmore", id="more than the body"),
        pytest.param(b"0" * 4097, id="a size without end"),
        pytest.param(b"0\r\n" + b"a" * 4097 + b"\r\n", id="a long trailer"),
        pytest.param(b"0\r\n" + b"a: b\r\n" * 20000 + b"\r\n", id="many trailers"),
        pytest.param(
            (b"1;" + b"a" * 999 + b"\r\nh\r\n") * 99 + b"0\r\n\r\n", id="extensions"
        ),
    ],
)
def test_chunks_that_are_none_are_refused(received: bytes) -> None:
    with pytest.raises(TransportError):
        read(CHUNKED, received)


@given(st.binary(), st.integers(0, 40))
def test_any_bytes_are_chunks_or_an_error(received: bytes, at: int) -> None:
    try:
        whole = read(CHUNKED, received)
    except TransportError:
        with pytest.raises(TransportError):
            read(CHUNKED, received[:at], received[at:])
    else:
        assert read(CHUNKED, received[:at], received[at:]) == whole


def test_more_than_the_length_is_refused() -> None:
    with pytest.raises(TransportError, match="got more"):
        read(Head(200, (), 5, chunked=False, keeps=True), b"hello!")


@pytest.mark.parametrize("kind", [CHUNKED, Head(200, (), 5, chunked=False, keeps=True)])
def test_a_body_that_is_cut_short_is_refused(kind: Head) -> None:
    with pytest.raises(TransportError, match="got a closed connection"):
        Body(kind).end()


def test_a_field_of_blanks_is_read_in_linear_time() -> None:
    line = b"a:" + b" " * (MAX_HEAD_BYTES - 64) + b"\0"
    before = time.process_time()

    with pytest.raises(TransportError, match="expected header fields"):
        head(line)

    assert time.process_time() - before < 1
