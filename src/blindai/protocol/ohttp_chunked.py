"""Chunked Oblivious HTTP, draft-ietf-ohai-chunked-ohttp-08: messages as streams.

    request  = header || enc || chunks      response = nonce || chunks
    chunks   = (length || sealed)* || 0 || sealed with the AAD "final"

The final chunk extends to the end of the stream. Each chunk has its number in its
nonce and finality in its AAD, so a chunk that is missing, moved, doubled or made up
does not open, and neither does a stream that was cut. Memory is bounded by one chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from blindai.errors import SealingError
from blindai.protocol import ohttp, varint
from blindai.protocol.hpke import TAG_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from blindai.protocol.buffers import Bytes
    from blindai.protocol.hpke import Cipher
    from blindai.protocol.ohttp import Encapsulation, GatewayKey, KeyConfig

REQUEST_TYPE: Final = "message/ohttp-chunked-req"
RESPONSE_TYPE: Final = "message/ohttp-chunked-res"
MAX_CHUNK_BYTES: Final = 1 << 20
"""Largest plaintext of one chunk, in bytes, that blindai sends or accepts.

The draft obliges receivers to accept 16384 and lets senders that know more send more.
"""
CHUNK_BYTES: Final = 65536
"""What blindai seals in one chunk of a streamed request, in bytes.

Small enough to stay in the processor's cache and in the allocator's free lists.
"""
COMMON_CHUNK_BYTES: Final = 16384
"""What any receiver accepts in one chunk, in bytes (draft, section 3)."""
_FINAL = b"final"
_ALONE_BYTES = 32768  # a part of this size or more is sealed where it lies


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
        return b"\x00" + self._cipher.seal(plaintext, _FINAL)


class Sealer(Protocol):
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

    def __init__(self, sealer: Sealer, header: bytes, chunk_bytes: int) -> None:
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

    def __init__(self, cipher: Cipher, header: bytes, parts: Iterable[Bytes]) -> None:
        """Divide a message into chunks; nothing is sealed yet.

        Args:
            cipher: Seals the chunks.
            header: What comes before the first chunk, unsealed.
            parts: The message.
        """
        self._cipher = cipher
        self._header = header
        self._chunks = list(_divide(parts))
        *firsts, final = map(_sealed_bytes, self._chunks)
        lengths = sum(len(varint.encode(size)) for size in firsts) + 1
        self.size_bytes = len(header) + lengths + sum(firsts) + final

    def seal(self) -> Iterator[bytes]:
        """Seal the message, once; small chunks leave with what is before them."""
        ready = self._header
        final = len(self._chunks) - 1
        for index, chunk in enumerate(self._chunks):
            ready += b"\0" if index == final else varint.encode(_sealed_bytes(chunk))
            alone = len(chunk) == 1 and len(chunk[0]) >= _ALONE_BYTES
            if alone:
                yield ready
                ready = b""
            plaintext = chunk[0] if alone else b"".join(chunk)
            ready += self._cipher.seal(plaintext, _FINAL if index == final else b"")
        yield ready


def _sealed_bytes(chunk: list[memoryview]) -> int:
    return sum(map(len, chunk)) + TAG_BYTES


def _divide(parts: Iterable[Bytes]) -> Iterator[list[memoryview]]:
    """Chunks of a message; the last one is its end, and empty if there is nothing."""
    held: list[memoryview] = []
    size = 0
    for part in _slices(parts):
        alone = len(part) >= _ALONE_BYTES
        if held and (alone or size + len(part) > MAX_CHUNK_BYTES):
            yield held
            held, size = [], 0
        held.append(part)
        size += len(part) if not alone else MAX_CHUNK_BYTES  # nothing joins it
    yield held


def _slices(parts: Iterable[Bytes]) -> Iterator[memoryview]:
    for part in parts:
        view = memoryview(part).cast("B")
        for start in range(0, len(view), MAX_CHUNK_BYTES):
            yield view[start : start + MAX_CHUNK_BYTES]


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
        return self._cipher.open(self._buffer, _FINAL)

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


class RequestSealer:
    """The client's end of a request.

    Attributes:
        header: What the stream begins with, before the first chunk.
        chunks: Seals the request, chunk by chunk.
        encapsulation: Opens the answer.
    """

    __slots__ = ("chunks", "encapsulation", "header")

    def __init__(self, config: KeyConfig) -> None:
        label = ohttp.Label.CHUNKED
        self.header, self.encapsulation = ohttp.begin_request(config, label)
        self.chunks = ChunkSealer(self.encapsulation.context.cipher)

    def whole(self, parts: Iterable[Bytes]) -> WholeWriter:
        """Seal a request that is in memory."""
        return WholeWriter(self.encapsulation.context.cipher, self.header, parts)


class RequestOpener:
    """The gateway's end of a request."""

    __slots__ = ("_buffer", "_chunks", "_encapsulation", "_keys")

    def __init__(self, keys: Mapping[int, GatewayKey]) -> None:
        self._keys = keys
        self._buffer = bytearray()
        self._chunks: ChunkOpener | None = None
        self._encapsulation: Encapsulation | None = None

    @property
    def encapsulation(self) -> Encapsulation:
        """What seals the answer, once the header has arrived.

        Raises:
            SealingError: If it has not.
        """
        if self._encapsulation is None:
            raise SealingError("request: expected a whole header")
        return self._encapsulation

    def feed(self, data: Bytes) -> list[bytes]:
        """Take sealed bytes; give the plaintext of each chunk they complete.

        Raises:
            UnknownKeyError: If the request is sealed to another key.
            SealingError: If it does not open.
        """
        if self._chunks is not None:
            return self._chunks.feed(data)
        self._buffer += data
        if not self._buffer:
            return []
        end = ohttp.header_bytes(self._keys, self._buffer)
        if len(self._buffer) < end:
            return []
        header = bytes(self._buffer[:end])
        label = ohttp.Label.CHUNKED
        self._encapsulation = ohttp.accept_request(self._keys, label, header)
        self._chunks = ChunkOpener(self._encapsulation.context.cipher)
        return self._chunks.feed(memoryview(self._buffer)[end:])

    def finish(self) -> bytes:
        """The stream has ended: give the plaintext of the final chunk, maybe empty.

        Raises:
            SealingError: If the stream was cut short or the chunk does not open.
        """
        if self._chunks is None:
            raise SealingError("request: expected a whole header")
        return self._chunks.finish()


