"""The cheapest HTTP client there can be: requests made beforehand, one kept connection.

What it saves is the peers' gain: blindai is asked through its own client library.
"""

from __future__ import annotations

import socket

_READ_BYTES = 65536
_TIMEOUT_S = 60


class StatusError(OSError):
    """The server answered, and not with 200."""


def request(port: int, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A POST as it goes over the wire; a GET, where there is no body."""
    fields = {"Host": f"127.0.0.1:{port}", **headers}
    if body:
        fields["Content-Length"] = str(len(body))
    method = "POST" if body else "GET"
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """A connection that is kept, and made again after an error."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, sent: bytes) -> bytes:
        """Send a request; give the body of the answer.

        Raises:
            StatusError: If the status is not 200.
            OSError: If the connection fails.
        """
        try:
            return self._ask(sent)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, sent: bytes) -> bytes:
        if self._socket is None:
            address = ("127.0.0.1", self._port)
            self._socket = socket.create_connection(address, _TIMEOUT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(sent)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._more()
        head, rest = received[:end].lower(), received[end + 4 :]
        status = head.split(b" ", 2)[1]
        if (at := head.find(b"\r\ncontent-length:")) >= 0:
            size = int(head[at + 17 :].split(b"\r\n", 1)[0])
            body = self._exactly(rest, size)
        else:
            body = self._chunked(rest)
        if status[:3] != b"200":
            raise StatusError(f"{status.decode()}: {body[:200]!r}")
        return body

    def _more(self) -> bytes:
        data = self._socket.recv(_READ_BYTES) if self._socket else b""
        if not data:
            raise ConnectionError("closed within an answer")
        return data

    def _exactly(self, rest: bytes, size: int) -> bytes:
        while len(rest) < size:
            rest += self._more()
        return rest

    def _chunked(self, rest: bytes) -> bytes:
        body = b""
        while True:
            while (end := rest.find(b"\r\n")) < 0:
                rest += self._more()
            size = int(rest[:end].split(b";")[0], 16)
            rest = self._exactly(rest[end + 2 :], size + 2)
            body, rest = body + rest[:size], rest[size + 2 :]
            if not size:
                return body


def get(port: int, path: str) -> bytes:
    """The answer to a GET on a connection of its own."""
    connection = Connection(port)
    try:
        return connection.ask(request(port, path, {}, b""))
    finally:
        connection.close()
