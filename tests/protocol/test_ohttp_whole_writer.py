"""Sealing a message in memory: the same stream, without copies of large parts."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.protocol.chunk_writers import WholeWriter
from blindai.protocol.chunks import CHUNK_BYTES, MAX_CHUNK_BYTES, ChunkOpener
from blindai.protocol.hpke import Aead, Cipher

ALONE = 32768


def cipher() -> Cipher:
    return Cipher(Aead.AES_256_GCM, bytes(32), bytes(12))


def sealed(parts: list[bytes], chunk_bytes: int = MAX_CHUNK_BYTES) -> list[bytes]:
    """What is sent for a message of these parts, of the announced size."""
    writer = WholeWriter(cipher(), b"header", parts, chunk_bytes)
    pieces = list(writer.seal())
    assert sum(map(len, pieces)) == writer.size_bytes
    assert pieces[0].startswith(b"header")
    assert all(pieces), "who counts bytes takes an empty piece for one after the end"
    return pieces


def chunks(parts: list[bytes], chunk_bytes: int = MAX_CHUNK_BYTES) -> list[bytes]:
    """The chunks that the other side finds."""
    opener = ChunkOpener(cipher())
    whole = b"".join(sealed(parts, chunk_bytes)).removeprefix(b"header")
    return [*opener.feed(whole), opener.finish()]


@given(
    st.lists(st.binary(max_size=40) | st.integers(0, 3 * ALONE).map(bytes)),
    st.sampled_from([16384, 20000, ALONE, 65536, MAX_CHUNK_BYTES]),
)
def test_what_is_sealed_arrives(parts: list[bytes], chunk_bytes: int) -> None:
    found = chunks(parts, chunk_bytes)
    assert b"".join(found) == b"".join(parts)
    assert max(map(len, found)) <= chunk_bytes


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        pytest.param([], [0], id="nothing"),
        pytest.param([0], [0], id="an empty part"),
        pytest.param([5, 6], [11], id="small parts share a chunk"),
        pytest.param([5, ALONE - 1], [ALONE + 4], id="just small"),
        pytest.param([5, ALONE], [5, ALONE], id="a large part has a chunk to itself"),
        pytest.param([ALONE, ALONE, 5], [ALONE, ALONE, 5], id="and so has each"),
        pytest.param([MAX_CHUNK_BYTES], [MAX_CHUNK_BYTES], id="the largest chunk"),
        pytest.param(
            [MAX_CHUNK_BYTES + 1, 2], [MAX_CHUNK_BYTES, 3], id="more than a chunk"
        ),
        pytest.param(
            [ALONE - 1] * 33,
            [32 * (ALONE - 1), ALONE - 1],
            id="small parts of more than a chunk",
        ),
    ],
)
def test_a_message_is_divided(sizes: list[int], found: list[int]) -> None:
    assert [len(chunk) for chunk in chunks([bytes(size) for size in sizes])] == found


def test_a_small_message_is_one_piece() -> None:
    assert len(sealed([b"head", b"content"])) == 1


def test_what_is_before_a_large_part_leaves_before_it_is_sealed() -> None:
    large = CHUNK_BYTES + 1
    pieces = sealed([b"head", bytes(large), b"end"])
    assert [len(piece) > large for piece in pieces] == [False, True, False]


def test_what_is_before_a_chunk_that_is_not_large_leaves_with_it() -> None:
    (piece,) = sealed([b"head", bytes(CHUNK_BYTES)])
    assert len(piece) > CHUNK_BYTES


def test_many_small_chunks_leave_together_but_not_all_at_once() -> None:
    writer = WholeWriter(cipher(), b"header", [bytes(1_000_000)], 16384)
    pieces = list(writer.seal())
    assert sum(map(len, pieces)) == writer.size_bytes
    assert {len(piece) // 16384 for piece in pieces[:-1]} == {4}


def test_one_chunk_at_a_time_is_in_memory() -> None:
    content = bytes(32 * MAX_CHUNK_BYTES)
    writer = WholeWriter(cipher(), b"header", [b"head", content])
    tracemalloc.start()
    try:
        assert sum(map(len, writer.seal())) == writer.size_bytes
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * MAX_CHUNK_BYTES
