"""Chunked Oblivious HTTP, draft-ietf-ohai-chunked-ohttp-08: messages as streams.

    request  = header || enc || chunks      response = nonce || chunks

`chunks` has the stream of chunks, `chunk_writers` what divides a message into them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.errors import SealingError
from blindai.protocol import ohttp
from blindai.protocol.chunk_writers import WholeWriter
from blindai.protocol.chunks import ChunkOpener, ChunkSealer
from blindai.protocol.ohttp import Label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from blindai.protocol.buffers import Bytes
    from blindai.protocol.ohttp import Encapsulation, GatewayKey, KeyConfig

REQUEST_TYPE: Final = "message/ohttp-chunked-req"
RESPONSE_TYPE: Final = "message/ohttp-chunked-res"


class RequestSealer:
    """The client's end of a request.

    Attributes:
        header: What the stream begins with, before the first chunk.
        chunks: Seals the request, chunk by chunk.
        encapsulation: Opens the answer.
    """

    __slots__ = ("chunks", "encapsulation", "header")

    def __init__(self, config: KeyConfig) -> None:
        self.header, self.encapsulation = ohttp.begin_request(config, Label.CHUNKED)
        self.chunks = ChunkSealer(self.encapsulation.context.cipher)

    def whole(self, parts: Iterable[Bytes]) -> WholeWriter:
        """Seal a request that is in memory."""
        return WholeWriter(self.encapsulation.context.cipher, self.header, parts)


class RequestOpener:
    """The gateway's end of a request."""

    __slots__ = ("_begun", "_chunks", "_encapsulation", "_keys")

    def __init__(self, keys: Mapping[int, GatewayKey]) -> None:
        self._keys = keys
        self._begun = b""
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
        received = _behind(self._begun, data)
        if not received:
            return []
        end = ohttp.header_bytes(self._keys, received)
        if len(received) < end:
            self._begun = bytes(received)
            return []
        header = bytes(received[:end])
        self._encapsulation = ohttp.accept_request(self._keys, Label.CHUNKED, header)
        self._chunks = ChunkOpener(self._encapsulation.context.cipher)
        return self._chunks.feed(received[end:])

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

    __slots__ = ("_cipher", "chunks", "header")

    def __init__(self, encapsulation: Encapsulation, nonce: bytes) -> None:
        """Begin the answer to a request.

        Args:
            encapsulation: Of the request.
            nonce: Fresh random bytes, `response_nonce_bytes` of them.
        """
        self.header = nonce
        self._cipher = encapsulation.response_cipher(nonce)
        self.chunks = ChunkSealer(self._cipher)

    def whole(self, parts: Iterable[Bytes], chunk_bytes: int) -> WholeWriter:
        """Seal an answer that is in memory.

        Args:
            parts: The answer.
            chunk_bytes: The most plaintext a chunk may hold.
        """
        return WholeWriter(self._cipher, self.header, parts, chunk_bytes)


class ResponseOpener:
    """The client's end of a response."""

    __slots__ = ("_begun", "_chunks", "_encapsulation")

    def __init__(self, encapsulation: Encapsulation) -> None:
        self._encapsulation = encapsulation
        self._begun = b""
        self._chunks: ChunkOpener | None = None

    def feed(self, data: Bytes) -> list[bytes]:
        """Take sealed bytes; give the plaintext of each chunk they complete.

        Raises:
            SealingError: If a chunk does not open, is empty, or is too large.
        """
        if self._chunks is not None:
            return self._chunks.feed(data)
        received = _behind(self._begun, data)
        size = self._encapsulation.response_nonce_bytes
        if len(received) < size:
            self._begun = bytes(received)
            return []
        cipher = self._encapsulation.response_cipher(bytes(received[:size]))
        self._chunks = ChunkOpener(cipher)
        return self._chunks.feed(received[size:])

    def finish(self) -> bytes:
        """The stream has ended: give the plaintext of the final chunk, maybe empty.

        Raises:
            SealingError: If the stream was cut short or the chunk does not open.
        """
        if self._chunks is None:
            raise SealingError("response: expected a whole nonce")
        return self._chunks.finish()


def _behind(begun: bytes, data: Bytes) -> memoryview:
    """What has arrived; large pieces are not copied for what they begin with."""
    return memoryview(begun + data if begun else data)
