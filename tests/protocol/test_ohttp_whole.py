"""Whole messages behind the interfaces of chunked ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import SealingError, TooLargeError, UnknownKeyError
from blindai.protocol import kem
from blindai.protocol.kem import Kem
from blindai.protocol.ohttp import GatewayKey, open_response, seal_request
from blindai.protocol.ohttp_whole import RequestOpener, ResponseSealer

GATEWAY = GatewayKey(1, kem.generate(Kem.X25519))
KEYS = {1: GATEWAY}


def opener(max_bytes: int = 1000) -> RequestOpener:
    return RequestOpener(KEYS, max_bytes)


@given(st.integers(0, 70))
def test_a_request_opens_however_it_arrives(cut: int) -> None:
    sealed, _ = seal_request(GATEWAY.config, b"a request")
    server = opener()
    assert server.feed(sealed[:cut]) == []
    assert server.feed(memoryview(sealed)[cut:]) == []
    assert server.finish() == b"a request"


def test_an_answer_opens_however_it_was_gathered() -> None:
    sealed, client = seal_request(GATEWAY.config, b"a request")
    server = opener()
    server.feed(sealed)
    server.finish()
    answer = ResponseSealer(server.encapsulation, b"n" * 32)
    piece = bytearray(b"an ")
    assert answer.chunks.seal(piece) == b""
    piece[:] = b"..."
    assert answer.header == b"n" * 32
    sealed = answer.header + answer.chunks.seal_final(b"answer")
    assert open_response(client, sealed) == b"an answer"


def test_an_answer_may_be_empty() -> None:
    sealed, client = seal_request(GATEWAY.config, b"a request")
    server = opener()
    server.feed(sealed)
    server.finish()
    answer = ResponseSealer(server.encapsulation, bytes(32))
    sealed = answer.header + answer.chunks.seal_final()
    assert open_response(client, sealed) == b""


@pytest.mark.parametrize("start", [b"", b"12345"])
def test_a_request_too_large_is_refused_before_it_is_whole(start: bytes) -> None:
    server = opener(max_bytes=10)
    server.feed(start)
    server.feed(bytes(10 - len(start)))
    with pytest.raises(TooLargeError, match="request: expected at most 10 bytes"):
        server.feed(b"\x00")


def test_the_answer_is_sealed_only_after_the_request_is_open() -> None:
    sealed, client = seal_request(GATEWAY.config, b"a request")
    server = opener()
    server.feed(sealed)
    with pytest.raises(SealingError, match="expected to be opened"):
        _ = server.encapsulation
    server.finish()
    assert server.encapsulation.enc == client.enc


def test_a_request_to_an_unknown_key_says_so() -> None:
    server = opener()
    server.feed(b"\x09")
    with pytest.raises(UnknownKeyError, match="got 9"):
        server.finish()


@given(st.binary(max_size=100))
def test_no_bytes_open_but_a_sealed_request(data: bytes) -> None:
    server = opener()
    server.feed(data)
    with pytest.raises(SealingError):
        server.finish()
