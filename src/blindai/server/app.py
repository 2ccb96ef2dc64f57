"""The application inside the door: Starlette, the routes, and errors as problems."""

from __future__ import annotations

import logging
import secrets
from contextlib import ExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from blindai.errors import (
    BlindAIError,
    InvalidRequestError,
    NotFoundError,
    QuotaError,
)
from blindai.protocol import problems
from blindai.protocol.names import STORE_HEADER
from blindai.server.observability.record import current
from blindai.server.retention import retaining
from blindai.server.routes import HELD, Routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from blindai.inference.service import InferenceService
    from blindai.server.asgi import App, Message, Receive, Scope, Send
    from blindai.server.settings import Settings

_RETRY_AFTER_S = {429: "1", 503: "10"}

_log = logging.getLogger("blindai.server")


def create_app(
    service: InferenceService,
    settings: Settings,
    clock: Callable[[], datetime],
    beside: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
) -> Starlette:
    """The V2 application over a service, which lives as long as it does.

    Args:
        service: Keeps and runs the models; it is started and closed here.
        settings: The measured configuration.
        clock: The host's clock, aware, in UTC.
        beside: Makes what runs as long as the application does.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with service:
            for skipped in service.skipped:  # the reason may quote the model
                _log.warning("sealed model not loaded: %s", skipped.file)
            days = settings.models.retention_days
            async with retaining(service, days, clock), beside():
                yield

    routes = Routes(service, settings, clock)
    app = Starlette(
        routes=routes.table(),
        lifespan=lifespan,
        middleware=[Middleware(Surrounding, service)],
        exception_handlers={
            BlindAIError: _refuse,
            Exception: _refuse,
            HTTPException: _refuse_route,
            ClientDisconnect: _give_up,
        },
    )
    app.router.redirect_slashes = False  # a redirect would name the caller's authority
    return app


class Surrounding:
    """What surrounds every request. ASGI middleware.

    Every answer says how new the sealed store is, and what a route holds in the scope's
    `HELD` is given back once the answer has left.

    Args:
        app: Answers.
        service: Has the store.
    """

    def __init__(self, app: App, service: InferenceService) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""

        async def send_marked(message: Message) -> None:
            mark = self._service.mark
            if mark is not None and message["type"] == "http.response.start":
                field = (STORE_HEADER.encode(), mark.encode().encode())
                message = {**message, "headers": [*message["headers"], field]}
            await send(message)

        with ExitStack() as held:
            scope[HELD] = held
            await self._app(scope, receive, send_marked)


async def _refuse(request: Request, error: Exception) -> Response:
    extension = request.scope.get("extensions", {}).get("blindai", {})
    request_id = extension.get("request_id") or secrets.token_hex(8)
    problem = problems.encode(error, request_id)
    current().problem = problem.kind
    wait = _RETRY_AFTER_S.get(problem.status)
    if isinstance(error, QuotaError):
        wait = str(error.retry_after_s)
    headers = None if wait is None else {"retry-after": wait}
    return Response(problem.content, problem.status, headers, problems.MEDIA_TYPE)


async def _refuse_route(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        wrong = f"method: {request.method} is not one of this route's"
        return await _refuse(request, InvalidRequestError(wrong))
    return await _refuse(request, NotFoundError("route: there is none at this path"))


async def _give_up(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nobody is there to read it
