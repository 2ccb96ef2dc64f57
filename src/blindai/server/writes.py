"""HTTP/1.1 by uvicorn, which reads a chunk at once and writes a head with its content.

uvicorn writes the head of an answer by itself, and then what follows. Each write is a
call of the system that wakes who reads, for a hundred bytes nobody can do anything
with: that costs as much as sealing a small answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from blindai.protocol.chunks import MAX_CHUNK_BYTES

if TYPE_CHECKING:
    from blindai.protocol.buffers import Bytes

_HEAD: Final = b"HTTP/1.1 "
_UNREAD_S: Final = 30.0
"""How long the end of a connection waits for who should read what is left."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's, on a transport that holds the head of an answer back for a moment."""

    def connection_made(  # type: ignore[override]  # uvicorn's own narrows asyncio's
        self, transport: asyncio.Transport
    ) -> None:
        """Serve a connection."""
        super().connection_made(HoldingTransport(transport, self.loop))

    def on_body(self, body: bytes) -> None:
        """Take a piece of a request in.

        uvicorn reads no further when 64 KiB wait to be taken. A sealed chunk can be
        larger, and nothing of it opens before all of it is there.
        """
        super().on_body(body)
        if len(self.cycle.body) <= MAX_CHUNK_BYTES and not self.pipeline:
            self.flow.resume_reading()


class HoldingTransport(asyncio.Transport):
    """Holds a head back until the next write, or until the loop comes round.

    A connection that is closed while nobody reads what is left ends all the same.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Stand before a transport.

        Args:
            transport: Where everything goes.
            loop: The one it belongs to.
        """
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: Bytes = b""

    def write(self, data: Bytes) -> None:
        """Write: a head in one call with what is written next, if that is at once.

        Nothing is written to who has gone, and that is no fault: uvloop calls it one.
        """
        if self._transport.is_closing():
            self._held = b""
        elif self._held:
            held, self._held = self._held, b""
            self._transport.writelines((held, data))
        elif bytes(data[: len(_HEAD)]) == _HEAD:
            self._held = data
            self._loop.call_soon(self._release)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close, once all of it has left; or after a while, if nobody reads it."""
        self._release()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(_UNREAD_S, self._transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self._held = b""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closing, or closed."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401  as asyncio has it
        """What is known of the connection."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def _release(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)
