"""The least that HTTP and a process of the model's own cost, beside the sealing.

blindai's HTTP server and its client's connection, the protocol's sealing, and a process
that runs the model (`peers.isolated`). Nothing else: no HTTP inside the seal, no JSON,
no key of anybody's, no replay cache, no queue, no sandbox, no check of what the model's
process says. What comes back is zeros, as many as the model gives.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import uvloop

from benchmarks.floor import KEY, asking
from benchmarks.peers.isolated import Processes
from blindai.client.direct import DirectWire
from blindai.client.streams import as_sync
from blindai.protocol import ohttp_chunked
from blindai.server.process import keep_heap
from blindai.server.serve import Listen, bind, build_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.floor import Array, Ask
    from blindai.protocol.buffers import Bytes
    from blindai.protocol.chunk_writers import WholeWriter
    from blindai.server.asgi import Receive, Scope, Send

_PIECE_BYTES = 1 << 20  # of an answer, sealed at a time


@dataclass(frozen=True, slots=True)
class _Told:
    """What the serving process is told.

    Attributes:
        model: File of the model.
        dtype: Of its input.
        shape: Of its input.
        threads: Of ONNX Runtime.
        answer_bytes: How much it gives.
    """

    model: str
    dtype: str
    shape: tuple[int, ...]
    threads: int
    answer_bytes: int

    def content(self) -> bytes:
        """The model."""
        return Path(self.model).read_bytes()

    def array(self) -> Array:
        """An input."""
        return np.ones(self.shape, self.dtype)


class _Sending(httpx.SyncByteStream):
    def __init__(self, message: WholeWriter, sent: Callable[[], None]) -> None:
        self._message = message
        self._sent = sent

    def __iter__(self) -> Iterator[bytes]:
        yield from self._message.seal()
        self._sent()


@contextmanager
def served(
    content: bytes, array: Array, threads: int, answer_bytes: int
) -> Iterator[Ask]:
    """A server with a model; gives what sends it the input `x`.

    Args:
        content: The model.
        array: What is sent.
        threads: Of ONNX Runtime.
        answer_bytes: How much comes back.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.onnx")
        model.write_bytes(content)
        shape = array.shape
        told = _Told(str(model), array.dtype.name, shape, threads, answer_bytes)
        words = json.dumps(dataclasses.asdict(told))
        command = [sys.executable, "-m", "benchmarks.http_floor", words]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603  our own module
            try:
                port = int(process.stdout.readline()) if process.stdout else 0
                url = httpx.URL(f"http://127.0.0.1:{port}/")
                with DirectWire(url) as wire:
                    given = np.ascontiguousarray(array).reshape(-1).data.cast("B")
                    yield asking(given, _exchange(wire, url))
            finally:
                process.terminate()


def _exchange(
    wire: DirectWire, url: httpx.URL
) -> Callable[[WholeWriter, Callable[[], None]], Iterable[Bytes]]:
    def exchange(message: WholeWriter, sent: Callable[[], None]) -> Iterable[Bytes]:
        request = httpx.Request(
            "POST",
            url,
            headers={
                "content-type": ohttp_chunked.REQUEST_TYPE,
                "content-length": str(message.size_bytes),
            },
            stream=_Sending(message, sent),
        )
        response = wire.handle_request(request)
        yield from as_sync(response.stream)
        response.close()

    return exchange


class _Least:
    """ASGI: opens a request, has the model run, seals an answer."""

    def __init__(self, told: _Told) -> None:
        self._processes = Processes(told, 1, told.threads)
        self._answer = bytes(told.answer_bytes)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        opener = ohttp_chunked.RequestOpener({KEY.key_id: KEY})
        pieces: list[bytes] = []
        more = True
        while more:
            message = await receive()
            pieces += opener.feed(message.get("body", b""))
            more = message.get("more_body", False)
        pieces.append(opener.finish())
        await self._processes.run(pieces)
        sealer = ohttp_chunked.ResponseSealer(opener.encapsulation, os.urandom(32))
        reply = sealer.whole([self._answer], _PIECE_BYTES)
        headers = [
            (b"content-type", ohttp_chunked.RESPONSE_TYPE.encode()),
            (b"content-length", str(reply.size_bytes).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        left = reply.size_bytes
        for piece in reply.seal():
            left -= len(piece)
            body = {"type": "http.response.body", "body": piece, "more_body": left > 0}
            await send(body)


def _serve(told: _Told) -> None:
    keep_heap()
    socket = bind(Listen(port=0))
    server = build_server(_Least(told), Listen())
    server.config.lifespan = "off"
    print(socket.getsockname()[1], flush=True)
    uvloop.run(server.serve(sockets=[socket]))


if __name__ == "__main__":
    _serve(_Told(**json.loads(sys.argv[1])))
