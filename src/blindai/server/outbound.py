"""A response as it leaves: encoded, sealed and sent, piece by piece."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from blindai.protocol import bhttp
from blindai.protocol.chunk_writers import ChunkWriter
from blindai.protocol.chunks import COMMON_CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from blindai.protocol import chunk_writers
    from blindai.protocol.buffers import Bytes
    from blindai.server.asgi import Message, Send

_TURN_BYTES: Final = 1 << 20
"""What of an answer is sealed before others have their turn."""
_ANNOUNCED: Final = ((b"cache-control", b"no-store"), (b"incremental", b"?1"))
_CONNECTION_FIELDS = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)


class SealedMessage(Protocol):
    """A message that is in memory, sealed as it is sent."""

    @property
    def size_bytes(self) -> int:
        """Of the sealed message."""
        ...

    def seal(self) -> Iterator[bytes]:
        """Seal it, once."""
        ...


class Sealer(Protocol):
    """Seals a response, in one message or in chunks."""

    @property
    def header(self) -> bytes:
        """What the stream begins with."""
        ...

    @property
    def chunks(self) -> chunk_writers.PieceSealer:
        """Seals a response that is made as it is sent."""
        ...

    def whole(self, parts: Iterable[Bytes], chunk_bytes: int) -> SealedMessage:
        """Seal a response that is in memory."""
        ...


class Outbound:
    """Sends one sealed response; small ones leave as a single chunk.

    Attributes:
        chunk_bytes: The most plaintext that a chunk holds, for what its client takes.
        started: Whether any of the answer has left.
        abandoned: Whether the client took nothing in for too long; no more leaves.
    """

    def __init__(
        self, send: Send, sealer: Sealer, media_type: bytes, idle_timeout_s: float
    ) -> None:
        """Wait for the application's answer.

        Args:
            send: ASGI's.
            sealer: Seals the answer.
            media_type: Of the sealed answer.
            idle_timeout_s: How long the client may take nothing in, in seconds.
        """
        self._send = send
        self._idle_timeout_s = idle_timeout_s
        self._media_type = media_type
        self._sealer = sealer
        self._writer: ChunkWriter | None = None  # of an answer made as it is sent
        self._head: bhttp.ResponseHead | None = None
        self.chunk_bytes = COMMON_CHUNK_BYTES
        self.started = False
        self.abandoned = False

    async def respond(self, head: bhttp.ResponseHead, content: bytes) -> None:
        """Send a whole answer at once, unless another has started."""
        self._head = head
        await self._content(content, more=False)

    async def asgi_send(self, message: Message) -> None:
        """Take what the application sends; its head waits for the first content."""
        if message["type"] == "http.response.start":
            self._head = response_head(message)
        elif message["type"] == "http.response.body":
            body: Bytes = message.get("body", b"")
            await self._content(body, more=message.get("more_body", False))

    async def _content(self, body: Bytes, *, more: bool) -> None:
        if self.abandoned:
            return
        if not (self.started or more):
            await self._whole(body)
            return
        sealed = b"".join(self._seal(body, more=more))
        if not self.started:
            await self._begin(None)
        await self._body(sealed, more=more)

    async def _whole(self, body: Bytes) -> None:
        """Send all of an answer; some of it leaves before the rest is sealed."""
        head = bhttp.encode_whole_response_head(self._require_head(), len(body))
        message = self._sealer.whole((head, body), self.chunk_bytes)
        await self._begin(message.size_bytes)
        left = message.size_bytes
        turn = left - _TURN_BYTES
        for piece in message.seal():
            left -= len(piece)
            await self._body(piece, more=left > 0)
            if self.abandoned:
                return
            if left < turn:  # sending waits for nothing while the client keeps up
                turn = left - _TURN_BYTES
                await asyncio.sleep(0)

    def _seal(self, body: Bytes, *, more: bool) -> Iterator[bytes]:
        if self._writer is None:
            sealer = self._sealer
            self._writer = ChunkWriter(sealer.chunks, sealer.header, self.chunk_bytes)
            yield from self._writer.write(
                bhttp.encode_response_head(self._require_head())
            )
        for data in bhttp.encode_content(body):
            yield from self._writer.write(data)
        if more:
            yield self._writer.flush()
        else:
            yield from self._writer.write(bhttp.encode_end())
            yield self._writer.end()

    async def _begin(self, length: int | None) -> None:
        self.started = True
        await self._send(self._announcement(length))

    async def _body(self, data: bytes, *, more: bool) -> None:
        message = {"type": "http.response.body", "body": data, "more_body": more}
        try:
            async with asyncio.timeout(self._idle_timeout_s):
                await self._send(message)
        except TimeoutError:
            self.abandoned = True

    def _require_head(self) -> bhttp.ResponseHead:
        if self._head is None:
            raise RuntimeError("application: expected a head before the content")
        return self._head

    def _announcement(self, length: int | None) -> Message:
        headers = [(b"content-type", self._media_type), *_ANNOUNCED]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        return {"type": "http.response.start", "status": 200, "headers": headers}


def response_head(message: Message) -> bhttp.ResponseHead:
    """The head of an ASGI response, without the fields of a connection."""
    headers = [(name.lower(), value) for name, value in message.get("headers", ())]
    fields = tuple([each for each in headers if each[0] not in _CONNECTION_FIELDS])
    return bhttp.ResponseHead(message["status"], fields)
