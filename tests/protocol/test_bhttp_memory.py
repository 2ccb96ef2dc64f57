"""Reading Binary HTTP: content is not copied, and memory is bounded."""

from __future__ import annotations

import tracemalloc

import pytest

from blindai.protocol import bhttp, varint
from blindai.protocol.bhttp import Content, RequestHead
from blindai.protocol.bhttp_decoder import RequestDecoder

POST = RequestHead(b"POST", b"https", b"a", b"/", ((b"x", b"y"),))


def test_content_that_fills_a_piece_is_the_piece() -> None:
    piece = bytes(1 << 20)
    decoder = RequestDecoder()
    decoder.feed(bhttp.encode_request_head(POST) + varint.encode(len(piece)))
    (event,) = decoder.feed(piece)
    assert isinstance(event, Content)
    assert event.data is piece


def test_large_content_within_a_piece_is_a_view_of_it() -> None:
    piece = bhttp.encode_request(POST, bytes(1 << 20))
    _, event = RequestDecoder().feed(piece)
    assert isinstance(event, Content)
    assert isinstance(event.data, memoryview)
    assert event.data.obj is piece
    assert event.data == bytes(1 << 20)


@pytest.mark.parametrize("begun", [1, 2, 8, 20])
def test_large_content_after_what_began_before_is_a_view_of_its_piece(
    begun: int,
) -> None:
    message = bhttp.encode_request(POST, bytes(1 << 20))
    decoder = RequestDecoder()
    decoder.feed(message[:begun])
    piece = message[begun:]
    (*_, event) = decoder.feed(piece)
    assert isinstance(event, Content)
    assert isinstance(event.data, memoryview)
    assert event.data.obj is piece
    assert event.data == bytes(1 << 20)


def test_content_of_any_length_is_read_in_bounded_memory() -> None:
    piece = bytes(1 << 18)
    decoder = RequestDecoder()
    decoder.feed(bhttp.encode_request_head(POST) + varint.encode(100 * len(piece)))
    tracemalloc.start()
    sizes = [len(decoder.feed(piece)) for _ in range(100)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sizes == [1] * 100
    assert peak < 100_000


def test_a_long_head_in_single_bytes_is_read_in_bounded_memory() -> None:
    head = RequestHead(b"GET", b"https", b"a", b"/", ((b"a", b"b" * 60_000),))
    message = bhttp.encode_request(head)
    decoder = RequestDecoder()
    tracemalloc.start()
    events = [event for byte in message for event in decoder.feed(bytes([byte]))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert events == [head]
    assert peak < 4 * len(message)
