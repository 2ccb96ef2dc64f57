"""Files sealed at rest: a key of the TEE's, a file of any size, bounded memory.

STREAM (Hoang, Reyhanitabar, Rogaway, Vizar: "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", CRYPTO 2015) over AES-256-GCM. Integers are big-endian.

    header      44 bytes, associated data of every chunk
      magic         7   "BLINDAI"
      version       1   1
      chunk_bytes   4   plaintext of a chunk, 1048576
      salt         32   random, never used twice with one sealing key
    chunk       chunk_bytes + 16 bytes (tag); the last may be shorter
    ...

    plaintext = metadata size (4) || metadata || contents
    key (32) || prefix (7) = HKDF-SHA256(sealing key, salt, label || 0x00 || header)
    nonce (12) = prefix (7) || number of the chunk (4) || 1 for the last one, else 0 (1)

Metadata is sealed with the contents, so whoever keeps the file learns its size and no
more. A file holds for itself alone: which files belong together, and which is the
newest, is for who keeps them to say (`inference.folder` has an index for that).

    sealed = seal(key, metadata, chunks, salt=secrets.token_bytes(SALT_BYTES))
    opened = open_sealed(key, pieces)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from blindai.errors import SealingError
from blindai.protocol import hkdf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Buffer = bytes | bytearray | memoryview

KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
CHUNK_BYTES: Final = 1 << 20
MAX_METADATA_BYTES: Final = 1 << 16

_PREFIX = b"BLINDAI\x01" + CHUNK_BYTES.to_bytes(4, "big")
_HEADER_BYTES = len(_PREFIX) + SALT_BYTES
_TAG_BYTES = 16
_LABEL = b"blindai sealed file v1\x00"
_KEY_LABEL = b"blindai sealing key v1\x00"


@dataclass(frozen=True, slots=True)
class Opened:
    """A sealed file that opens.

    Attributes:
        metadata: What the sealer said about the contents; authentic.
        contents: The contents in chunks. Each is authentic when it appears; that the
            file is whole is known only when the iterator ends without SealingError.
    """

    metadata: bytes
    contents: Iterator[bytes] = field(repr=False)


def seal(
    key: bytes, metadata: bytes, chunks: Iterable[Buffer], *, salt: bytes
) -> Iterator[bytes]:
    """Seal contents that arrive in pieces of any size.

    Args:
        key: The sealing key, 32 bytes.
        metadata: Sealed in front of the contents, at most 64 KiB.
        chunks: The contents, at most 2**32 chunks of 1 MiB.
        salt: 32 bytes from a cryptographic generator, new for each file.

    Yields:
        The sealed file, in pieces.

    Raises:
        ValueError: If the key, the salt or the metadata has another size.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"salt: expected {SALT_BYTES} bytes, got {len(salt)}")
    if len(metadata) > MAX_METADATA_BYTES:
        raise ValueError(
            f"metadata: expected at most {MAX_METADATA_BYTES} bytes,"
            f" got {len(metadata)}"
        )
    header = _PREFIX + salt
    stream = _Stream(key, header)
    yield header
    plaintext = chain((len(metadata).to_bytes(4, "big"), metadata), chunks)
    for number, (block, last) in enumerate(_blocks(plaintext, CHUNK_BYTES)):
        yield stream.seal(number, block, last=last)


def open_sealed(key: bytes, pieces: Iterable[Buffer]) -> Opened:
    """Open a file that `seal` made, from pieces of any size.

    Args:
        key: The sealing key, 32 bytes.
        pieces: The sealed file.

    Raises:
        ValueError: If the key has another size.
        SealingError: If the file is not one, was sealed with another key, or its first
            chunk was changed. Iterating raises it too, at the first chunk that was
            changed, moved, cut off or added.
    """
    iterator = iter(pieces)
    header, rest = _split_header(iterator)
    plaintext = _open_chunks(_Stream(key, header), chain((rest,), iterator))
    first = next(plaintext)
    end = 4 + int.from_bytes(first[:4], "big")
    if not 4 <= end <= min(len(first), 4 + MAX_METADATA_BYTES):
        raise SealingError("sealed metadata: expected it whole in the first chunk")
    return Opened(first[4:end], chain((first[end:],), plaintext))


def derive_key(secret: bytes, source: str) -> bytes:
    """A sealing key, 32 bytes, from a secret that a TEE gives.

    HKDF-SHA256 (RFC 5869) parts it from every other use that is made of the secret.

    Args:
        secret: What the TEE gives, at least 16 bytes.
        source: Says which TEE's, and what the secret is bound to.
    """
    return hkdf.expand(hkdf.extract(_KEY_LABEL, secret), source.encode(), KEY_BYTES)


class _Stream:
    """The chunks of one file."""

    def __init__(self, key: bytes, header: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"sealing key: expected {KEY_BYTES} bytes, got {len(key)}")
        derived = hkdf.expand(
            hkdf.extract(header[len(_PREFIX) :], key), _LABEL + header, KEY_BYTES + 7
        )
        self._aead = AESGCM(derived[:KEY_BYTES])
        self._prefix = derived[KEY_BYTES:]
        self._header = header

    def seal(self, number: int, block: bytes, *, last: bool) -> bytes:
        return self._aead.encrypt(self._nonce(number, last), block, self._header)

    def open(self, number: int, block: bytes, *, last: bool) -> bytes:
        try:
            return self._aead.decrypt(self._nonce(number, last), block, self._header)
        except InvalidTag as error:
            raise SealingError(
                f"sealed file, chunk {number}: expected it as it was sealed,"
                " got other bytes or another key"
            ) from error

    def _nonce(self, number: int, last: bool) -> bytes:  # noqa: FBT001  # two fields
        return self._prefix + number.to_bytes(4, "big") + bytes((last,))


def _open_chunks(stream: _Stream, pieces: Iterable[Buffer]) -> Iterator[bytes]:
    blocks = _blocks(pieces, CHUNK_BYTES + _TAG_BYTES)
    for number, (block, last) in enumerate(blocks):
        yield stream.open(number, block, last=last)


def _split_header(pieces: Iterator[Buffer]) -> tuple[bytes, bytes]:
    held = b""
    while len(held) < _HEADER_BYTES:
        piece = next(pieces, None)
        if piece is None:
            raise SealingError(
                f"sealed file: expected a header of {_HEADER_BYTES} bytes,"
                f" got {len(held)}"
            )
        held += piece
    if not held.startswith(_PREFIX):
        raise SealingError("sealed file: expected a blindai file of version 1")
    return held[:_HEADER_BYTES], held[_HEADER_BYTES:]


def _blocks(pieces: Iterable[Buffer], size: int) -> Iterator[tuple[bytes, bool]]:
    """Cut a stream into blocks of `size` bytes, and say which is the last.

    The last has `size` bytes or fewer; only that of an empty stream is empty.
    """
    held = bytearray()
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), size):
            held += view[start : start + size]
            if len(held) > size:
                yield bytes(held[:size]), False
                del held[:size]
    yield bytes(held), True
