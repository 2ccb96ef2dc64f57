"""A short way for sealed bytes: HTTP/1.1 on sockets of our own, without a proxy.

What `httpx.HTTPTransport` does as well, in a tenth of the code that runs for each
request: that code is out of the processor's caches after every inference, and reading
it back costs more than sealing (docs/adr/0007). Errors are httpx's.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import httpx

from blindai.client import http1
from blindai.client.streams import as_sync
from blindai.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from blindai.client.http1 import Head

_READ_BYTES: Final = 65536
_MAX_IDLE: Final = 20  # connections that are kept, as httpx keeps them
_BATCH_BYTES: Final = 1 << 20
_NO_TIMEOUTS: Final = httpx.Timeout(None).as_dict()


class DirectWire(httpx.BaseTransport):
    """Connections to one address, over TCP or TLS. Safe in threads and after a fork."""

    def __init__(self, url: httpx.URL) -> None:
        """Nothing is connected yet.

        Args:
            url: Scheme, host and port.
        """
        self._tls = httpx.create_ssl_context() if url.scheme == "https" else None
        self._address = (url.host, url.port or (443 if self._tls else 80))
        self._idle: list[_Connection] = []
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the head of its answer."""
        timeouts = request.extensions.get("timeout") or _NO_TIMEOUTS
        body: _AnswerBody | None = None
        connection = self._connection(timeouts)
        try:
            connection.send(request)
            head, rest = connection.read_head()
            body = _AnswerBody(self, connection, head, rest)
        finally:
            if body is None:
                connection.close()
        return httpx.Response(head.status, headers=list(head.fields), stream=body)

    def close(self) -> None:
        """Close the connections: those in use when their answers are read."""
        self._closed = True
        while (connection := self._take_idle()) is not None:
            connection.close()

    def give_back(self, connection: _Connection) -> None:
        """Keep a connection for the next request."""
        if len(self._idle) < _MAX_IDLE and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    def _connection(self, timeouts: Mapping[str, float | None]) -> _Connection:
        while (connection := self._take_idle()) is not None:
            if connection.usable():
                connection.timeouts = timeouts
                return connection
            connection.close()  # it stays open in the process that made it
        return _Connection(self._connect(timeouts.get("connect")), timeouts)

    def _connect(self, timeout_s: float | None) -> socket.socket:
        try:
            with ExitStack() as unless_connected:
                sock = socket.create_connection(self._address, timeout_s)
                unless_connected.enter_context(sock)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is not None:
                    host = self._address[0]
                    sock = self._tls.wrap_socket(sock, server_hostname=host)
                unless_connected.pop_all()
                return sock
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error

    def _take_idle(self) -> _Connection | None:
        try:
            return self._idle.pop()
        except IndexError:  # also where another thread was quicker
            return None


