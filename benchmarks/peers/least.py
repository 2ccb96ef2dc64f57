"""The least that a sealed server costs here: its HTTP server, and sealing, alone.

`python -m benchmarks.peers.least serve --config FILE` is blindai until it is asked for
one of `SHORT`. From then on it answers every sealed request, with as many bytes as
before:

    http      without opening it: what uvicorn takes
    sealed    opened and answered sealed: what HPKE takes besides; no HTTP inside, no
              model, no key, no queue
    isolated  likewise, and the model runs in a process of its own (`isolated`)

Not a server for anybody: it lets replayed requests in, and answers nothing true.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from benchmarks.peers import http, ours
from benchmarks.peers.figures import Figure, combine
from benchmarks.peers.isolated import Processes
from benchmarks.peers.tasks import TASKS, THREADS
from benchmarks.peers.visits import AT, say
from blindai.attester.simulated import SimulatedAttester
from blindai.protocol import ohttp_chunked as chunked
from blindai.protocol.names import GATEWAY_PATH
from blindai.server.process import keep_heap
from blindai.server.serve import build_app, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers.tasks import Task
    from blindai.server.asgi import Message, Receive, Scope, Send
    from blindai.server.gateway import Gateway

SHORT = {
    "http": "uvicorn alone",
    "sealed": "uvicorn, opening and sealing",
    "isolated": "uvicorn, opening and sealing, a process for the model",
}
WHOLE = "blindai, sealed ahead"
_ISOLATED = {"isolated": SHORT["isolated"]}
_PARTS = {"tiny": SHORT, "image": _ISOLATED, "resnet18": _ISOLATED}
_MODULE = "benchmarks.peers.least"
CLIENTS = (1, AT)
_NOTHING = "nothing"
_OPTIONS = ("--config", "--task")
_TAG_BYTES = 16


class _Least:
    """blindai, and after a word no more than a part of it."""

    def __init__(self, gateway: Gateway, task: Task) -> None:
        self._gateway = gateway
        self._input_bytes = task.array().nbytes
        self._processes = Processes(task, count=2, threads=THREADS)  # as blindai has
        self._short = ""
        self._size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == GATEWAY_PATH and self._short:
            await self._answer(await self._body(receive), send)
        elif (short := path.removeprefix("/least/")) in {*SHORT, _NOTHING}:
            self._short = short if short in SHORT else ""
            await _send(send, b"")
        else:
            await self._gateway(scope, receive, self._weighing(send))

    async def _body(self, receive: Receive) -> bytes:
        body = b""
        while True:
            message = await receive()
            piece: bytes = message.get("body", b"")
            body += piece
            if not message.get("more_body", False):
                return body

    async def _answer(self, body: bytes, send: Send) -> None:
        if self._short == "http":
            await _send(send, bytes(self._size))
            return
        keys = self._gateway._enclave.keys()  # noqa: SLF001  it is about its inside
        opener = chunked.RequestOpener(keys)
        pieces = [*opener.feed(body), opener.finish()]
        if self._short == "isolated":
            await self._processes.run(_last(pieces, self._input_bytes))
        shared = opener.encapsulation
        nonce = secrets.token_bytes(shared.response_nonce_bytes)
        sealer = chunked.ResponseSealer(shared, nonce)
        plain = bytes(self._size - len(nonce) - 1 - _TAG_BYTES)
        await _send(send, sealer.header + sealer.chunks.seal_final(plain))

    def _weighing(self, send: Send) -> Send:
        async def weigh(message: Message) -> None:
            if message["type"] == "http.response.body":
                self._size = len(message.get("body", b""))
            await send(message)

        return weigh


def _last(pieces: list[bytes], size: int) -> Iterator[memoryview]:
    """The last bytes of what has opened: the input, behind everything else."""
    skip = sum(map(len, pieces)) - size
    for piece in pieces:
        yield memoryview(piece)[max(0, skip) :]
        skip -= len(piece)


async def _send(send: Send, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def measure(seconds: float) -> dict[str, dict[int, Figure]]:
    """Rates of the whole and of its parts, in turn.

    Args:
        seconds: For each figure.
    """
    found: dict[str, dict[int, Figure]] = {}
    for name, shorts in _PARTS.items():
        say(f"least: {name}")
        task = TASKS[name]
        with (
            tempfile.TemporaryDirectory() as folder,
            ours.serving(Path(folder), "--task", name, module=_MODULE) as here,
        ):
            here.upload(task.content(), task.name)
            for short, title in {**shorts, _NOTHING: WHOLE}.items():
                here.rate = None  # another server, as it were
                rates = found[f"{task.title}: {title}"] = {}
                for clients in CLIENTS:
                    during = partial(_being, here, short)
                    sample = here.ahead(task.array(), clients, seconds, during)
                    rates[clients] = combine([sample])
    return found


@contextmanager
def _being(here: ours.Ours, short: str) -> Iterator[None]:
    http.get(here.port, f"/least/{short}")
    try:
        yield
    finally:
        http.get(here.port, f"/least/{_NOTHING}")


def main() -> None:
    """Serve."""
    config, task = (sys.argv[sys.argv.index(each) + 1] for each in _OPTIONS)
    keep_heap()
    gateway = build_app(load_settings(Path(config), {}), SimulatedAttester())
    app = _Least(gateway, TASKS[task])
    uvicorn.Server(
        uvicorn.Config(app, port=0, loop="uvloop", http="httptools", access_log=False)
    ).run()


if __name__ == "__main__":
    main()
