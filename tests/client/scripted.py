"""Servers that answer by a script, for what a real one would not do."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable

import httpx

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
LARGE = 8 << 20
Script = Callable[[socket.socket], None]


class Server:
    """Answers connections by scripts, one after another."""

    def __init__(self, scripts: tuple[Script, ...], tls: ssl.SSLContext | None) -> None:
        self._scripts = scripts
        self._done = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        if tls is not None:
            self._listener = tls.wrap_socket(self._listener, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = httpx.URL(
            f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/path"
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for script in self._scripts:
            try:
                connection, _ = self._listener.accept()
            except (ssl.SSLError, TimeoutError):  # nobody, or nobody who trusts us
                continue
            connection.settimeout(10)
            with connection:
                script(connection)
            self._done.release()

    def wait(self) -> None:
        """Wait until a connection is over."""
        assert self._done.acquire(timeout=10)

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


Serve = Callable[..., Server]


def answers(*pieces: bytes, requests: int = 1) -> Script:
    """Read a request of a known end, and answer it in pieces; then close."""

    def script(connection: socket.socket) -> None:
        for _ in range(requests):
            read_request(connection)
            for piece in pieces:
                connection.sendall(piece)

    return script


def read_request(connection: socket.socket) -> bytes:
    """All of one request."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length: "):
            while len(body) < int(line.removeprefix(b"content-length: ")):
                body += connection.recv(1 << 20)
        if line == b"transfer-encoding: chunked":
            while not body.endswith(b"0\r\n\r\n"):
                body += connection.recv(1 << 20)
    return head + b"\r\n\r\n" + body
