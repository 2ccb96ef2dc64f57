"""A server in the foreground: says when it is ready, logs plainly, ends on Ctrl-C."""

from __future__ import annotations

import contextlib
import logging
import ssl
from typing import TYPE_CHECKING

from blindai.cli.console import printable
from blindai.cli.signals import interruptible
from blindai.errors import BlindAIError, ConfigurationError
from blindai.server.serve import bind, build_server, keep_heap

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from blindai.server.asgi import App, Message, Receive, Scope, Send
    from blindai.server.serve import Listen

LOGGERS = ("blindai", "uvicorn", "uvicorn.error", "uvicorn.asgi")


def run(app: App, listen: Listen, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        app: What to serve.
        listen: Where.
        announce: Called with the address once the application has started.

    Raises:
        ConfigurationError: If the address or the TLS files cannot be used.
        BlindAIError: If the application does not start.
    """
    with bind(listen) as sock:
        url = _url(sock, listen)
        server = build_server(_announced(app, lambda: announce(url)), listen)
        try:
            server.config.load()  # reads the TLS files
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                "outer TLS: expected a certificate and its key, got others"
            ) from error
        _log_plainly()
        keep_heap()
        # Ctrl-C; or uvicorn's way to say that the application did not start
        with (
            contextlib.suppress(KeyboardInterrupt, SystemExit),
            interruptible(),
        ):
            server.run([sock])
        if not server.started:
            raise BlindAIError("server: expected to start, and stopped")


class PlainFormatter(logging.Formatter):
    """Time, level and message on one plain line; of an exception, its class only."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        kind = record.exc_info[0] if record.exc_info else None
        line = logging.makeLogRecord({**record.__dict__, "exc_info": None})
        text = printable(super().format(line).partition("\n")[0])
        return text if kind is None else f"{text} ({kind.__name__})"


def _announced(app: App, announce: Callable[[], None]) -> App:
    """The application, which also says when it has started."""

    async def announced(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return

        async def send_and_announce(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                announce()

        await app(scope, receive, send_and_announce)

    return announced


def _log_plainly() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter())
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False


def _url(sock: socket.socket, listen: Listen) -> str:
    scheme = "http" if listen.tls_certificate is None else "https"
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"{scheme}://{host}:{sock.getsockname()[1]}"
