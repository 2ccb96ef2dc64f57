"""Measures one model, in a process of its own: python -m benchmarks.gallery.measure.

NAME and SECONDS come on the command line; what was found leaves as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import tempfile
import threading
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import blindai
from benchmarks import floor, protocol_floor
from benchmarks.gallery.tasks import TASKS
from benchmarks.measure import Times, sampled, times
from benchmarks.peers import registry, subjects
from benchmarks.peers.figures import combine
from benchmarks.peers.process import NotMeasuredError, Process, running
from blindai.client.policies import SimulationWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.gallery.tasks import Array, Task
    from benchmarks.peers.subjects import Subject

THREADS = (1, 2)
_FEW, _MANY = 10, 1000  # pairs, whatever the seconds
_WARM = 5
_VISITS = 3
_LOOK_S = 0.1
_CLOSE = 1e-2  # of the largest number, tract's answers
_TIMEOUT_S = 300

warnings.simplefilter("ignore", SimulationWarning)


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured with a number of threads.

    Attributes:
        here: ONNX Runtime, in the process that measures.
        sealed: `client.predict`, to the answer's numbers.
        floor: The same over bare sockets, with nothing around it but sealing.
        protocol: All that the protocol takes, and a process of the model's own.
        pairs: How often.
        here_mib: The most memory of a process that has only run the model.
        sealed_mib: The most memory of all of the server's processes.
    """

    here: Times
    sealed: Times
    floor: Times
    protocol: Times
    pairs: int
    here_mib: float
    sealed_mib: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a model.

    Attributes:
        name: Its name.
        megabytes: Its file's size, in 10^6 bytes.
        found: By threads.
        tract: By tract, with one thread; or why not.
    """

    name: str
    megabytes: float
    found: dict[int, Found]
    tract: Times | str


def measure(name: str, seconds: float) -> Measured:
    """Measure a model.

    Args:
        name: Of `TASKS`.
        seconds: For each comparison.
    """
    task = TASKS[name]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / f"{name}.onnx"
        model.write_bytes(task.content())
        found = {count: _compared(model, task, count, seconds) for count in THREADS}
        tract = _by_tract(model, task, seconds)
        return Measured(name, model.stat().st_size / 1e6, found, tract)


def _compared(model: Path, task: Task, threads: int, seconds: float) -> Found:
    """Compare all ways, in several visits: where a process's memory lies is luck."""
    here_mib = memory_in_process(model, task.array(), threads)
    samples: dict[str, list[float]] = {}
    most: list[float] = []
    for _ in range(_VISITS):
        found, seen = _visit(model, task, threads, seconds / _VISITS)
        for way, values in found.items():
            samples.setdefault(way, []).extend(values)
        most += seen
    combined = {way: times(values) for way, values in samples.items()}
    pairs = len(samples["here"])
    return Found(**combined, pairs=pairs, here_mib=here_mib, sealed_mib=max(most))


def _visit(
    model: Path, task: Task, threads: int, seconds: float
) -> tuple[dict[str, list[float]], list[float]]:
    """Compare all ways, each in processes of its own but the first.

    Returns:
        What each took, in milliseconds, and the memory of the server, in MiB.
    """
    array, content = task.array(), model.read_bytes()
    session = floor.session(content, threads)
    answer = np.asarray(session.run(None, {"x": array})[0])
    command = [sys.executable, "-m", "benchmarks.server", str(threads)]
    with running(command, model.with_suffix(".log"), talks=True) as process:
        url = _url(process)
        with (
            blindai.connect(url, simulation=True, timeout=_TIMEOUT_S) as client,
            floor.bare(content, array, threads, sealed=True) as bare,
            protocol_floor.served(content, array, threads, answer.size) as served,
        ):

            def here() -> Array:
                return np.asarray(session.run(None, {"x": array})[0])

            def sealed() -> Array:
                return client.predict(model.stem, array).output[0].as_numpy()

            with _watched(process) as most:
                client.upload_model(content, model.stem)
                answers = [sealed() for _ in range(_WARM)]
            del content
            np.testing.assert_allclose(answers[-1], answer, rtol=1e-3, atol=1e-3)
            ways = {"here": here, "sealed": sealed, "floor": bare, "protocol": served}
            return sampled(ways, _pairs(here, seconds), _WARM), most


def _pairs(run: Callable[[], object], seconds: float) -> int:
    """How many rounds take so many seconds, each way as long as the first."""
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    return int(min(_MANY, max(_FEW, seconds / (4 * once))))


def _url(process: Process) -> str:
    """Where the server's sealed door is.

    Raises:
        NotMeasuredError: If it does not start.
    """
    line = process.popen.stdout.readline() if process.popen.stdout else b""
    if not line:
        raise NotMeasuredError(f"server: {process.words()}")
    return str(line.split()[0].decode())


@contextmanager
def _watched(process: Process) -> Iterator[list[float]]:
    """Memory of a process and its children, again and again, in MiB.

    Also when the block has ended: what takes less time than a look is weighed then.
    """
    seen, done = [process.pss_mib()], threading.Event()

    def look() -> None:
        while not done.wait(_LOOK_S):
            seen.append(process.pss_mib())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
        seen.append(process.pss_mib())
    finally:
        done.set()
        thread.join()


def memory_in_process(model: Path, array: Array, threads: int) -> float:
    """The most memory of a process that does nothing but run a model, in MiB."""
    module = "benchmarks.gallery.alone"
    file = model.with_name("input.npy")
    np.save(file, array)
    command = [sys.executable, "-m", module, str(threads), str(model), str(file)]
    with running(command, model.with_suffix(".log"), talks=True) as process:
        with _watched(process) as most:
            process.tell(b"")
        return max(most)


def _by_tract(model: Path, task: Task, seconds: float) -> Times | str:
    array = task.array()
    session = floor.session(model.read_bytes(), 1)
    expected = session.run(None, {"x": array})[0].ravel()
    del session
    try:
        python = registry.PEERS["tract"].python()
        with subjects.engine(python, "tract", model) as engine:
            return _timed(engine, array, expected, seconds)
    except NotMeasuredError as error:
        return str(error)


def _timed(
    engine: Subject, array: Array, expected: Array, seconds: float
) -> Times | str:
    start = time.perf_counter()
    answer = engine.answer(array)
    enough = max(seconds, _WARM * (time.perf_counter() - start))
    gap = np.abs(answer - expected).max() / np.abs(expected).max()
    if not gap < _CLOSE:
        return f"answers differ: {gap:.2g} of the largest"
    figure = combine([engine.closed(array, 1, enough)])
    return Times(figure.p50, figure.p95)


def main() -> None:
    """Be the program."""
    name, seconds = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are ended
    print(json.dumps(dataclasses.asdict(measure(name, float(seconds)))))


if __name__ == "__main__":
    main()
