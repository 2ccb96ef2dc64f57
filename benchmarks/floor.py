"""The least that a model in another process can cost: bare sockets, and one thread.

The same tensor goes to a process that reads it, hands it to a worker thread, runs the
model there, and answers: no HTTP, no JSON, no key of anybody's. What this adds to ONNX
Runtime in the measuring process is the machine's own: copies through the socket, and
waking threads that slept while the model ran.

Sealed, both ends do what the protocol's sealing takes and nothing else: one X-Wing key
a request, which the asking end makes ahead, one chunk of AES-256-GCM there and one
back. A server that seals cannot cost less here, whatever it is written in around that.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np
import onnxruntime

from benchmarks import models
from blindai.protocol import kem, ohttp, ohttp_chunked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from blindai.protocol.buffers import Bytes

MODELS: Final = {
    "image": lambda: models.reduction(models.IMAGE),
    "resnet18": models.resnet18,
}
_KEY: Final = ohttp.GatewayKey(
    1, kem.XWingPrivateKey.from_seed(b"benchmark" + bytes(23))
)
_LENGTH: Final = struct.Struct("<Q")


def session(content: bytes, threads: int) -> onnxruntime.InferenceSession:
    """ONNX Runtime as the server has it: threads that wait do not spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options)


@contextmanager
def bare(
    model: str, threads: int, *, sealed: bool
) -> Iterator[Callable[[NDArray[np.float32]], NDArray[np.float32]]]:
    """A process with one of `MODELS`; gives what sends it an image for the answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-m", "benchmarks.floor", model, str(threads), port]
        with subprocess.Popen([*command, *(["sealed"] if sealed else [])]):  # noqa: S603  our own module
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield _sealed_asker(connection) if sealed else _asker(connection)


def _asker(
    connection: socket.socket,
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    def ask(image: NDArray[np.float32]) -> NDArray[np.float32]:
        _send(connection, image.nbytes, [image.data.cast("B")])
        return np.frombuffer(_receive(connection), np.float32)

    return ask


def _sealed_asker(
    connection: socket.socket,
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    ahead = [ohttp_chunked.RequestSealer(_KEY.config)]

    def ask(image: NDArray[np.float32]) -> NDArray[np.float32]:
        sealer = ahead.pop()
        message = sealer.whole([image.data.cast("B")])
        _send(connection, message.size_bytes, message.seal())
        ahead.append(ohttp_chunked.RequestSealer(_KEY.config))
        opener = ohttp_chunked.ResponseOpener(sealer.encapsulation)
        opener.feed(_receive(connection))
        return np.frombuffer(opener.finish(), np.float32)

    return ask


def _send(
    connection: socket.socket, size: int, pieces: Iterator[bytes] | list[memoryview]
) -> None:
    connection.sendall(_LENGTH.pack(size))
    for piece in pieces:
        connection.sendall(piece)


def _receive(connection: socket.socket) -> memoryview:
    """A message; an empty one where the connection has ended."""
    head = memoryview(bytearray(_LENGTH.size))
    if not _read(connection, head):
        return head[:0]
    message = np.empty(_LENGTH.unpack(head)[0], np.uint8).data
    _read(connection, message)
    return message


def _read(connection: socket.socket, into: memoryview) -> bool:
    """Fill a buffer; whether the connection lasted."""
    while into:
        size = connection.recv_into(into)
        if not size:
            return False
        into = into[size:]
    return True


def _serve(name: str, threads: int, port: int, *, sealed: bool) -> None:
    model = session(MODELS[name](), threads)
    done = os.eventfd(0)

    def run(tensor: Bytes) -> memoryview:
        image = np.frombuffer(tensor, np.float32).reshape(models.IMAGE)
        output = np.ascontiguousarray(model.run(None, {"x": image})[0])
        os.eventfd_write(done, 1)  # as an event loop is woken
        return output.reshape(-1).data.cast("B")

    with (
        ThreadPoolExecutor(1) as worker,
        socket.create_connection(("127.0.0.1", port)) as connection,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while message := _receive(connection):
            opener = ohttp_chunked.RequestOpener({_KEY.key_id: _KEY})
            opened: Bytes = message
            if sealed:
                opener.feed(message)
                opened = opener.finish()
            running = worker.submit(run, opened)
            os.eventfd_read(done)
            answer = running.result()
            if not sealed:
                _send(connection, len(answer), [answer])
                continue
            sealer = ohttp_chunked.ResponseSealer(opener.encapsulation, os.urandom(32))
            reply = sealer.whole([answer], len(answer))
            _send(connection, reply.size_bytes, reply.seal())


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sealed=len(sys.argv) > 4)