class _Connection:
    """One connection, with one request on it at a time.

    Attributes:
        timeouts: Of the request.
        sent: Whether all of the request has left.
    """

    def __init__(
        self, sock: socket.socket, timeouts: Mapping[str, float | None]
    ) -> None:
        self._sock = sock
        self._process = os.getpid()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self.timeouts = timeouts
        self.sent = False

    def usable(self) -> bool:
        """Whether the server has not closed it, nor said what nobody asked for.

        After a fork it is the other process's: either would take the other's answers.
        """
        return self._process == os.getpid() and not self._poll.poll(0)

    def send(self, request: httpx.Request) -> None:
        """Send a request; a server may answer before it has read all of it.

        Raises:
            httpx.WriteTimeout: If it takes in too little for too long.
        """
        fields = request.headers.raw
        named = {name.lower(): value for name, value in fields}
        pieces = as_sync(request.stream)
        if b"transfer-encoding" in named:
            batches = _as_chunks(pieces)
        else:
            batches = _batched(pieces, int(named.get(b"content-length", b"0")))
        self._use(self.timeouts.get("write"))
        self.sent = False
        try:
            head = [_head(request, fields)]  # leaves with the first of the body
            for batch in batches:
                self._send(head + batch)
                head = []
            self.sent = True
        except TimeoutError as error:
            raise httpx.WriteTimeout(str(error)) from error
        except OSError:  # perhaps it has refused, and says so
            pass

    def _send(self, pieces: list[bytes]) -> None:
        sent = 0
        if sum(map(len, pieces)) < _READ_BYTES:
            pieces = [b"".join(pieces)]
        elif not isinstance(self._sock, ssl.SSLSocket):
            sent = self._sock.sendmsg(pieces)  # in one call, and not copied here
        for piece in pieces:
            if sent < len(piece):
                self._sock.sendall(memoryview(piece)[sent:])
            sent = max(0, sent - len(piece))

    def read_head(self) -> tuple[Head, bytes]:
        """The head of the answer, and what came behind it.

        Once it has begun, all of it comes within the time to read. The interim ones
        before it are together as small as one head.

        Raises:
            httpx.RemoteProtocolError: If it is malformed, or does not come.
            httpx.ReadTimeout: If it takes too long.
        """
        limit_s = self.timeouts.get("read")
        received = self._read_more(limit_s)
        until = None if limit_s is None else time.monotonic() + limit_s
        interim = 0
        while True:
            try:
                found = http1.parse_head(received)
            except TransportError as error:
                raise httpx.RemoteProtocolError(error.message) from error
            if found is None:
                received += self._read_more(_left_s(until))
                continue
            head, end = found
            received = received[end:]
            if head.status >= 200:
                return head, received
            interim += end
            if interim > http1.MAX_HEAD_BYTES:
                raise httpx.RemoteProtocolError("answer: only interim ones came")

    def _read_more(self, timeout_s: float | None) -> bytes:
        """Some bytes.

        Raises:
            httpx.RemoteProtocolError: If the connection has ended.
        """
        more = self.read(timeout_s)
        if not more:
            raise httpx.RemoteProtocolError(
                "answer: expected one, got a closed connection"
            )
        return more

    def read(self, timeout_s: float | None) -> bytes:
        """Some bytes; none where the connection has ended.

        Raises:
            httpx.ReadTimeout: If none come for too long.
            httpx.ReadError: If the network fails.
        """
        self._use(timeout_s)
        try:
            return self._sock.recv(_READ_BYTES)
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ReadError(str(error)) from error

    def close(self) -> None:
        """End the connection."""
        self._sock.close()

    def _use(self, timeout_s: float | None) -> None:
        if self._sock.gettimeout() != timeout_s:  # setting it is a call of the system
            self._sock.settimeout(timeout_s)


class _AnswerBody(httpx.SyncByteStream):
    """Reads the body of an answer, then gives the connection back."""

    def __init__(
        self, wire: DirectWire, connection: _Connection, head: Head, rest: bytes
    ) -> None:
        self._wire = wire
        self._connection: _Connection | None = connection
        self._body = http1.Body(head)
        self._keeps = head.keeps
        self._rest = rest
        self._timeout_s = connection.timeouts.get("read")

    def __iter__(self) -> Iterator[bytes]:
        """The body, as it arrives.

        Raises:
            httpx.RemoteProtocolError: If it is malformed, or cut short.
        """
        received, self._rest = self._rest, b""
        try:
            if received:
                yield from self._body.feed(received)
            while self._connection is not None and not self._body.complete:
                received = self._connection.read(self._timeout_s)
                if received:
                    yield from self._body.feed(received)
                else:
                    self._body.end()
        except TransportError as error:
            raise httpx.RemoteProtocolError(error.message) from error

    def close(self) -> None:
        """Give the connection back, if all of the body was read; or close it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        over = self._body.complete and not self._rest
        if over and self._keeps and connection.sent:
            self._wire.give_back(connection)
        else:
            connection.close()


def _left_s(until: float | None) -> float | None:
    """Seconds that are left until a time of `time.monotonic`.

    Raises:
        httpx.ReadTimeout: If there are none.
    """
    left_s = None if until is None else until - time.monotonic()
    if left_s is not None and left_s <= 0:
        raise httpx.ReadTimeout("answer: expected all of its head in time")
    return left_s


def _head(request: httpx.Request, fields: list[tuple[bytes, bytes]]) -> bytes:
    lines = [b"%b: %b\r\n" % field for field in fields]
    start = (request.method.encode(), request.url.raw_path, b"".join(lines))
    return b"%b %b HTTP/1.1\r\n%b\r\n" % start


def _as_chunks(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """A body that is made as it is sent: each piece leaves at once."""
    for piece in pieces:
        if piece:
            yield [b"%x\r\n" % len(piece), piece, b"\r\n"]
    yield [b"0\r\n\r\n"]


def _batched(pieces: Iterable[bytes], length: int) -> Iterator[list[bytes]]:
    """A body that is there: a server that wakes for some of it finds much of it.

    All of it has left before it is read to its end: what its maker does then does not
    keep the server waiting.
    """
    batch: list[bytes] = []
    size, left = 0, length
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        left -= len(piece)
        if size >= _BATCH_BYTES or not left:
            yield batch
            batch, size = [], 0
    if batch or not length:
        yield batch
