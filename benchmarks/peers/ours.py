"""blindai: the real server in simulation, asked through the client library, sealed."""

from __future__ import annotations

import queue
import re
import sys
import warnings
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import httpx

import blindai
from benchmarks.peers import http, load
from benchmarks.peers.process import Process, running
from benchmarks.peers.tasks import THREADS
from blindai.client.policies import SimulationWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np

    from benchmarks.peers.figures import Sample

    Array = np.ndarray[Any, Any]

warnings.simplefilter("ignore", SimulationWarning)
# Threads and two runs at once as everywhere; the rest lets the load in.
SETTINGS = f"""\
[inference]
threads = {THREADS}
workers = 2
max_queue = 2048
max_request_bytes = {300 << 20}

[gateway]
replay_entries = 10000000
quotes_per_second = 1000
"""
_SHARE = 16  # threads that share a verified connection; it keeps up to 20 sockets
_AHEAD_BYTES = 768 << 20
_AHEAD_COUNT = 40_000
_SPARE = 1.3  # of what was answered in a short trial
_TRIAL_S = 0.3
_TRIAL_COUNT = 6000
_LIKE_BYTES = 24  # how much a sealed answer's size may differ from a good one's


@contextmanager
def serving(folder: Path, *options: str, module: str = "blindai") -> Iterator[Ours]:
    """`blindai serve --simulation`, or a module like it, with the settings above."""
    settings = folder / "settings.toml"
    settings.write_text(SETTINGS)
    command = [sys.executable, "-m", module, "serve", "--simulation", "--port", "0"]
    command += ["--config", str(settings), *options]
    with running(command, folder / "blindai.log") as process, ExitStack() as stack:
        process.await_ready(lambda: _url(process))
        yield Ours(process, _url(process), stack)


def _url(process: Process) -> str:
    found = re.search(r"http://[\w.]+:\d+", process.log.read_text(errors="replace"))
    if found is None:
        raise LookupError("it has not said where it listens")
    return found[0]


