"""ASGI middleware before the gateway: one record a request, handed on when it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from blindai.protocol.names import ATTESTATION_PATH, GATEWAY_PATH
from blindai.server.observability.record import (
    EVIDENCE,
    KEYS,
    OTHER,
    UNOPENED,
    Record,
    recorded,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from blindai.server.asgi import App, Message, Receive, Scope, Send

    Sink = Callable[[Record], None]

_ROUTES = {
    ("POST", GATEWAY_PATH): UNOPENED,
    ("GET", GATEWAY_PATH): KEYS,
    ("GET", ATTESTATION_PATH): EVIDENCE,
}


class Recording:
    """Measures each request from outside; what is inside notes the rest."""

    def __init__(self, app: App, sinks: Sequence[Sink]) -> None:
        """Stand before the gateway.

        Args:
            app: The gateway.
            sinks: What takes records of requests that have ended.
        """
        self._app = app
        self._sinks = tuple(sinks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = _ROUTES.get((scope["method"], scope["path"]), OTHER)
        started_at = time.monotonic()
        with recorded(Record(route)) as record:
            try:
                await self._app(scope, _counted(receive, record), _noted(send, record))
            finally:
                record.seconds = time.monotonic() - started_at
                for sink in self._sinks:
                    sink(record)


def _counted(receive: Receive, record: Record) -> Receive:
    async def counted() -> Message:
        message = await receive()
        record.bytes_in += len(message.get("body", b""))
        return message

    return counted


def _noted(send: Send, record: Record) -> Send:
    async def noted(message: Message) -> None:
        record.outer_status = message.get("status", record.outer_status)
        record.bytes_out += len(message.get("body", b""))
        await send(message)

    return noted
