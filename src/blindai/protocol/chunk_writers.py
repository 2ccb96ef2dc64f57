"""How a message is divided into sealed chunks: as it is made, or all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from blindai.protocol import varint
from blindai.protocol.chunks import CHUNK_BYTES, FINAL, MAX_CHUNK_BYTES
from blindai.protocol.hpke import TAG_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from blindai.protocol.buffers import Bytes
    from blindai.protocol.hpke import Cipher

_ALONE_BYTES: Final = 32768  # a part of this size or more is sealed where it lies


class PieceSealer(Protocol):
    """Seals the pieces of one message, chunked or whole."""

    def seal(self, plaintext: Bytes) -> bytes:
        """Seal a piece that is not the last."""
        ...

    def seal_final(self, plaintext: Bytes = b"") -> bytes:
        """Seal the last piece."""
        ...


class ChunkWriter:
    """Gathers what is written and seals it in chunks of at most one size.

    A message smaller than a chunk becomes a single, final one.
    """

    __slots__ = ("_chunk_bytes", "_header", "_pending", "_sealer", "_size")

    def __init__(self, sealer: PieceSealer, header: bytes, chunk_bytes: int) -> None:
        """Begin a message.

        Args:
            sealer: Seals the chunks.
            header: What comes before the first chunk, unsealed.
            chunk_bytes: The most plaintext a chunk may hold.
        """
        self._sealer = sealer
        self._header = header
        self._chunk_bytes = chunk_bytes
        self._pending: list[Bytes] = []
        self._size = 0

    def write(self, data: Bytes) -> Iterator[bytes]:
        """Take plaintext; give the sealed bytes that are ready."""
        rest = memoryview(data).cast("B")
        while rest:
            if self._size == self._chunk_bytes:
                yield self.flush()
            room = self._chunk_bytes - self._size
            self._pending.append(rest[:room])
            self._size += len(rest[:room])
            rest = rest[room:]

    def flush(self) -> bytes:
        """Seal what was gathered, if anything was."""
        plaintext = self._take()
        sealed = self._sealer.seal(plaintext) if plaintext else b""
        return self._begin() + sealed

    def end(self) -> bytes:
        """Seal what was gathered, as the end of the message."""
        return self._begin() + self._sealer.seal_final(self._take())

    def _begin(self) -> bytes:
        header, self._header = self._header, b""
        return header

    def _take(self) -> bytes:
        plaintext = b"".join(self._pending)
        self._pending.clear()
        self._size = 0
        return plaintext


class WholeWriter:
    """Seals a message that is in memory: its large parts where they lie, uncopied.

    Attributes:
        size_bytes: Of the sealed message.
    """

    __slots__ = ("_chunks", "_cipher", "_header", "size_bytes")

    def __init__(
        self,
        cipher: Cipher,
        header: bytes,
        parts: Iterable[Bytes],
        chunk_bytes: int = MAX_CHUNK_BYTES,
    ) -> None:
        """Divide a message into chunks; nothing is sealed yet.

        Args:
            cipher: Seals the chunks.
            header: What comes before the first chunk, unsealed.
            parts: The message.
            chunk_bytes: The most plaintext a chunk may hold.
        """
        self._cipher = cipher
        self._header = header
        self._chunks = _divide(parts, chunk_bytes)
        self.size_bytes = len(header)
        for index, chunk in enumerate(self._chunks, 1):
            sealed = sum(map(len, chunk)) + TAG_BYTES
            length = b"\0" if index == len(self._chunks) else varint.encode(sealed)
            self.size_bytes += len(length) + sealed

    def seal(self) -> Iterator[bytes]:
        """Seal the message, once; small chunks leave with what is before them."""
        ready, size = [self._header], len(self._header)
        final = len(self._chunks) - 1
        for index, chunk in enumerate(self._chunks):
            last = index == final
            plaintext = chunk[0] if len(chunk) == 1 else b"".join(chunk)
            ready.append(b"\0" if last else varint.encode(len(plaintext) + TAG_BYTES))
            if len(plaintext) > CHUNK_BYTES:
                yield b"".join(ready)
                yield self._cipher.seal(plaintext, FINAL if last else b"")
                ready, size = [], 0
                continue
            ready.append(self._cipher.seal(plaintext, FINAL if last else b""))
            size += len(ready[-1])
            if size >= CHUNK_BYTES:
                yield b"".join(ready)
                ready, size = [], 0
        if ready:
            yield b"".join(ready)


def _divide(parts: Iterable[Bytes], chunk_bytes: int) -> list[list[memoryview]]:
    """Chunks of a message; the last one is its end, and empty if there is nothing."""
    chunks: list[list[memoryview]] = [[]]
    size = 0  # of the last of them
    for part in parts:
        view = memoryview(part).cast("B")
        for start in range(0, len(view), chunk_bytes):
            piece = view[start : start + chunk_bytes]
            alone = len(piece) >= _ALONE_BYTES
            if chunks[-1] and (alone or size + len(piece) > chunk_bytes):
                chunks.append([])
                size = 0
            chunks[-1].append(piece)
            size += len(piece) if not alone else chunk_bytes  # nothing joins it
    return chunks
