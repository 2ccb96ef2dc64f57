"""Writing chunked Oblivious HTTP: what is written arrives in chunks of one size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.protocol.chunk_writers import ChunkWriter
from blindai.protocol.chunks import ChunkOpener, ChunkSealer
from blindai.protocol.hpke import Aead, Cipher


def cipher() -> Cipher:
    return Cipher(Aead.AES_256_GCM, bytes(32), bytes(12))


def opened(opener: ChunkOpener, sealed: bytes) -> list[bytes]:
    """All plaintexts of a stream."""
    return [*opener.feed(sealed), opener.finish()]


def written(writes: list[bytes], chunk_bytes: int) -> tuple[list[bytes], list[bytes]]:
    """What is sent for some writes, and the chunks the other side finds in it."""
    writer = ChunkWriter(ChunkSealer(cipher()), b"header", chunk_bytes)
    sent = [piece for data in writes for piece in writer.write(data)]
    sent.append(writer.end())
    whole = b"".join(sent)
    assert whole.startswith(b"header")
    return sent, opened(ChunkOpener(cipher()), whole.removeprefix(b"header"))


@given(
    st.lists(st.binary(max_size=40), max_size=8),
    st.integers(1, 20),
)
def test_what_is_written_arrives_in_chunks_of_the_size(
    writes: list[bytes], chunk_bytes: int
) -> None:
    sent, plaintexts = written(writes, chunk_bytes)
    assert b"".join(plaintexts) == b"".join(writes)
    assert {len(each) for each in plaintexts[:-1]} <= {chunk_bytes}
    assert len(plaintexts[-1]) <= chunk_bytes
    assert len(sent) == len(plaintexts)


@pytest.mark.parametrize("writes", [[], [b""], [b"a"], [b"ab", b"cd"], [b"abcd"]])
def test_a_message_no_larger_than_a_chunk_is_a_single_one(writes: list[bytes]) -> None:
    assert written(writes, 4)[1] == [b"".join(writes)]


def test_a_flush_sends_what_was_written_so_far() -> None:
    writer = ChunkWriter(ChunkSealer(cipher()), b"", 4)
    opener = ChunkOpener(cipher())
    assert list(writer.write(b"abc")) == []
    assert opener.feed(writer.flush()) == [b"abc"]
    assert list(writer.write(b"def")) == []
    assert opened(opener, writer.end()) == [b"def"]


def test_a_flush_of_nothing_sends_the_header_once() -> None:
    writer = ChunkWriter(ChunkSealer(cipher()), b"header", 4)
    assert writer.flush() == b"header"
    assert writer.flush() == b""
    assert writer.end() == ChunkSealer(cipher()).seal_final()
