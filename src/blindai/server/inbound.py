"""A sealed request as it arrives: opened on demand, never ahead of the application."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, cast

from blindai.errors import DeadlineError, TransportError
from blindai.protocol.bhttp import Content, RequestHead
from blindai.protocol.bhttp_decoder import Limits, RequestDecoder

if TYPE_CHECKING:
    from blindai.protocol.bhttp_decoder import RequestEvent
    from blindai.protocol.buffers import Bytes
    from blindai.protocol.ohttp import Encapsulation
    from blindai.server.asgi import Receive


_WANTED: Final = (RequestHead, Content)


class ClientGoneError(TransportError):
    """The client went away before its request was complete."""


class Opener(Protocol):
    """Opens a sealed request, whole or chunked."""

    @property
    def encapsulation(self) -> Encapsulation:
        """What seals the answer."""
        ...

    def feed(self, data: Bytes) -> list[bytes]:
        """Take sealed bytes; give what opened."""
        ...

    def finish(self) -> bytes:
        """The stream has ended: give the rest."""
        ...


class Inbound:
    """Reads the events of one sealed request.

    Memory is bounded by one chunk: more is read only when the application asks.

    Attributes:
        authenticated: Whether any of the request has opened.
    """

    def __init__(
        self,
        receive: Receive,
        opener: Opener,
        limits: Limits,
        idle_timeout_s: float,
    ) -> None:
        """Wait for a request.

        Args:
            receive: ASGI's.
            opener: Opens the sealed bytes.
            limits: Of the Binary HTTP message.
            idle_timeout_s: How long the client may send nothing, in seconds.
        """
        self._receive = receive
        self._opener = opener
        self._decoder = RequestDecoder(limits)
        self._idle_timeout_s = idle_timeout_s
        self._events: deque[RequestHead | Content] = deque()
        self._ended = False
        self.authenticated = False

    async def head(self) -> RequestHead:
        """Read the head of the request.

        Raises:
            ClientGoneError: If the client goes away.
            SealingError: If it does not open.
            BinaryHttpError: If it is malformed.
            DeadlineError: If the client sends nothing for too long.
        """
        # the first event is the head, or the decoder raises
        return cast("RequestHead", await self._next())

    async def content(self) -> Bytes | None:
        """Read the next piece of content; None when the request is complete.

        Raises:
            SealingError: If it does not open.
            BinaryHttpError: If it is malformed.
            DeadlineError: If the client sends nothing for too long.
        """
        event = await self._next()
        return event.data if isinstance(event, Content) else None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to read, as far as that is known without reading."""
        return self._ended and not self._events

    async def _next(self) -> RequestHead | Content | None:
        while not self._events:
            if self._ended:
                return None
            await self._read()
        return self._events.popleft()

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._idle_timeout_s):
                message = await self._receive()
        except TimeoutError as error:
            raise DeadlineError(
                f"request: expected bytes within {self._idle_timeout_s:g} s"
            ) from error
        if message["type"] != "http.request":
            raise ClientGoneError("request: expected more, got a closed connection")
        for plaintext in self._opener.feed(message.get("body", b"")):
            self.authenticated = True
            self._take(self._decoder.feed(plaintext))
        if not message.get("more_body", False):
            self._ended = True
            plaintext = self._opener.finish()
            self.authenticated = True
            self._take(self._decoder.feed(plaintext))
            self._take(self._decoder.finish())

    def _take(self, events: list[RequestEvent]) -> None:
        # trailers and the end are nothing for the application
        self._events += [each for each in events if isinstance(each, _WANTED)]
