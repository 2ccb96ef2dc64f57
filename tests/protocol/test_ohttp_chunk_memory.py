"""Memory of chunked Oblivious HTTP: a few chunks, however long the stream."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from blindai.protocol import kem
from blindai.protocol.chunks import ChunkSealer
from blindai.protocol.kem import Kem
from blindai.protocol.ohttp import GatewayKey
from blindai.protocol.ohttp_chunked import (
    RequestOpener,
    RequestSealer,
    ResponseOpener,
    ResponseSealer,
)

X25519 = GatewayKey(2, kem.generate(Kem.X25519))
KEYS = {2: X25519}
MIB = 1 << 20


def stream(sealer: ChunkSealer, count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield sealer.seal(bytes(MIB))
    yield sealer.seal_final()


def request_of_64_mib() -> tuple[RequestOpener, Iterator[bytes]]:
    client, server = RequestSealer(X25519.config), RequestOpener(KEYS)
    server.feed(client.header)
    return server, stream(client.chunks, 64)


def response_of_64_mib() -> tuple[ResponseOpener, Iterator[bytes]]:
    client, server = RequestSealer(X25519.config), RequestOpener(KEYS)
    server.feed(client.header)
    sealer = ResponseSealer(server.encapsulation, bytes(32))
    opener = ResponseOpener(client.encapsulation)
    opener.feed(sealer.header)
    return opener, stream(sealer.chunks, 64)


@pytest.mark.parametrize("begin", [request_of_64_mib, response_of_64_mib])
def test_memory_is_bounded_by_a_few_chunks(
    begin: Callable[[], tuple[RequestOpener | ResponseOpener, Iterator[bytes]]],
) -> None:
    opener, arriving = begin()
    tracemalloc.start()
    total = sum(len(chunk) for piece in arriving for chunk in opener.feed(piece))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert opener.finish() == b""
    assert total == 64 * MIB
    assert peak < 8 * MIB
