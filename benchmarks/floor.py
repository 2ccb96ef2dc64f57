"""The least that a model in another process can cost: bare sockets, and one thread.

The same tensor goes to a process that reads it, hands it to a worker thread, runs the
model there, and answers: no HTTP, no JSON, no encryption. What this adds to ONNX
Runtime in the measuring process is the machine's own: copies through the socket, and
waking threads that slept while the model ran.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from benchmarks import models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_INPUT_BYTES = 4 * int(np.prod(models.IMAGE))
_OUTPUT_BYTES = 4 * 1000


def session(content: bytes, threads: int) -> onnxruntime.InferenceSession:
    """ONNX Runtime as the server has it: threads that wait do not spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options)


@contextmanager
def bare(threads: int) -> Iterator[Callable[[NDArray[np.float32]], None]]:
    """A process with ResNet-18; gives what sends it an image and reads the answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-m", "benchmarks.floor", str(threads), port]
        with subprocess.Popen(command):  # noqa: S603  our own module
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                answer = memoryview(bytearray(_OUTPUT_BYTES))

                def ask(image: NDArray[np.float32]) -> None:
                    connection.sendall(image.data.cast("B"))
                    _read(connection, answer)

                yield ask


def _read(connection: socket.socket, into: memoryview) -> bool:
    """Fill a buffer; whether the connection lasted."""
    while into:
        size = connection.recv_into(into)
        if not size:
            return False
        into = into[size:]
    return True


def _serve(threads: int, port: int) -> None:
    model = session(models.resnet18(), threads)
    tensor = np.empty(models.IMAGE, np.float32)
    done = os.eventfd(0)

    def run() -> NDArray[np.float32]:
        output: NDArray[np.float32] = model.run(None, {"x": tensor})[0]
        os.eventfd_write(done, 1)  # as an event loop is woken
        return output

    with (
        ThreadPoolExecutor(1) as worker,
        socket.create_connection(("127.0.0.1", port)) as connection,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while _read(connection, tensor.data.cast("B")):
            running = worker.submit(run)
            os.eventfd_read(done)
            connection.sendall(running.result().data.cast("B"))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