class Ours:
    """A server, and verified connections to it.

    Attributes:
        process: The server's.
        model: What `closed`, `opened` and `answer` ask for.
        port: Where it listens.
        rate: What a trial of `ahead` gave; another is made if None.
    """

    def __init__(self, process: Process, url: str, stack: ExitStack) -> None:
        self.process = process
        self.model = ""
        self._url = url
        self._stack = stack
        self._clients: list[blindai.Connection] = []
        self.port = int(url.rpartition(":")[2])
        self.rate: float | None = None

    def client(self, index: int = 0) -> blindai.Connection:
        """The verified connection of a thread."""
        while len(self._clients) <= index // _SHARE:
            client = blindai.connect(self._url, simulation=True, timeout=300)
            self._clients.append(self._stack.enter_context(client))
        return self._clients[index // _SHARE]

    def upload(self, content: bytes, name: str) -> None:
        """Upload a model, and ask for it from now on."""
        self.client().upload_model(content, name)
        self.model = name

    def answer(self, array: Array) -> Array:
        """The answer to one request, flat."""
        answered = self.client().predict(self.model, array)
        return answered.output[0].as_numpy().ravel()

    def closed(self, array: Array, concurrency: int, seconds: float) -> Sample:
        """So many threads, each asking again when it is answered."""
        return load.closed(self._asking(array, concurrency), concurrency, seconds)

    def opened(self, array: Array, due: Sequence[float]) -> Sample:
        """Requests at given times."""
        return load.opened(self._asking(array, load.OPEN_THREADS), due)

    def memory_mib(self) -> float:
        """Of all of the server's processes."""
        return self.process.pss_mib()

    def ahead(
        self,
        array: Array,
        concurrency: int,
        seconds: float,
        during: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Sample:
        """As `closed`, but every request is sealed before the slice begins.

        The answers stay sealed: their status and size are held against a good one's.
        The slice is shorter where so many requests need too much memory.

        Args:
            array: The input.
            concurrency: How many threads.
            seconds: How long the slice is.
            during: What holds while sealed requests are sent.
        """
        with self._sealing(array) as (seal, size):

            def run(count: int, seconds: float) -> Sample:
                sealed = _queue(seal, count)
                sending = _sending(self.port, sealed, size)
                with during():
                    return load.closed(sending, concurrency, seconds)

            most = min(_AHEAD_COUNT, _AHEAD_BYTES // len(seal()))
            if self.rate is None:
                trial = run(min(most, _TRIAL_COUNT), _TRIAL_S)
                self.rate = len(trial.latencies_ms) / trial.elapsed_s
            count = int(self.rate * seconds * _SPARE) + 4 * concurrency
            return run(min(most, count), seconds)

    def opened_ahead(self, array: Array, due: Sequence[float]) -> Sample:
        """As `opened`, but every request is sealed before the first is due.

        There are fewer of them where so many need too much memory.
        """
        with self._sealing(array) as (seal, size):
            most = min(_AHEAD_COUNT, _AHEAD_BYTES // len(seal()))
            due = due[: max(1, most - load.OPEN_THREADS)]
            sealed = _queue(seal, len(due) + load.OPEN_THREADS)
            return load.opened(_sending(self.port, sealed, size), due)

    @contextmanager
    def _sealing(self, array: Array) -> Iterator[tuple[Callable[[], bytes], int]]:
        """Gives what seals one request, and the size of a good answer in bytes."""
        recorder = _Recorder(self._url)
        with blindai.Connection(self._url, simulation=True, wire=recorder) as client:
            client.predict(self.model, array)  # it has asked what the inputs are
            client.predict(self.model, array)
            yield (
                lambda: recorder.recorded(lambda: client.predict(self.model, array)),
                recorder.answered,
            )

    def _asking(self, array: Array, concurrency: int) -> load.Make:
        self.client(concurrency - 1)  # verified here, not by all threads at once

        def make(index: int) -> load.Ask:
            client = self.client(index)
            return lambda: client.predict(self.model, array)

        return make


class _RecordedError(Exception):
    """A sealed request was kept, not sent."""


class _Recorder(httpx.BaseTransport):
    """A wire for sealed requests: lets them through, or keeps one.

    Attributes:
        answered: Size of the last answer that came through, in bytes.
    """

    def __init__(self, url: str) -> None:
        self.answered = 0
        self._port = int(url.rpartition(":")[2])
        self._through = httpx.HTTPTransport()
        self._kept: bytes | None = None
        self._keeps = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a sealed request on, or keep it.

        Raises:
            _RecordedError: If it was kept.
        """
        if not self._keeps:
            response = self._through.handle_request(request)
            content = response.read()
            self.answered = len(content)
            return httpx.Response(
                response.status_code, headers=response.headers, content=content
            )
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in {"host", "content-length", "transfer-encoding"}
        }
        path = request.url.raw_path.decode()
        self._kept = http.request(self._port, path, headers, request.read())
        raise _RecordedError

    def recorded(self, ask: Callable[[], object]) -> bytes:
        """The request that a call would have sent.

        Raises:
            LookupError: If it would have sent none.
        """
        self._keeps, self._kept = True, None
        try:
            ask()
        except _RecordedError:
            pass
        finally:
            self._keeps = False
        if self._kept is None:
            raise LookupError("request: expected one, got none")
        return self._kept

    def close(self) -> None:
        """End the connections."""
        self._through.close()


def _queue(seal: Callable[[], bytes], count: int) -> queue.SimpleQueue[bytes]:
    sealed: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for _ in range(count):
        sealed.put(seal())
    return sealed


def _sending(port: int, sealed: queue.SimpleQueue[bytes], size: int) -> load.Make:
    def make(index: int) -> load.Ask:
        del index
        connection = http.Connection(port)

        def ask() -> None:
            try:
                request = sealed.get_nowait()
            except queue.Empty as error:
                raise load.EndedError from error
            answer = connection.ask(request)
            if abs(len(answer) - size) > _LIKE_BYTES:
                raise http.StatusError(f"{len(answer)} bytes, expected about {size}")

        return ask

    return make
