"""What sealing promises about files that lie on somebody else's disk."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import SealingError
from blindai.sealing import (
    CHUNK_BYTES,
    MAX_METADATA_BYTES,
    derive_key,
    open_sealed,
    seal,
)

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SALT, OTHER_SALT = b"s" * 32, b"t" * 32
METADATA = b"about the contents"
HEADER_BYTES = 44
SEALED_CHUNK = CHUNK_BYTES + 16
CONTENTS = bytes(range(256)) * (10 * CHUNK_BYTES // 1024)  # two and a half chunks


def sealed(
    contents: bytes = CONTENTS, metadata: bytes = METADATA, salt: bytes = SALT
) -> bytes:
    return b"".join(seal(KEY, metadata, [contents], salt=salt))


def opened(data: bytes, key: bytes = KEY) -> tuple[bytes, bytes]:
    result = open_sealed(key, [data])
    return result.metadata, b"".join(result.contents)


def chunks_of(data: bytes) -> tuple[bytes, list[bytes]]:
    body = data[HEADER_BYTES:]
    starts = range(0, len(body), SEALED_CHUNK)
    return data[:HEADER_BYTES], [body[at : at + SEALED_CHUNK] for at in starts]


def sealed_by_the_document(
    plaintext: bytes, chunk_bytes: int = CHUNK_BYTES, version: int = 1
) -> bytes:
    """One chunk, sealed by what the module's docstring says."""
    header = b"BLINDAI" + bytes((version,)) + chunk_bytes.to_bytes(4, "big") + SALT
    info = b"blindai sealed file v1\x00" + header
    derived = HKDF(SHA256(), 39, SALT, info).derive(KEY)
    nonce = derived[32:] + bytes(4) + b"\x01"
    return header + AESGCM(derived[:32]).encrypt(nonce, plaintext, header)


FILE = sealed()
HEADER, CHUNKS = chunks_of(FILE)
_, OTHER_CHUNKS = chunks_of(sealed(salt=OTHER_SALT))


def test_what_was_sealed_opens() -> None:
    assert opened(FILE) == (METADATA, CONTENTS)


def test_the_format_is_the_documented_one() -> None:
    assert sealed(b"contents", b"meta") == sealed_by_the_document(
        b"\x00\x00\x00\x04metacontents"
    )


@pytest.mark.parametrize(
    "size",
    [0, 1, CHUNK_BYTES - 5, CHUNK_BYTES - 4, CHUNK_BYTES - 3, 2 * CHUNK_BYTES - 4],
)
def test_contents_of_any_size_open(size: int) -> None:
    contents = bytes(size)

    assert opened(sealed(contents, b"")) == (b"", contents)


def test_a_full_last_chunk_is_followed_by_nothing() -> None:
    assert len(sealed(bytes(CHUNK_BYTES - 4), b"")) == HEADER_BYTES + SEALED_CHUNK


@given(
    st.binary(max_size=300),
    st.binary(max_size=99),
    st.integers(1, 100),
    st.integers(1, 100),
)
def test_the_cuts_between_pieces_mean_nothing(
    contents: bytes, metadata: bytes, writes: int, reads: int
) -> None:
    def cut(data: bytes, size: int) -> Iterator[memoryview]:
        return (memoryview(data)[at : at + size] for at in range(0, len(data), size))

    whole = b"".join(seal(KEY, metadata, cut(contents, writes), salt=SALT))
    result = open_sealed(KEY, cut(whole, reads))

    assert whole == sealed(contents, metadata)
    assert (result.metadata, b"".join(result.contents)) == (metadata, contents)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(FILE[:-1], id="cut short by a byte"),
        pytest.param(HEADER + b"".join(CHUNKS[:-1]), id="the last chunk cut off"),
        pytest.param(HEADER, id="all chunks cut off"),
        pytest.param(FILE[: HEADER_BYTES - 1], id="the header cut short"),
        pytest.param(b"", id="empty"),
        pytest.param(FILE + b"\x00", id="a byte added"),
        pytest.param(FILE + CHUNKS[-1], id="a chunk added"),
        pytest.param(HEADER + CHUNKS[1] + CHUNKS[0] + CHUNKS[2], id="reordered"),
        pytest.param(HEADER + CHUNKS[0] + CHUNKS[0] + CHUNKS[2], id="repeated"),
        pytest.param(HEADER + CHUNKS[0] + CHUNKS[2], id="a chunk left out"),
        pytest.param(
            HEADER + CHUNKS[0] + OTHER_CHUNKS[1] + CHUNKS[2], id="another file's chunk"
        ),
    ],
)
def test_refuses_a_file_that_was_changed(changed: bytes) -> None:
    with pytest.raises(SealingError):
        opened(changed)


