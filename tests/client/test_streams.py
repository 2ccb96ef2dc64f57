"""An answer's content is read to its end, into memory once."""

from __future__ import annotations

import secrets
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest

from blindai.client.session import Opening
from blindai.client.streams import OpenedStream
from blindai.errors import BinaryHttpError, SealingError
from blindai.protocol import bhttp, ohttp
from blindai.protocol import ohttp_chunked as chunked
from blindai.protocol.bhttp import ResponseHead
from blindai.protocol.buffers import Bytes
from blindai.protocol.kem import Kem, generate

KEY = ohttp.GatewayKey(2, generate(Kem.X25519))
HEAD = ResponseHead(200)
LARGE = 8 << 20


class Arriving(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Sealed bytes, as they come from the network."""

    def __init__(self, sealed: bytes) -> None:
        self._sealed = memoryview(sealed)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._sealed), 65536):
            yield bytes(self._sealed[at : at + 65536])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


def opened(*plaintext: Bytes) -> OpenedStream:
    """An answer of a plaintext."""
    client = chunked.RequestSealer(KEY.config)
    gateway = chunked.RequestOpener({KEY.key_id: KEY})
    gateway.feed(client.header + client.chunks.seal_final(b"request"))
    sealer = chunked.ResponseSealer(gateway.encapsulation, bytes(32))
    sealed = b"".join(sealer.whole(plaintext, 65536).seal())
    response = httpx.Response(200, stream=Arriving(sealed))
    return OpenedStream(response, Opening(client.encapsulation))


def known(content: bytes) -> OpenedStream:
    """An answer that says first how large its content is."""
    return opened(bhttp.encode_whole_response_head(HEAD, len(content)), content)


def unknown(content: bytes) -> OpenedStream:
    """An answer that was made as it was sent."""
    parts = (*bhttp.encode_content(content), bhttp.encode_end())
    return opened(bhttp.encode_response_head(HEAD), *parts)


@pytest.mark.parametrize("answer", [known, unknown])
@pytest.mark.parametrize("size", [0, 1, 70_000, (1 << 18) - 1, 1 << 18, 1_000_000])
def test_content_is_read_whole(
    answer: Callable[[bytes], OpenedStream], size: int
) -> None:
    content = secrets.token_bytes(size)
    stream = answer(content)
    assert stream.read_head() == HEAD
    found = stream.read()
    assert bytes(found) == content
    assert memoryview(found).readonly


@pytest.mark.anyio
@pytest.mark.parametrize("size", [0, 1 << 18])
async def test_content_is_read_whole_on_an_event_loop(size: int) -> None:
    content = secrets.token_bytes(size)
    stream = known(content)
    assert await stream.aread_head() == HEAD
    assert bytes(await stream.aread()) == content


@pytest.mark.anyio
async def test_closing_an_answer_closes_its_body() -> None:
    stream = known(b"")
    body = stream._body
    assert isinstance(body, Arriving)
    stream.close()
    assert body.closed == 1
    await stream.aclose()
    assert body.closed == 2


def test_what_was_read_can_be_read_again() -> None:
    stream = known(bytes(LARGE))
    stream.read_head()
    content = stream.read()
    stream.put_back(content)
    assert stream.read() == content
    stream.put_back(content)
    assert [type(piece) for piece in stream] == [bytes], "httpx takes no views"


def test_what_was_taken_before_is_not_read_again() -> None:
    content = secrets.token_bytes(1 << 19)
    stream = known(content)
    stream.read_head()
    taken = next(iter(stream))
    assert bytes(stream.read()) == content[len(taken) :]


def test_a_large_content_is_in_memory_once() -> None:
    stream = known(bytes(LARGE))
    stream.read_head()
    tracemalloc.start()
    try:
        content = stream.read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(content) == LARGE
    assert peak < 1.1 * LARGE, f"expected it once, got {peak / LARGE:.2f} times"


@pytest.mark.parametrize("announced", [1 << 20, 1 << 40])
def test_less_than_was_announced_is_an_error(announced: int) -> None:
    stream = opened(bhttp.encode_whole_response_head(HEAD, announced), bytes(99_999))
    stream.read_head()
    with pytest.raises(BinaryHttpError, match="expected more bytes, got its end"):
        stream.read()


def test_an_error_at_the_end_is_one_for_who_reads_on() -> None:
    stream = opened(bhttp.encode_whole_response_head(HEAD, 1 << 20), bytes(99_999))
    stream.read_head()
    with pytest.raises(BinaryHttpError):
        stream.read()
    with pytest.raises(SealingError):
        stream.read()


def test_more_than_was_announced_is_an_error() -> None:
    content = b"1" * (1 << 19)
    stream = opened(bhttp.encode_whole_response_head(HEAD, 1 << 18), content)
    stream.read_head()
    with pytest.raises(BinaryHttpError):
        stream.read()
