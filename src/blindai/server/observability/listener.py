"""The operator's own listener: plaintext, apart from the sealed door, off unless asked.

    GET /metrics         figures, in Prometheus' text format
    GET /health/live     200 while the process answers
    GET /health/ready    200 or 503: whether requests should be sent to the sealed door

It takes nothing in and knows of no model, tenant or request.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import uvicorn

from blindai.server.observability.metrics import CONTENT_TYPE
from blindai.server.sleeping import SleepingServer

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator

    from blindai.server.asgi import Receive, Scope, Send
    from blindai.server.observability.metrics import Metrics
    from blindai.server.observability.readiness import Readiness

_MAX_CONNECTIONS: Final = 32
_TEXT: Final = "text/plain; charset=utf-8"


class OperatorsApp:
    """Answers the three addresses, and nothing else."""

    def __init__(self, metrics: Metrics, readiness: Readiness) -> None:
        """Answer from these."""
        self._metrics = metrics
        self._readiness = readiness

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Serve one ASGI scope of HTTP."""
        if scope["method"] != "GET":
            await _answer(send, 405, b"")
            return
        match scope["path"]:
            case "/metrics":
                await _answer(send, 200, self._metrics.encode(), CONTENT_TYPE)
            case "/health/live":
                await _answer(send, 200, b"live\n")
            case "/health/ready" if await self._readiness.ready():
                await _answer(send, 200, b"ready\n")
            case "/health/ready":
                await _answer(send, 503, b"not ready\n")
            case _:
                await _answer(send, 404, b"")


class _Beside(SleepingServer):
    """A second server in the process: signals are the first one's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


@contextlib.asynccontextmanager
async def listening(app: OperatorsApp, sock: socket.socket) -> AsyncIterator[None]:
    """Answer on a bound socket as long as the context lasts."""
    server = _Beside(
        uvicorn.Config(
            app,
            lifespan="off",
            http="httptools",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve([sock]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def _answer(
    send: Send, status: int, body: bytes, media_type: str = _TEXT
) -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
