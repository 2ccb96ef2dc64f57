"""How a handler of a route meets ASGI: who may come in, and what is read of them.

Route("/v2/models/{name}", Admitted(self.model, "infer", gate), methods=["GET"])
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from starlette.requests import ClientDisconnect, Request

from blindai.errors import TooLargeError
from blindai.server.auth import Authenticator
from blindai.server.observability.record import current
from blindai.server.quotas import Quotas

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response

    from blindai.server.asgi import Receive, Scope, Send
    from blindai.server.auth import Principal
    from blindai.server.settings import Settings

_T = TypeVar("_T")
_UNWATCHED_S: Final = 0.1
"""For how long a run goes on without anybody looking whether its client is there."""


class Gate:
    """Knows who asks, and how much they may.

    Args:
        settings: The measured configuration.

    Attributes:
        quotas: Of the keys.
    """

    def __init__(self, settings: Settings) -> None:
        self._authenticator = Authenticator(settings.api_keys)
        self._named = bool(settings.api_keys)
        self.quotas = Quotas(settings)

    def require(self, request: Request, scope: str) -> Principal:
        """Who asks.

        Raises:
            UnauthenticatedError: If nobody known asks.
            ForbiddenError: If they may not.
        """
        principal = self._authenticator.authenticate(request.headers)
        if self._named:
            current().tenant = principal.owner
        principal.require(scope)
        return principal


@dataclass(frozen=True, slots=True)
class Open:
    """An endpoint for everybody. ASGI.

    Attributes:
        handler: Answers a request.
    """

    handler: Callable[[Request], Awaitable[Response]]

    @property
    def name(self) -> str:
        """Of its handler: the class of its requests in a record."""
        return self.handler.__name__

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        response = await self.handler(Request(scope, receive))
        await response(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Admitted:
    """An endpoint for who has an API key, where the configuration names any. ASGI.

    A request counts until its answer has left, or it is refused.

    Attributes:
        handler: Answers a request of somebody.
        scope: What they must be allowed to do.
        gate: Lets them in.
    """

    handler: Callable[[Request, Principal], Awaitable[Response]]
    scope: str
    gate: Gate

    @property
    def name(self) -> str:
        """Of its handler: the class of its requests in a record."""
        return self.handler.__name__

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer.

        Raises:
            UnauthenticatedError: If nobody known asks.
            ForbiddenError: If they may not.
            QuotaError: If it is one request too many.
        """
        request = Request(scope, receive)
        principal = self.gate.require(request, self.scope)
        with self.gate.quotas.request(principal.tenant):
            response = await self.handler(request, principal)
            await response(scope, receive, send)


async def body(request: Request, max_bytes: int) -> list[bytes]:
    """The pieces of a body, held to its limit while it is read.

    Raises:
        TooLargeError: If it is over the limit.
        ClientDisconnect: If the client goes away, or what it sends does not open.
    """
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece, more = message.get("body", b""), message.get("more_body", False)
        size += len(piece)
        if size > max_bytes:
            raise TooLargeError(f"request: expected at most {max_bytes} bytes")
        if piece:
            pieces.append(piece)
    return pieces


async def while_connected(request: Request, run: Awaitable[_T]) -> _T:
    """Await a run, and cancel it when the client goes away.

    What ends at once is not watched: most runs do, and a watcher costs as much as some.

    Raises:
        ClientDisconnect: If it did.
        CancelledError: If the server cancels the request itself.
    """
    running = asyncio.current_task()
    gone = False
    watchers: list[asyncio.Task[None]] = []

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        if running is not None:
            running.cancel()

    def begin() -> None:
        watchers.append(asyncio.create_task(watch()))

    timer = asyncio.get_running_loop().call_later(_UNWATCHED_S, begin)
    try:
        return await run
    except asyncio.CancelledError:
        if gone and running is not None and not running.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        timer.cancel()
        for watcher in watchers:
            watcher.cancel()
