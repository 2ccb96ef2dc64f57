"""The stream of sealed chunks inside a chunked Oblivious HTTP message.

    chunks = (length || sealed)* || 0 || sealed with the AAD "final"

draft-ietf-ohai-chunked-ohttp-08, sections 3 and 4. The final chunk extends to the end
of the stream. Each chunk has its number in its nonce and finality in its AAD, so a
chunk that is missing, moved, doubled or made up does not open, and neither does a
stream that was cut. Memory is bounded by one chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.errors import SealingError
from blindai.protocol import varint
from blindai.protocol.hpke import TAG_BYTES

if TYPE_CHECKING:
    from blindai.protocol.buffers import Bytes
    from blindai.protocol.hpke import Cipher

MAX_CHUNK_BYTES: Final = 1 << 20
"""Largest plaintext of one chunk, in bytes, that blindai sends or accepts.

The draft obliges receivers to accept 16384 and lets senders that know more send more.
"""
CHUNK_BYTES: Final = 65536
"""What blindai seals in one chunk of a streamed request, or of an answer, in bytes.

Small enough to stay in the processor's cache and in the allocator's free lists.
"""
COMMON_CHUNK_BYTES: Final = 16384
"""What any receiver accepts in one chunk, in bytes (draft, section 3)."""
FINAL: Final = b"final"
"""The AAD of the final chunk."""


class ChunkSealer:
    """Seals a stream chunk by chunk."""

    __slots__ = ("_cipher",)

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def seal(self, plaintext: Bytes) -> bytes:
        """Seal a chunk that is not the last: 1 to MAX_CHUNK_BYTES of plaintext."""
        sealed = self._cipher.seal(plaintext)
        return varint.encode(len(sealed)) + sealed

    def seal_final(self, plaintext: Bytes = b"") -> bytes:
        """Seal the last chunk: 0 to MAX_CHUNK_BYTES of plaintext."""
        return b"\x00" + self._cipher.seal(plaintext, FINAL)


class ChunkOpener:
    """Opens a stream chunk by chunk, however the bytes arrive."""

    __slots__ = ("_buffer", "_cipher", "_needed")

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self._buffer = bytearray()
        self._needed: int | None = None  # of the chunk being read; 0 is the final one

    def feed(self, data: Bytes) -> list[bytes]:
        """Take sealed bytes; give the plaintext of each chunk they complete.

        Raises:
            SealingError: If a chunk does not open, is empty, or is too large.
        """
        self._buffer += data
        opened: list[bytes] = []
        while size := self._next_chunk():
            with memoryview(self._buffer)[:size] as sealed:
                plaintext = self._cipher.open(sealed)
            if not plaintext:
                raise SealingError("chunk: expected data in all but the final one")
            del self._buffer[:size]
            opened.append(plaintext)
        return opened

    def finish(self) -> bytes:
        """The stream has ended: give the plaintext of the final chunk, maybe empty.

        Raises:
            SealingError: If the stream was cut short or the chunk does not open.
        """
        if self._needed != 0:
            raise SealingError(
                "chunks: expected a final one, got the end of the stream"
            )
        return self._cipher.open(self._buffer, FINAL)

    def _next_chunk(self) -> int | None:
        """Size of the chunk that the buffer begins with, once all of it is there.

        Raises:
            SealingError: If it is too large.
        """
        buffer = self._buffer
        if self._needed is None:
            decoded = varint.decode(buffer)
            if decoded is None:
                return None
            self._needed, start = decoded
            del buffer[:start]
        size = self._needed or len(buffer)
        if size > MAX_CHUNK_BYTES + TAG_BYTES:
            raise SealingError(
                f"chunk: expected at most {MAX_CHUNK_BYTES + TAG_BYTES} bytes, "
                f"got {size}"
            )
        if self._needed == 0 or len(buffer) < size:
            return None
        self._needed = None
        return size