@pytest.mark.parametrize(
    "position",
    [0, 7, 11, 12, 43, 44, 60, HEADER_BYTES + SEALED_CHUNK, len(FILE) - 1],
)
def test_refuses_a_flipped_bit(position: int) -> None:
    changed = bytearray(FILE)
    changed[position] ^= 1

    with pytest.raises(SealingError):
        opened(bytes(changed))


def test_refuses_another_key() -> None:
    with pytest.raises(SealingError, match="another key"):
        opened(FILE, OTHER_KEY)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(sealed_by_the_document(bytes(4), version=2), id="version"),
        pytest.param(sealed_by_the_document(bytes(4), 1 << 31), id="chunk size"),
    ],
)
def test_refuses_an_authentic_file_of_another_format(other: bytes) -> None:
    with pytest.raises(SealingError, match="version 1"):
        open_sealed(KEY, [other])


@pytest.mark.parametrize(
    "plaintext",
    [
        pytest.param(b"", id="no size"),
        pytest.param(b"\x00\x00\x00", id="half a size"),
        pytest.param(b"\x00\x00\x00\x02m", id="less than its size"),
        pytest.param(b"\x00\x01\x00\x01" + bytes(1 << 17), id="over the limit"),
    ],
)
def test_refuses_metadata_that_is_not_whole(plaintext: bytes) -> None:
    with pytest.raises(SealingError, match="metadata"):
        open_sealed(KEY, [sealed_by_the_document(plaintext)])


@given(st.binary(max_size=200))
def test_any_bytes_open_or_are_refused(data: bytes) -> None:
    with pytest.raises(SealingError):
        opened(data)


def test_a_changed_chunk_is_never_yielded() -> None:
    contents = open_sealed(KEY, [HEADER, CHUNKS[0], CHUNKS[2]]).contents

    assert next(contents) == CONTENTS[: CHUNK_BYTES - 4 - len(METADATA)]
    with pytest.raises(SealingError, match="chunk 1"):
        next(contents)


def test_files_of_one_key_share_no_bytes_but_the_format() -> None:
    assert CHUNKS[0] != OTHER_CHUNKS[0]
    assert METADATA not in FILE


def test_the_largest_metadata_opens() -> None:
    metadata = bytes(MAX_METADATA_BYTES)

    assert opened(sealed(b"", metadata)) == (metadata, b"")


def test_a_caller_may_not_seal_more_metadata() -> None:
    with pytest.raises(ValueError, match="metadata: expected at most 65536"):
        sealed(b"", bytes(MAX_METADATA_BYTES + 1))


def test_a_caller_may_not_use_a_short_salt() -> None:
    with pytest.raises(ValueError, match="salt: expected 32 bytes, got 31"):
        sealed(salt=bytes(31))


def test_a_caller_may_not_use_a_short_key() -> None:
    with pytest.raises(ValueError, match="sealing key: expected 32 bytes, got 16"):
        open_sealed(bytes(16), [FILE])


def test_a_large_file_needs_little_memory() -> None:
    pieces = (bytes(CHUNK_BYTES) for _ in range(32))
    tracemalloc.start()

    stream = seal(KEY, b"", pieces, salt=SALT)
    total = sum(map(len, open_sealed(KEY, stream).contents))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert total == 32 * CHUNK_BYTES
    assert peak < 12 * CHUNK_BYTES


def test_a_tee_s_secret_becomes_a_sealing_key_of_hkdf() -> None:
    secret, source = bytes(range(16)), "sgx mrenclave"
    label = b"blindai sealing key v1\x00"

    derived = HKDF(SHA256(), 32, label, source.encode()).derive(secret)

    assert derive_key(secret, source) == derived


def test_each_secret_and_source_has_a_key_of_its_own() -> None:
    keys = {derive_key(secret, source) for secret in (KEY, SALT) for source in "ab"}

    assert len(keys) == 4
