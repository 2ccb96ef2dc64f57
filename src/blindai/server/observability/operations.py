"""All that the operator is shown of one server, put together.

    operations = Operations(settings, choices, attester.tee)
    app = build_app(settings, attester, operations=operations)
    app = operations.around(app)

What nobody asked for is not there: without metrics, JSON lines or telemetry no request
leaves a record.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from blindai.inference.observer import Silent
from blindai.server.observability.listener import OperatorsApp, listening
from blindai.server.observability.logs import LogFormat, log_request
from blindai.server.observability.metrics import Metrics
from blindai.server.observability.readiness import Readiness
from blindai.server.observability.recording import Recording
from blindai.server.observability.telemetry import Telemetry
from blindai.server.observability.telemetry_sending import send as send_report

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from datetime import datetime

    from blindai.inference.observer import Observer
    from blindai.inference.service import InferenceService
    from blindai.server.asgi import App, Message, Receive, Scope, Send
    from blindai.server.enclave import Enclave
    from blindai.server.observability.recording import Sink
    from blindai.server.settings import TelemetrySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the operator wants to see; none of it is trusted.

    Attributes:
        listener: A bound socket for metrics and health; there are none if None.
        log_format: How lines in the log look.
    """

    listener: socket.socket | None = None
    log_format: LogFormat = LogFormat.TEXT


class Operations:
    """Readiness, metrics, lines about requests and telemetry of one server.

    Attributes:
        readiness: Whether requests should be sent here.
        observer: What the models' part tells of its work.
    """

    def __init__(
        self, shown: Shown, telemetry: TelemetrySettings | None, tee: str
    ) -> None:
        """Show what was asked for.

        Args:
            shown: What the operator wants to see.
            telemetry: Whom to tell what was counted; nobody if None.
            tee: Media type of the evidence.
        """
        self._shown = shown
        self._telling = telemetry
        self._metrics = None if shown.listener is None else Metrics()
        self._telemetry = Telemetry(tee)
        self.readiness = Readiness()
        self.observer: Observer = self._metrics or Silent()

    def watch(
        self,
        service: InferenceService,
        enclave: Enclave,
        clock: Callable[[], datetime],
    ) -> None:
        """Look at these.

        Args:
            service: Keeps and runs the models.
            enclave: Holds the keys and attests them.
            clock: The host's clock, aware, in UTC.
        """
        self.readiness.watch(enclave.evidence)
        if self._metrics is not None:
            self._metrics.watch(service, enclave, clock)

    def around(self, app: App) -> App:
        """The application with everything that was asked for."""
        sinks = self._sinks()
        inner = Recording(app, sinks) if sinks else app

        async def operated(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await self._live(inner, scope, receive, send)
            else:
                await inner(scope, receive, send)

        return operated

    def _sinks(self) -> list[Sink]:
        sinks: list[Sink] = []
        if self._metrics is not None:
            sinks.append(self._metrics.finished)
        if self._shown.log_format is LogFormat.JSON:
            sinks.append(log_request)
        if self._telling is not None:
            sinks.append(self._telemetry.finished)
        return sinks

    async def _live(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Run as long as the application does; the listener before and after it."""

        async def send_and_note(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self.readiness.start()
            await send(message)

        async with AsyncExitStack() as stack:
            if self._metrics is not None and self._shown.listener is not None:
                asked = OperatorsApp(self._metrics, self.readiness)
                await stack.enter_async_context(listening(asked, self._shown.listener))
            if self._telling is not None:
                sending = partial(send_report, self._telling.url)
                interval_s = self._telling.interval_s
                await stack.enter_async_context(
                    self._telemetry.telling(sending, interval_s)
                )
            await app(scope, receive, send_and_note)
