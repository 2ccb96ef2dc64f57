"""A server in the foreground: says when it is ready, ends on Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING

from blindai.cli.signals import interruptible
from blindai.errors import BlindAIError, ConfigurationError
from blindai.server import process
from blindai.server.observability import logs
from blindai.server.serve import bind, build_server

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from blindai.server.asgi import App, Message, Receive, Scope, Send
    from blindai.server.draining import DrainingServer
    from blindai.server.serve import Listen


def run(
    app: App,
    listen: Listen,
    announce: Callable[[str], None],
    *,
    drain: Callable[[], None] = lambda: None,
    log_format: logs.LogFormat = logs.LogFormat.TEXT,
) -> None:
    """Serve until SIGINT or SIGTERM; then requests that run end, for `listen.drain_s`.

    Args:
        app: What to serve.
        listen: Where.
        announce: Called with the address once the application has started.
        drain: Called at the first signal.
        log_format: How lines in the log look.

    Raises:
        ConfigurationError: If the address or the TLS files cannot be used.
        BlindAIError: If the application does not start.
    """
    with bind(listen) as sock:
        url = address(sock, listen)
        failures: list[BlindAIError] = []
        announced = _announced(app, lambda: announce(url), failures)
        server = build_server(announced, listen, drain)
        load(server)
        logs.set_up(log_format)  # after uvicorn's own way
        process.keep_heap()
        process.allow_descriptors()
        # Ctrl-C; or uvicorn's way to say that the application did not start
        with (
            contextlib.suppress(KeyboardInterrupt, SystemExit),
            interruptible(),
        ):
            server.run([sock])
        if failures:
            raise failures[0]
        if not server.started:
            raise BlindAIError("server: expected to start, and stopped")


def load(server: DrainingServer) -> None:
    """Have a server read what it needs: the TLS files.

    Raises:
        ConfigurationError: If they cannot be used.
    """
    try:
        server.config.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            "outer TLS: expected a certificate and its key, got others"
        ) from error


def _announced(
    app: App, announce: Callable[[], None], failures: list[BlindAIError]
) -> App:
    """The application, which also says when it has started, or why it did not."""

    async def announced(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return

        async def send_and_announce(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                announce()

        try:
            await app(scope, receive, send_and_announce)
        except BlindAIError as error:
            failures.append(error)
            raise

    return announced


def address(sock: socket.socket, listen: Listen) -> str:
    """Where a bound socket is reached."""
    scheme = "http" if listen.tls_certificate is None else "https"
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"{scheme}://{host}:{sock.getsockname()[1]}"
