"""The application inside the door: the routes, and errors as problems."""

from __future__ import annotations

import logging
import secrets
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Router

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
from blindai.server.routes import Routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from blindai.inference.service import InferenceService
    from blindai.server.asgi import Message, Receive, Scope, Send
    from blindai.server.settings import Settings

_RETRY_AFTER_S = {429: "1", 503: "10"}

_log = logging.getLogger("blindai.server")


def create_app(
    service: InferenceService,
    settings: Settings,
    clock: Callable[[], datetime],
    beside: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
) -> Application:
    """The V2 application over a service, which lives as long as it does.

    Args:
        service: Keeps and runs the models; it is started and closed here.
        settings: The measured configuration.
        clock: The host's clock, aware, in UTC.
        beside: Makes what runs as long as the application does.
    """

    @asynccontextmanager
    async def lifespan(_: Application) -> AsyncIterator[None]:
        async with service:
            for skipped in service.skipped:  # the reason may quote the model
                said = ": ".join(filter(None, (skipped.file, skipped.words)))
                _log.warning("sealed model not loaded: %s", said)
            days = settings.models.retention_days
            async with retaining(service, days, clock), beside():
                yield

    routes = Routes(service, settings, clock)
    # redirected, a request would name the caller's authority
    router = Router(routes.table(), redirect_slashes=False, lifespan=lifespan)
    return Application(router, service)


class Application:
    """The routes, and what becomes of what they raise. ASGI.

    Every answer says how new the sealed store is.

    Attributes:
        router: The routes, and how long they live.
    """

    def __init__(self, router: Router, service: InferenceService) -> None:
        """Stand before the routes.

        Args:
            router: Has them.
            service: Has the store.
        """
        self.router = router
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer.

        Raises:
            BlindAIError: Once the answer has begun: it is cut short, so that nobody
                takes it for whole.
            HTTPException: Likewise.
            ClientDisconnect: Likewise.
        """
        scope["app"] = self  # so that the router raises where it has no route
        if scope["type"] != "http":
            await self.router(scope, receive, send)
            return
        started = False

        async def send_marked(message: Message) -> None:
            nonlocal started
            if not started:
                started, mark = True, self._service.mark
                if mark is not None:
                    field = (STORE_HEADER.encode(), mark.encode().encode())
                    message = {**message, "headers": [*message["headers"], field]}
            await send(message)

        try:
            await self.router(scope, receive, send_marked)
        except (BlindAIError, HTTPException, ClientDisconnect) as error:
            if started:
                raise
            await _answer(scope, error)(scope, receive, send_marked)


def _answer(scope: Scope, error: Exception) -> Response:
    match error:
        case ClientDisconnect():
            return Response(status_code=499)  # nobody is there to read it
        case HTTPException(status_code=405):
            wrong = f"method: {scope['method']} is not one of this route's"
            return _refusal(scope, InvalidRequestError(wrong))
        case HTTPException():
            wrong = "route: there is none at this path"
            return _refusal(scope, NotFoundError(wrong))
        case _:
            return _refusal(scope, error)


def _refusal(scope: Scope, error: Exception) -> Response:
    extension = scope.get("extensions", {}).get("blindai", {})
    request_id = extension.get("request_id") or secrets.token_hex(8)
    problem = problems.encode(error, request_id)
    current().problem = problem.kind
    wait = _RETRY_AFTER_S.get(problem.status)
    if isinstance(error, QuotaError):
        wait = str(error.retry_after_s)
    headers = None if wait is None else {"retry-after": wait}
    return Response(problem.content, problem.status, headers, problems.MEDIA_TYPE)