class ResponseSealer:
    """The gateway's end of a response.

    Attributes:
        header: What the stream begins with: the nonce.
        chunks: Seals the response.
    """

    __slots__ = ("chunks", "header")

    def __init__(self, encapsulation: Encapsulation, nonce: bytes) -> None:
        """Begin the answer to a request.

        Args:
            encapsulation: Of the request.
            nonce: Fresh random bytes, `response_nonce_bytes` of them.
        """
        self.header = nonce
        self.chunks = ChunkSealer(encapsulation.response_cipher(nonce))


class ResponseOpener:
    """The client's end of a response."""

    __slots__ = ("_buffer", "_chunks", "_encapsulation")

    def __init__(self, encapsulation: Encapsulation) -> None:
        self._encapsulation = encapsulation
        self._buffer = bytearray()
        self._chunks: ChunkOpener | None = None

    def feed(self, data: Bytes) -> list[bytes]:
        """Take sealed bytes; give the plaintext of each chunk they complete.

        Raises:
            SealingError: If a chunk does not open, is empty, or is too large.
        """
        if self._chunks is not None:
            return self._chunks.feed(data)
        self._buffer += data
        size = self._encapsulation.response_nonce_bytes
        if len(self._buffer) < size:
            return []
        cipher = self._encapsulation.response_cipher(bytes(self._buffer[:size]))
        self._chunks = ChunkOpener(cipher)
        return self._chunks.feed(memoryview(self._buffer)[size:])

    def finish(self) -> bytes:
        """The stream has ended: give the plaintext of the final chunk, maybe empty.

        Raises:
            SealingError: If the stream was cut short or the chunk does not open.
        """
        if self._chunks is None:
            raise SealingError("response: expected a whole nonce")
        return self._chunks.finish()
