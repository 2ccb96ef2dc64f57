"""A TCP relay that writes everything down: the operator's place in the demo.

It stands between client and enclave and sees every byte of both directions, as whoever
runs the machine does.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_READ_BYTES = 1 << 18
_CONNECT_TIMEOUT_S = 10.0
_REQUEST_LINE = re.compile(rb"([A-Z]{3,7}) (/[!-~]{0,200}) HTTP/1\.1\r\n")


@dataclass(slots=True)
class Capture:
    """All bytes that crossed the relay, a buffer a connection and direction.

    Attributes:
        sent: From the client to the enclave.
        received: From the enclave to the client.
    """

    sent: list[bytearray] = field(default_factory=list, repr=False)
    received: list[bytearray] = field(default_factory=list, repr=False)

    @property
    def sent_bytes(self) -> int:
        """How many bytes went to the enclave."""
        return sum(map(len, self.sent))

    @property
    def received_bytes(self) -> int:
        """How many bytes came back."""
        return sum(map(len, self.received))

    def count(self, needle: bytes) -> int:
        """How often `needle` stands in the capture."""
        return sum(each.count(needle) for each in (*self.sent, *self.received))

    def requests(self) -> Counter[str]:
        """The requests of the outer HTTP, without queries, and how many of each."""
        return Counter(
            f"{method.decode()} {path.partition(b'?')[0].decode()}"
            for each in self.sent
            for method, path in _REQUEST_LINE.findall(each)
        )

    def glimpse(self, size: int) -> bytes:
        """Bytes of the last request that was sent, shortly before its end."""
        end = -2 * size  # clear of the outer HTTP's own last bytes
        return bytes(self.sent[-1][end - size : end]) if self.sent else b""


class Relay:
    """Listens on a local port and passes everything on. A context manager.

    Args:
        host: Where the enclave listens.
        port: Where the enclave listens.

    Attributes:
        capture: What crossed so far.
        url: Where the relay listens.
    """

    def __init__(self, host: str, port: int) -> None:
        self.capture = Capture()
        self._server = _Server((host, port), self.capture)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}
        )

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cut all connections, and wait for the threads."""
        self._server.shutdown()
        self._server.cut()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingTCPServer):
    daemon_threads = False  # `server_close` waits for them

    def __init__(self, upstream: tuple[str, int], capture: Capture) -> None:
        super().__init__(("127.0.0.1", 0), _Pump)
        self.upstream = upstream
        self.capture = capture
        self._open: set[socket.socket] = set()
        self._ended = False
        self._lock = threading.Lock()

    def open(self, *sockets: socket.socket) -> tuple[bytearray, bytearray]:
        """Know the sockets of a new connection; gives the buffers to write to.

        Raises:
            ConnectionAbortedError: If all connections were ended already.
        """
        with self._lock:
            if self._ended:
                raise ConnectionAbortedError
            self._open.update(sockets)
            buffers = bytearray(), bytearray()
            self.capture.sent.append(buffers[0])
            self.capture.received.append(buffers[1])
            return buffers

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            self._ended = True
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


class _Pump(BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Pass bytes on in both directions until either side ends."""
        address, client = self.server.upstream, self.request
        with (
            contextlib.suppress(OSError),
            socket.create_connection(address, _CONNECT_TIMEOUT_S) as enclave,
        ):
            enclave.settimeout(None)
            sent, received = self.server.open(client, enclave)
            ways = {client: (enclave, sent), enclave: (client, received)}
            while True:
                for source in select.select(list(ways), [], [])[0]:
                    data = source.recv(_READ_BYTES)
                    if not data:
                        return
                    target, buffer = ways[source]
                    buffer += data
                    target.sendall(data)
