"""One call of the application inside: plain ASGI to it, sealed to the world."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from blindai.errors import (
    BlindAIError,
    InvalidRequestError,
    OverloadedError,
    StaleRequestError,
)
from blindai.protocol import bhttp, problems
from blindai.server.inbound import ClientGoneError
from blindai.server.observability.record import OTHER, current, route_of
from blindai.server.replay import http_date

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.server.asgi import App, Message, Receive, Scope
    from blindai.server.inbound import Inbound
    from blindai.server.outbound import Outbound

_log = logging.getLogger("blindai.gateway")
_DISCONNECT: Message = {"type": "http.disconnect"}


class Call:
    """Runs the application for one opened request.

    A request that stops opening half-way looks to the application like a client that
    went away, so nothing incomplete is ever taken for complete; the client gets a
    sealed problem that says what was wrong.

    Attributes:
        request_id: Names the request in answers and in the log.
    """

    def __init__(self, app: App, inbound: Inbound, outbound: Outbound) -> None:
        """Prepare a call.

        Args:
            app: The application inside.
            inbound: The rest of the request.
            outbound: Takes the answer.
        """
        self._record = current()
        self._record.route = OTHER
        self.request_id = self._record.request_id
        self._app = app
        self._inbound = inbound
        self._outbound = outbound
        self._failure: BlindAIError | None = None
        self._complete = False
        self._bodiless = False

    async def run(self, scope: Scope, receive: Receive) -> None:
        """Call the application, and answer for it where it does not.

        Args:
            scope: Of the request inside.
            receive: ASGI's, outside; says when the client goes away.
        """

        async def inner_receive() -> Message:
            return await (receive() if self._complete else self._receive())

        self._bodiless = scope["method"] == "HEAD"  # RFC 9110, section 9.3.2
        try:
            await self._app(scope, inner_receive, self._send)
        except asyncio.CancelledError:  # by a server that ends, and waits no longer
            self._failure = self._failure or OverloadedError(
                "server: expected it open, got it closing"
            )
        except Exception as error:  # noqa: BLE001  the outermost edge
            _log.error("request %s: %s", self.request_id, _where(error))
        self._record.route = route_of(scope)
        if self._outbound.abandoned:
            _log.info("request %s: its client reads no further", self.request_id)
        if self._outbound.started or isinstance(self._failure, ClientGoneError):
            return  # an answer cut short stays unsealed, so the client sees it
        unanswered = RuntimeError("the application did not answer")
        await self.refuse(self._failure or unanswered, None)

    async def refuse(self, error: BaseException, now: datetime | None) -> None:
        """Answer with a sealed problem.

        Args:
            error: What was wrong.
            now: The enclave's clock, for a client whose date was refused.
        """
        problem = problems.encode(error, self.request_id)
        self._record.problem = problem.kind
        self._record.inner_status = problem.status
        fields = [(b"content-type", problems.MEDIA_TYPE.encode())]
        if isinstance(error, StaleRequestError) and now is not None:
            fields.append((b"date", http_date(now).encode()))
        head = bhttp.ResponseHead(problem.status, tuple(fields))
        await self._outbound.respond(head, problem.content)

    async def _receive(self) -> Message:
        if self._failure is not None:
            return _DISCONNECT  # what still arrives was never opened
        try:
            data = await self._inbound.content()
        except BlindAIError as error:
            self._failure = error
            return _DISCONNECT
        self._complete = data is None or self._inbound.complete
        body = b"" if data is None else bytes(data)
        return {"type": "http.request", "body": body, "more_body": not self._complete}

    async def _send(self, message: Message) -> None:
        self._record.inner_status = message.get("status", self._record.inner_status)
        if self._bodiless and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        if self._failure is None or self._outbound.started:
            await self._outbound.asgi_send(message)


def inner_scope(scope: Scope, head: bhttp.RequestHead, request_id: str) -> Scope:
    """The ASGI scope of the request inside.

    Raises:
        InvalidRequestError: If the path is not one of HTTP's.
    """
    raw_path, _, query = head.path.partition(b"?")
    try:
        path = unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestError("path: expected UTF-8") from error
    headers = [field for field in head.fields if field[0] != b"host"]
    host = head.authority or dict(reversed(head.fields)).get(b"host", b"")
    inner: Scope = {
        "type": "http",
        "asgi": scope["asgi"],
        "http_version": "1.1",
        "method": head.method.decode("ascii"),
        "scheme": "https",
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", host), *headers],
        "client": None,
        "server": None,
        "extensions": {"blindai": {"request_id": request_id}},
    }
    if "state" in scope:
        inner["state"] = scope["state"].copy()
    return inner


def _where(error: BaseException) -> str:
    """An error without its message, which could quote what a user sent."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
    return f"{type(error).__name__} at {place}"
