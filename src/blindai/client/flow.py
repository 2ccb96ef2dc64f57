"""Running one sequence of network actions, in a thread or on an event loop.

A flow is a generator that yields what to do on the network and is sent what came of
it; it decides everything and does nothing. `run` and `arun` do everything and decide
nothing, so no decision is written twice.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import httpx

from blindai.client.streams import as_async, as_sync
from blindai.errors import EvidenceError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from blindai.client.streams import OpenedStream
    from blindai.protocol.bhttp import ResponseHead
    from blindai.protocol.buffers import Bytes

_T = TypeVar("_T")
_Wire_contra = TypeVar("_Wire_contra", contravariant=True)
_AsyncWire_contra = TypeVar("_AsyncWire_contra", contravariant=True)


class Action(Protocol[_Wire_contra, _AsyncWire_contra]):
    """Something to do on the network."""

    def run(self, wire: _Wire_contra) -> object:
        """Do it, waiting for it."""
        ...

    async def arun(self, wire: _AsyncWire_contra) -> object:
        """Do it, awaiting it."""
        ...


Flow = Generator[Action[httpx.BaseTransport, httpx.AsyncBaseTransport], Any, _T]


def run(flow: Generator[Action[_Wire_contra, Any], Any, _T], wire: _Wire_contra) -> _T:
    """Run a flow to its end; what fails on the network is raised inside it."""
    result: object = None
    error: BaseException | None = None
    while True:
        try:
            action = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            value: _T = stop.value
            return value
        result, error = None, None
        try:
            result = action.run(wire)
        except BaseException as caught:  # noqa: BLE001  raised again inside the flow
            error = caught


async def arun(
    flow: Generator[Action[Any, _AsyncWire_contra], Any, _T], wire: _AsyncWire_contra
) -> _T:
    """As `run`, on an event loop."""
    result: object = None
    error: BaseException | None = None
    while True:
        try:
            action = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            value: _T = stop.value
            return value
        result, error = None, None
        try:
            result = await action.arun(wire)
        except BaseException as caught:  # noqa: BLE001  raised again inside the flow
            error = caught


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; gives the response, its body unread."""

    request: httpx.Request

    def run(self, wire: httpx.BaseTransport) -> httpx.Response:
        """As `Action.run`."""
        return wire.handle_request(self.request)

    async def arun(self, wire: httpx.AsyncBaseTransport) -> httpx.Response:
        """As `Action.arun`."""
        return await wire.handle_async_request(self.request)


@dataclass(frozen=True, slots=True)
class Read:
    """Read a body of limited size in limited time; gives its bytes.

    Attributes:
        response: Whose body.
        max_bytes: The most bytes to read.
        max_s: How long to read on, in seconds.
    """

    response: httpx.Response
    max_bytes: int
    max_s: float

    def run(self, wire: httpx.BaseTransport) -> bytes:  # noqa: ARG002  the response knows its wire
        """As `Action.run`."""
        body, began = bytearray(), time.monotonic()
        for piece in as_sync(self.response.stream):
            body += piece
            self._require_within_limits(body, began)
        return bytes(body)

    async def arun(self, wire: httpx.AsyncBaseTransport) -> bytes:  # noqa: ARG002  as above
        """As `Action.arun`."""
        body, began = bytearray(), time.monotonic()
        async for piece in as_async(self.response.stream):
            body += piece
            self._require_within_limits(body, began)
        return bytes(body)

    def _require_within_limits(self, body: bytearray, began: float) -> None:
        if len(body) > self.max_bytes:
            raise EvidenceError(f"evidence: expected at most {self.max_bytes} bytes")
        if time.monotonic() - began > self.max_s:
            raise TransportError(f"evidence: expected all of it in {self.max_s:g} s")


@dataclass(frozen=True, slots=True)
class ReadHead:
    """Read a sealed answer up to its head; gives the head."""

    opened: OpenedStream

    def run(self, wire: httpx.BaseTransport) -> ResponseHead:  # noqa: ARG002  as above
        """As `Action.run`."""
        return self.opened.read_head()

    async def arun(self, wire: httpx.AsyncBaseTransport) -> ResponseHead:  # noqa: ARG002  as above
        """As `Action.arun`."""
        return await self.opened.aread_head()


@dataclass(frozen=True, slots=True)
class ReadContent:
    """Read the rest of a sealed answer; gives its content."""

    opened: OpenedStream

    def run(self, wire: httpx.BaseTransport) -> Bytes:  # noqa: ARG002  as above
        """As `Action.run`."""
        return self.opened.read()

    async def arun(self, wire: httpx.AsyncBaseTransport) -> Bytes:  # noqa: ARG002  as above
        """As `Action.arun`."""
        return await self.opened.aread()


@dataclass(frozen=True, slots=True)
class Close:
    """Close a response."""

    response: httpx.Response

    def run(self, wire: httpx.BaseTransport) -> None:  # noqa: ARG002  as above
        """As `Action.run`."""
        self.response.close()

    async def arun(self, wire: httpx.AsyncBaseTransport) -> None:  # noqa: ARG002  as above
        """As `Action.arun`."""
        await self.response.aclose()


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that is done by one at a time, in threads or on an event loop."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    alock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class TakeTurn:
    """Wait until nobody else has the turn, and take it."""

    turn: Turn

    def run(self, wire: httpx.BaseTransport) -> None:  # noqa: ARG002  as above
        """As `Action.run`."""
        self.turn.lock.acquire()

    async def arun(self, wire: httpx.AsyncBaseTransport) -> None:  # noqa: ARG002  as above
        """As `Action.arun`."""
        await self.turn.alock.acquire()


@dataclass(frozen=True, slots=True)
class EndTurn:
    """Let the next one have the turn."""

    turn: Turn

    def run(self, wire: httpx.BaseTransport) -> None:  # noqa: ARG002  as above
        """As `Action.run`."""
        self.turn.lock.release()

    async def arun(self, wire: httpx.AsyncBaseTransport) -> None:  # noqa: ARG002  as above
        """As `Action.arun`."""
        self.turn.alock.release()


@dataclass(frozen=True, slots=True)
class Blocking:
    """Call something that waits for a disk; gives what it returns."""

    function: Callable[[], object]

    def run(self, wire: httpx.BaseTransport) -> object:  # noqa: ARG002  no network in it
        """As `Action.run`."""
        return self.function()

    async def arun(self, wire: httpx.AsyncBaseTransport) -> object:  # noqa: ARG002  as above
        """As `Action.arun`."""
        return await asyncio.to_thread(self.function)
