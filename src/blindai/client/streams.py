"""Bodies on their way: sealed as they leave, opened as they arrive.

Both work in a thread and on an event loop, as httpx's own do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
import numpy as np

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from blindai.client.session import Opening, Sealing
    from blindai.protocol.bhttp import ResponseHead
    from blindai.protocol.buffers import Bytes
    from blindai.protocol.chunk_writers import WholeWriter

    Stream = httpx.SyncByteStream | httpx.AsyncByteStream

_LARGE_BYTES: Final = 1 << 18
_LARGEST_BYTES: Final = 1 << 32  # what is announced is not there yet


def as_sync(body: Stream) -> httpx.SyncByteStream:
    """A body that is read in a thread.

    Raises:
        TypeError: If the body is for an event loop only.
    """
    if not isinstance(body, httpx.SyncByteStream):
        raise TypeError("body: expected one for a synchronous client")
    return body


def as_async(body: Stream) -> httpx.AsyncByteStream:
    """A body that is read on an event loop.

    Raises:
        TypeError: If the body is for threads only.
    """
    if not isinstance(body, httpx.AsyncByteStream):
        raise TypeError("body: expected one for an asynchronous client")
    return body


class SealedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A request's body, sealed piece by piece as it is sent."""

    def __init__(self, plain: Stream, sealing: Sealing) -> None:
        self._plain = plain
        self._sealing = sealing

    def __iter__(self) -> Iterator[bytes]:
        """Seal a body that is read in a thread."""
        for piece in as_sync(self._plain):
            yield from self._sealing.add(piece)
        yield from self._sealing.end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Seal a body that is read on an event loop."""
        async for piece in as_async(self._plain):
            for sealed in self._sealing.add(piece):
                yield sealed
        for sealed in self._sealing.end():
            yield sealed


class SealedWhole(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A request's body that is in memory, sealed as it is sent.

    Attributes:
        size_bytes: Of the sealed body.
    """

    def __init__(self, message: WholeWriter, then: Callable[[], None]) -> None:
        """Take a message, and something to do once it is on its way."""
        self._message = message
        self._then = then
        self.size_bytes = message.size_bytes

    def __iter__(self) -> Iterator[bytes]:
        """Seal the body in a thread."""
        yield from self._message.seal()
        self._then()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Seal the body on an event loop."""
        for piece in self:
            yield piece


class BufferStream(httpx.SyncByteStream):
    """A request's body that is in memory, in pieces that are not worth joining."""

    def __init__(self, buffers: Sequence[Bytes]) -> None:
        self._buffers = buffers

    def __iter__(self) -> Iterator[bytes]:
        """The pieces, for a thread or an event loop: nothing is waited for."""
        return iter(self._buffers)  # type: ignore[arg-type]  # sealed, never sent as is


class OpenedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer's content, opened piece by piece as it arrives.

    The head is read first. An answer that was changed or cut short raises while it is
    read.
    """

    def __init__(self, response: httpx.Response, opening: Opening) -> None:
        self._opening = opening
        self._body = response.stream
        self._sealed: Iterator[bytes]
        self._asealed: AsyncIterator[bytes]
        self._ready: list[bytes] = []
        self._ended = False

    def read_head(self) -> ResponseHead:
        """Read until the head is there."""
        self._sealed = iter(as_sync(self._body))
        for sealed in self._sealed:
            self._ready += self._opening.feed(sealed)
            if self._opening.head is not None:
                return self._opening.head
        self._end()
        return self._opening.require_head()

    async def aread_head(self) -> ResponseHead:
        """As `read_head`, on an event loop."""
        self._asealed = aiter(as_async(self._body))
        async for sealed in self._asealed:
            self._ready += self._opening.feed(sealed)
            if self._opening.head is not None:
                return self._opening.head
        self._end()
        return self._opening.require_head()

    def __iter__(self) -> Iterator[bytes]:
        """The content, read in a thread."""
        yield from self._take()
        for sealed in self._sealed:
            yield from self._opening.feed(sealed)
        self._end()
        yield from self._take()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The content, read on an event loop."""
        for piece in self._take():
            yield piece
        async for sealed in self._asealed:
            for piece in self._opening.feed(sealed):
                yield piece
        self._end()
        for piece in self._take():
            yield piece

    def read(self) -> Bytes:
        """All of the content, read in a thread.

        Raises:
            SealingError: If the answer was changed or cut short.
            BinaryHttpError: If it is malformed.
        """
        if self._ended:  # with its head
            return b"".join(self._take())
        content = _Gathered(self._opening)
        for piece in self:
            content.add(piece)
        return content.all()

    async def aread(self) -> Bytes:
        """As `read`, on an event loop."""
        if self._ended:
            return b"".join(self._take())
        content = _Gathered(self._opening)
        async for piece in self:
            content.add(piece)
        return content.all()

    def put_back(self, content: Bytes) -> None:
        """Let content that was read be read again."""
        self._ready.append(bytes(content))

    def close(self) -> None:
        """Close the connection, or give it back."""
        as_sync(self._body).close()

    async def aclose(self) -> None:
        """As `close`, on an event loop."""
        await as_async(self._body).aclose()

    def _end(self) -> None:
        if not self._ended:
            self._ready += self._opening.finish()
            self._ended = True

    def _take(self) -> list[bytes]:
        ready, self._ready = self._ready, []
        return ready


class _Gathered:
    """Content of one answer, each byte where it will stay, if its size is known.

    Fresh memory costs more than what is done in it. So a large content is not held
    twice, once in pieces; and NumPy asks for large pages, where there are any.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._pieces: list[bytes] = []
        self._place: memoryview | None = None
        self._size = 0

    def add(self, piece: bytes) -> None:
        if not (self._size or self._pieces):
            self._place = _place(self._opening.content_bytes)
        if self._place is None:
            self._pieces.append(piece)
            return
        end = self._size + len(piece)
        self._place[self._size : end] = piece  # never more than was announced
        self._size = end

    def all(self) -> Bytes:
        if self._place is None:
            return b"".join(self._pieces)
        return self._place[: self._size].toreadonly()


def _place(size: int | None) -> memoryview | None:
    """Memory for a content that is worth it."""
    if size is None or not _LARGE_BYTES <= size <= _LARGEST_BYTES:
        return None
    try:
        return np.empty(size, np.uint8).data
    except MemoryError:  # as much as was announced may never come
        return None
