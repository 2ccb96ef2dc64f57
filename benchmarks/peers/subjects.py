"""Something that runs a model and can be asked: a server, or an engine in a process."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from benchmarks.peers import http, install, load
from benchmarks.peers.figures import Sample
from benchmarks.peers.process import Process, free_port, running
from benchmarks.peers.tasks import THREADS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.peers import formats

    Array = np.ndarray[Any, Any]


class Subject(Protocol):
    """What can be asked to run the one model that it has."""

    def answer(self, array: Array) -> Array:
        """The answer to one request, flat."""

    def closed(self, array: Array, concurrency: int, seconds: float) -> Sample:
        """So many clients, each asking again when it is answered."""

    def opened(self, array: Array, due: Sequence[float]) -> Sample:
        """Requests at given times."""

    def memory_mib(self) -> float:
        """Of all its processes."""


# What each takes from its environment: no reports to anybody, our modules in reach.
_ENVIRONMENT = {
    "PYTHONPATH": f"{install.SERVERS}:{install.ROOT}",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "PYTRITON_NO_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


class _Server:
    """A server that is asked over HTTP in plaintext."""

    def __init__(
        self, process: Process, port: int, form: formats.Format, name: str
    ) -> None:
        self._process, self._port, self._form, self._name = process, port, form, name

    def answer(self, array: Array) -> Array:
        body = self._made(array)
        connection = http.Connection(self._port)
        try:
            return self._form.read(connection.ask(body)).ravel()
        finally:
            connection.close()

    def closed(self, array: Array, concurrency: int, seconds: float) -> Sample:
        return load.closed(self._asking(array), concurrency, seconds)

    def opened(self, array: Array, due: Sequence[float]) -> Sample:
        return load.opened(self._asking(array), due)

    def memory_mib(self) -> float:
        return self._process.pss_mib()

    def _made(self, array: Array) -> bytes:
        return http.request(self._port, *self._form.write(self._name, array))

    def _asking(self, array: Array) -> load.Make:
        sent = self._made(array)

        def make(index: int) -> load.Ask:
            del index
            connection = http.Connection(self._port)
            return lambda: connection.ask(sent)

        return make


@contextmanager
def server(
    command: Sequence[str], model: Path, form: formats.Format, ready: str, array: Array
) -> Iterator[Subject]:
    """A server on one model, once it has answered a request.

    Args:
        command: Starts it, with {port} where the port goes.
        model: The model's file.
        form: How it is asked.
        ready: The path where it says that it is ready.
        array: What it is asked first.
    """
    port = free_port()
    full = [each.format(port=port) for each in command]
    with running(full, model.with_suffix(".log"), _ENVIRONMENT) as process:
        found = _Server(process, port, form, model.stem)
        process.await_ready(lambda: http.get(port, ready))
        process.await_ready(lambda: found.answer(array))
        yield found


class _Engine:
    """An engine that is called in threads of its own process."""

    def __init__(self, process: Process, folder: Path) -> None:
        self._process, self._folder = process, folder

    def answer(self, array: Array) -> Array:
        return np.array(json.loads(self._tell(array, {})), np.float32)

    def closed(self, array: Array, concurrency: int, seconds: float) -> Sample:
        told: dict[str, object] = {"concurrency": concurrency, "seconds": seconds}
        return Sample(**json.loads(self._tell(array, told)))

    def opened(self, array: Array, due: Sequence[float]) -> Sample:
        return Sample(**json.loads(self._tell(array, {"due": list(due)})))

    def memory_mib(self) -> float:
        return self._process.pss_mib()

    def _tell(self, array: Array, told: dict[str, object]) -> bytes:
        file = self._folder / "input.npy"
        np.save(file, array)
        line = json.dumps({"input": str(file), **told}).encode()
        return self._process.tell(line)


@contextmanager
def engine(python: str, name: str, model: Path) -> Iterator[Subject]:
    """An engine in a process of its own."""
    module = "benchmarks.peers.in_process"
    command = [python, "-m", module, name, str(THREADS), str(model)]
    log = model.with_suffix(".log")
    with running(command, log, _ENVIRONMENT, talks=True) as process:
        yield _Engine(process, model.parent)
