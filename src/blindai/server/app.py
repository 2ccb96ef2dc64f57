"""The application inside the door: Starlette, the routes, and errors as problems."""

from __future__ import annotations

import logging
import secrets
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from blindai.errors import BlindAIError, InvalidRequestError, NotFoundError
from blindai.protocol import problems
from blindai.server.routes import Routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from blindai.inference.service import InferenceService
    from blindai.server.settings import Settings


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
            async with beside():
                yield

    routes = Routes(service, settings, clock)
    app = Starlette(
        routes=routes.table(),
        lifespan=lifespan,
        exception_handlers={
            BlindAIError: _refuse,
            Exception: _refuse,
            HTTPException: _refuse_route,
            ClientDisconnect: _give_up,
        },
    )
    app.router.redirect_slashes = False  # a redirect would name the caller's authority
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    extension = request.scope.get("extensions", {}).get("blindai", {})
    request_id = extension.get("request_id") or secrets.token_hex(8)
    problem = problems.encode(error, request_id)
    headers = {"retry-after": "1"} if problem.status == 429 else None
    return Response(problem.content, problem.status, headers, problems.MEDIA_TYPE)


async def _refuse_route(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        wrong = f"method: {request.method} is not one of this route's"
        return await _refuse(request, InvalidRequestError(wrong))
    return await _refuse(request, NotFoundError("route: there is none at this path"))


async def _give_up(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nobody is there to read it
