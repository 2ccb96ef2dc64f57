"""The least that the whole protocol costs, and a process of the model's own.

What the protocol prescribes is done on both ends, by blindai's own code for it: HTTP,
the sealing, Binary HTTP and Open Inference inside. A process runs the model
(`peers.isolated`). Nothing else is: no route, no key of anybody's, no quota, no replay
cache, no date, no digest, no queue, no sandbox, no check of what the model's process
says. What comes back is zeros, as many as the model gives.
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
from typing import TYPE_CHECKING, Final

import httpx
import numpy as np
import uvloop

from benchmarks.floor import KEY, asking
from benchmarks.peers.isolated import Processes
from blindai.client.direct import DirectWire
from blindai.client.streams import as_sync
from blindai.protocol import bhttp, ohttp_chunked, tensors
from blindai.protocol.bhttp_decoder import RequestDecoder, ResponseDecoder
from blindai.server.process import keep_heap
from blindai.server.serve import Listen, bind, build_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.floor import Array, Ask
    from blindai.protocol.buffers import Bytes
    from blindai.protocol.chunk_writers import WholeWriter
    from blindai.server.asgi import Receive, Scope, Send

_BINARY: Final = {"binary_data_output": True}
_JSON_BYTES: Final = tensors.HEADER_LENGTH.lower().encode()
_PIECE_BYTES: Final = 1 << 20  # of an answer, sealed at a time


@dataclass(frozen=True, slots=True)
class _Told:
    """What the serving process is told.

    Attributes:
        model: File of the model.
        dtype: Of its input.
        shape: Of its input.
        threads: Of ONNX Runtime.
        answers: How many numbers it gives.
    """

    model: str
    dtype: str
    shape: tuple[int, ...]
    threads: int
    answers: int

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
def served(content: bytes, array: Array, threads: int, answers: int) -> Iterator[Ask]:
    """A server with a model; gives what sends it the input `x`.

    Args:
        content: The model.
        array: What is sent.
        threads: Of ONNX Runtime.
        answers: How many numbers come back, of four bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.onnx")
        model.write_bytes(content)
        shape = array.shape
        told = _Told(str(model), array.dtype.name, shape, threads, answers)
        words = json.dumps(dataclasses.asdict(told))
        command = [sys.executable, "-m", "benchmarks.protocol_floor", words]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603  our own module
            try:
                port = int(process.stdout.readline()) if process.stdout else 0
                url = httpx.URL(f"http://127.0.0.1:{port}/")
                with DirectWire(url) as wire:
                    yield _asking(wire, url, array)
            finally:
                process.terminate()


def _asking(wire: DirectWire, url: httpx.URL, array: Array) -> Ask:
    exchange = asking(_exchange(wire, url))

    def ask() -> Bytes:
        given = tensors.Tensor.of("x", array)
        asked = tensors.InferRequest(inputs=(given,), parameters=_BINARY)
        body = tensors.encode_request(asked)
        head = bhttp.RequestHead(
            b"POST", b"https", b"localhost", b"/v2/models/m/infer", _fields(body)
        )
        start = bhttp.encode_whole_request_head(head, body.content_length)
        answer = _read(ResponseDecoder(), exchange([start, *body.buffers]))
        response = tensors.parse_response(b"".join(answer.content), answer.json_bytes)
        return response.outputs[0].array.data

    return ask


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
        self._answer = np.zeros(told.answers, np.float32)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        opener = ohttp_chunked.RequestOpener({KEY.key_id: KEY})
        pieces: list[Bytes] = []
        more = True
        while more:
            message = await receive()
            pieces += opener.feed(message.get("body", b""))
            more = message.get("more_body", False)
        request = _read(RequestDecoder(), [*pieces, opener.finish()])
        asked = tensors.parse_request(request.content, request.json_bytes)
        await self._processes.run(
            [each.array.reshape(-1).data.cast("B") for each in asked.inputs]
        )
        sealer = ohttp_chunked.ResponseSealer(opener.encapsulation, os.urandom(32))
        reply = sealer.whole(self._reply(asked), _PIECE_BYTES)
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

    def _reply(self, asked: tensors.InferRequest) -> list[Bytes]:
        response = tensors.InferResponse(
            model_name="m", outputs=(tensors.Tensor.of("y", self._answer),)
        )
        body = tensors.encode_response(response, binary_outputs=asked.wants_binary)
        head = bhttp.ResponseHead(200, _fields(body))
        start = bhttp.encode_whole_response_head(head, body.content_length)
        return [start, *body.buffers]


@dataclass(frozen=True, slots=True)
class _Message:
    """What Binary HTTP held.

    Attributes:
        content: In pieces.
        json_bytes: How much of it is JSON.
    """

    content: list[Bytes]
    json_bytes: int


def _read(decoder: RequestDecoder | ResponseDecoder, pieces: list[Bytes]) -> _Message:
    content: list[Bytes] = []
    json_bytes = 0
    for piece in pieces:
        for event in decoder.feed(piece):
            match event:
                case (
                    bhttp.RequestHead(fields=fields) | bhttp.ResponseHead(fields=fields)
                ):
                    json_bytes = int(dict(fields)[_JSON_BYTES])
                case bhttp.Content(data=data):
                    content.append(data)
                case _:  # trailers and the end
                    pass
    decoder.finish()
    return _Message(content, json_bytes)


def _fields(body: tensors.Body) -> bhttp.Fields:
    return (
        (b"content-length", str(body.content_length).encode()),
        (_JSON_BYTES, str(body.header_length).encode()),
    )


def _serve(told: _Told) -> None:
    keep_heap()
    socket = bind(Listen(port=0))
    server = build_server(_Least(told), Listen())
    server.config.lifespan = "off"
    print(socket.getsockname()[1], flush=True)
    uvloop.run(server.serve(sockets=[socket]))


if __name__ == "__main__":
    _serve(_Told(**json.loads(sys.argv[1])))
