"""The least that a model in another process can cost: bare sockets, and one thread.

The same tensor goes to a process that reads it, hands it to a worker thread, runs the
model there, and answers: no HTTP, no JSON, no key of anybody's. What this adds to ONNX
Runtime in the measuring process is the machine's own: copies through the socket, and
waking threads that slept while the model ran.

Sealed, both ends do what the protocol's sealing takes and nothing else: one X-Wing key
a request, which the asking end makes ahead, and chunks of AES-256-GCM there and back. A
server that seals cannot cost less here, whatever it does around that.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime

from blindai.protocol import kem, ohttp, ohttp_chunked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from blindai.protocol.buffers import Bytes
    from blindai.protocol.chunk_writers import WholeWriter

    Array = np.ndarray[Any, Any]
    Ask = Callable[[], Bytes]
    Exchange = Callable[[WholeWriter, Callable[[], None]], Iterable[Bytes]]

KEY: Final = ohttp.GatewayKey(
    1, kem.XWingPrivateKey.from_seed(b"benchmark" + bytes(23))
)
"""What requests are sealed to, at both ends."""
_LENGTH: Final = struct.Struct("<Q")


def session(content: bytes, threads: int) -> onnxruntime.InferenceSession:
    """ONNX Runtime as the server has it: threads that wait do not spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options)


@contextmanager
def bare(content: bytes, array: Array, threads: int, *, sealed: bool) -> Iterator[Ask]:
    """A process with a model; gives what sends it the input `x` for its first output.

    Args:
        content: The model.
        array: What is sent.
        threads: Of ONNX Runtime.
        sealed: Whether both ends seal.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        told = {
            "model": str(Path(folder, "model.onnx")),
            "port": listener.getsockname()[1],
            "threads": threads,
            "dtype": array.dtype.name,
            "shape": array.shape,
            "sealed": sealed,
        }
        Path(told["model"]).write_bytes(content)
        command = [sys.executable, "-m", "benchmarks.floor", json.dumps(told)]
        with subprocess.Popen(command):  # noqa: S603  our own module
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                given = np.ascontiguousarray(array).reshape(-1).data.cast("B")
                yield (_sealed if sealed else _plain)(connection, given)


def _plain(connection: socket.socket, given: memoryview) -> Ask:
    def ask() -> Bytes:
        _send(connection, len(given), [given])
        return _receive(connection)

    return ask


def _sealed(connection: socket.socket, given: memoryview) -> Ask:
    def exchange(message: WholeWriter, sent: Callable[[], None]) -> Iterable[Bytes]:
        _send(connection, message.size_bytes, message.seal())
        sent()
        yield _receive(connection)

    ask = asking(exchange)
    return lambda: b"".join(ask([given]))


def asking(exchange: Exchange) -> Callable[[list[Bytes]], list[Bytes]]:
    """What takes a message in pieces, and gives the answer's: all that sealing takes.

    Args:
        exchange: Sends a sealed message, says so, and gives the sealed answer.
    """
    ahead: list[ohttp_chunked.RequestSealer] = []

    def prepare() -> None:
        ahead.append(ohttp_chunked.RequestSealer(KEY.config))

    def ask(message: list[Bytes]) -> list[Bytes]:
        sealer = ahead.pop()
        opener = ohttp_chunked.ResponseOpener(sealer.encapsulation)
        opened: list[Bytes] = []
        for piece in exchange(sealer.whole(message), prepare):
            opened += opener.feed(piece)
        return [*opened, opener.finish()]

    prepare()
    return ask


def _send(connection: socket.socket, size: int, pieces: Iterable[Bytes]) -> None:
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


def _serve(told: dict[str, Any]) -> None:
    model = session(Path(told["model"]).read_bytes(), told["threads"])
    done = os.eventfd(0)

    def run(opened: Bytes) -> memoryview:
        array = np.frombuffer(opened, told["dtype"]).reshape(told["shape"])
        output = np.ascontiguousarray(model.run(None, {"x": array})[0])
        os.eventfd_write(done, 1)  # as an event loop is woken
        return output.reshape(-1).data.cast("B")

    def answer(opened: Bytes) -> memoryview:
        running = worker.submit(run, opened)
        os.eventfd_read(done)
        return running.result()

    with (
        ThreadPoolExecutor(1) as worker,
        socket.create_connection(("127.0.0.1", told["port"])) as connection,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while message := _receive(connection):
            if not told["sealed"]:
                output = answer(message)
                _send(connection, len(output), [output])
                continue
            opener = ohttp_chunked.RequestOpener({KEY.key_id: KEY})
            pieces = opener.feed(message)
            output = answer(b"".join((*pieces, opener.finish())))
            sealer = ohttp_chunked.ResponseSealer(opener.encapsulation, os.urandom(32))
            reply = sealer.whole([output], 1 << 20)
            _send(connection, reply.size_bytes, reply.seal())


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
