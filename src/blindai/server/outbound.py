"""A response as it leaves: encoded, sealed and sent, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from blindai.protocol import bhttp, ohttp_chunked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blindai.protocol.buffers import Bytes
    from blindai.server.asgi import Message, Send

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


class Sealer(Protocol):
    """Seals a response, whole or chunked."""

    @property
    def header(self) -> bytes:
        """What the stream begins with."""
        ...

    @property
    def chunks(self) -> ohttp_chunked.Sealer:
        """Seals the rest."""
        ...


class Outbound:
    """Sends one sealed response; small ones leave as a single chunk.

    Attributes:
        started: Whether any of the answer has left.
    """

    def __init__(self, send: Send, sealer: Sealer, media_type: str) -> None:
        """Wait for the application's answer.

        Args:
            send: ASGI's.
            sealer: Seals the answer.
            media_type: Of the sealed answer.
        """
        self._send = send
        self._media_type = media_type
        self._writer = ohttp_chunked.ChunkWriter(
            sealer.chunks, sealer.header, ohttp_chunked.COMMON_CHUNK_BYTES
        )
        self._head: bhttp.ResponseHead | None = None
        self.started = False

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
        sealed = b"".join(self._seal(body, more=more))
        if not self.started:
            self.started = True
            await self._send(self._announcement(None if more else len(sealed)))
        await self._send(
            {"type": "http.response.body", "body": sealed, "more_body": more}
        )

    def _seal(self, body: Bytes, *, more: bool) -> Iterator[bytes]:
        if not self.started:
            yield from self._writer.write(self._take_head())
        for data in bhttp.encode_content(body):
            yield from self._writer.write(data)
        if more:
            yield self._writer.flush()
        else:
            yield from self._writer.write(bhttp.encode_end())
            yield self._writer.end()

    def _take_head(self) -> bytes:
        if self._head is None:
            raise RuntimeError("application: expected a head before the content")
        return bhttp.encode_response_head(self._head)

    def _announcement(self, length: int | None) -> Message:
        headers = [
            (b"content-type", self._media_type.encode()),
            (b"cache-control", b"no-store"),
            (b"incremental", b"?1"),
        ]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        return {"type": "http.response.start", "status": 200, "headers": headers}


def response_head(message: Message) -> bhttp.ResponseHead:
    """The head of an ASGI response, without the fields of a connection."""
    fields = tuple(
        (name.lower(), value)
        for name, value in message.get("headers", ())
        if name.lower() not in _CONNECTION_FIELDS
    )
    return bhttp.ResponseHead(message["status"], fields)
