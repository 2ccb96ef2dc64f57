"""Whole Oblivious HTTP messages (RFC 9458) with the shape of chunked ones.

A gateway serves clients of both kinds through one pair of interfaces: an opener that
is fed bytes, and a sealer with a header and chunks. A whole message is one chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindai.errors import SealingError, TooLargeError
from blindai.protocol import ohttp
from blindai.protocol.hpke import TAG_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from blindai.protocol.buffers import Bytes
    from blindai.protocol.hpke import Cipher
    from blindai.protocol.ohttp import Encapsulation, GatewayKey


class RequestOpener:
    """The gateway's end of a whole request."""

    __slots__ = ("_buffer", "_encapsulation", "_keys", "_max_bytes")

    def __init__(self, keys: Mapping[int, GatewayKey], max_bytes: int) -> None:
        """Wait for a request.

        Args:
            keys: The gateway's keys by key id.
            max_bytes: Of the sealed request.
        """
        self._keys = keys
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._encapsulation: Encapsulation | None = None

    @property
    def encapsulation(self) -> Encapsulation:
        """What seals the answer, once the request is open.

        Raises:
            SealingError: If it is not.
        """
        if self._encapsulation is None:
            raise SealingError("request: expected to be opened")
        return self._encapsulation

    def feed(self, data: Bytes) -> list[bytes]:
        """Take sealed bytes; nothing opens before all are there.

        Raises:
            TooLargeError: If there are too many.
        """
        if len(self._buffer) + len(data) > self._max_bytes:
            raise TooLargeError(f"request: expected at most {self._max_bytes} bytes")
        self._buffer += data
        return []

    def finish(self) -> bytes:
        """The request is complete: give its plaintext.

        Raises:
            UnknownKeyError: If it is sealed to another key.
            SealingError: If it does not open.
        """
        plaintext, self._encapsulation = ohttp.open_request(
            self._keys, bytes(self._buffer)
        )
        return plaintext


class WholeSealer:
    """Gathers a message and seals it at the end."""

    __slots__ = ("_cipher", "_pieces")

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self._pieces: list[Bytes] = []

    def seal(self, plaintext: Bytes) -> bytes:
        """Keep a piece; nothing is sealed yet."""
        self._pieces.append(bytes(plaintext))
        return b""

    def seal_final(self, plaintext: Bytes = b"") -> bytes:
        """Seal all pieces and this last one."""
        return self._cipher.seal(b"".join([*self._pieces, plaintext]))


class WholeMessage:
    """Seals a message that is in memory, as one piece.

    Attributes:
        size_bytes: Of the sealed message.
    """

    __slots__ = ("_cipher", "_header", "_plaintext", "size_bytes")

    def __init__(self, cipher: Cipher, header: bytes, parts: Iterable[Bytes]) -> None:
        self._cipher = cipher
        self._header = header
        self._plaintext = b"".join(parts)
        self.size_bytes = len(header) + len(self._plaintext) + TAG_BYTES

    def seal(self) -> Iterator[bytes]:
        """Seal the message, once."""
        yield self._header + self._cipher.seal(self._plaintext)


class ResponseSealer:
    """The gateway's end of a whole response.

    Attributes:
        header: What the message begins with: the nonce.
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
        self.chunks = WholeSealer(self._cipher)

    def whole(self, parts: Iterable[Bytes], _chunk_bytes: int) -> WholeMessage:
        """Seal an answer that is in memory; there is one chunk, of any size."""
        return WholeMessage(self._cipher, self.header, parts)
