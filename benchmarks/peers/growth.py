"""How cost grows: with models, with the size of an input, with the size of a model."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import models
from benchmarks.peers import load, ours
from benchmarks.peers.figures import Figure, combine
from benchmarks.peers.process import NotMeasuredError
from benchmarks.peers.tasks import TASKS, of_size
from benchmarks.peers.visits import AT, say

if TYPE_CHECKING:
    from benchmarks.peers.ours import Ours
    from benchmarks.peers.registry import Peer
    from benchmarks.peers.subjects import Subject

MODELS = (1, 2, 5, 10, 20, 50)
SIZES = (4, 256, 16 << 10, 256 << 10, 4 << 20, 64 << 20, 256 * 10**6)  # bytes
_GIB = 1 << 30
_MIB = 1 << 20
_LONGEST_S = 10.0  # for one request; a peer is asked nothing larger


@dataclass(frozen=True, slots=True)
class Loaded:
    """blindai with some models.

    Attributes:
        count: Of models.
        memory_mib: Of all its processes.
        upload_s: For each of the models that came last.
        one: Requests to one model.
        all: Requests to all models in turn.
    """

    count: int
    memory_mib: float
    upload_s: float
    one: Figure
    all: Figure


@dataclass(frozen=True, slots=True)
class Upload:
    """A large model on its way to being served and kept.

    Attributes:
        size_mib: Of its file.
        sent_s: Until its last byte had left the client.
        served_s: Until it was sealed on disk, loaded, and the client knew.
        again_s: Until a new server had it loaded from the disk, and listened.
        copy_s: Writing as many bytes to the same disk and waiting for it.
        engine_s: ONNX Runtime loading the file, in a process without a server.
    """

    size_mib: float
    sent_s: float
    served_s: float
    again_s: float
    copy_s: float
    engine_s: float


def empty_mib() -> float:
    """Memory of blindai without a model."""
    with tempfile.TemporaryDirectory() as name, ours.serving(Path(name)) as here:
        here.client().models()
        time.sleep(1)
        return here.memory_mib()


def by_models(seconds: float) -> list[Loaded]:
    """Models of four numbers, each another one."""
    found: list[Loaded] = []
    array = TASKS["tiny"].array()
    with tempfile.TemporaryDirectory() as name, ours.serving(Path(name)) as here:
        made = 0
        for count in MODELS:
            say(f"models: {count}")
            start = time.perf_counter()
            for index in range(made, count):
                here.upload(models.linear(index), f"model-{index}")
            upload_s = (time.perf_counter() - start) / (count - made)
            made = count
            here.model = "model-0"
            one = combine([here.closed(array, AT, seconds)])
            turns = combine([load.closed(_turns(here, count), AT, seconds)])
            found.append(Loaded(count, here.memory_mib(), upload_s, one, turns))
    return found


def _turns(here: Ours, count: int) -> load.Make:
    array = TASKS["tiny"].array()

    def make(index: int) -> load.Ask:
        client = here.client(index)
        names = itertools.cycle([f"model-{(index + i) % count}" for i in range(count)])
        return lambda: client.predict(next(names), array)

    return make


def by_size(peer: Peer | None, seconds: float) -> dict[int, float | str]:
    """Median latency in ms of one client by bytes of input, or why there is none.

    Args:
        peer: Whom to ask; blindai if None.
        seconds: For each size, and longer where that is fewer than two requests.
    """
    say(f"sizes: {peer.name if peer else 'blindai'}")
    found: dict[int, float | str] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        try:
            subject: Subject | Ours
            if peer is None:
                subject = here = stack.enter_context(ours.serving(folder))
                here.upload(of_size(1).content(), "sized")
            else:
                subject = stack.enter_context(peer.start(of_size(1), folder))
        except (NotMeasuredError, OSError) as error:
            return dict.fromkeys(SIZES, str(error))
        before = 1
        for size in SIZES:
            last = found.get(before, 0.0)
            grown = last * size / before if isinstance(last, float) else np.inf
            if grown > _LONGEST_S * 1e3:
                found[size] = "too slow"
                continue
            found[size] = _size(subject, size, seconds)
            before = size
    return found


def _size(subject: Subject | Ours, size: int, seconds: float) -> float | str:
    array = of_size(size // 4).array()
    try:
        start = time.perf_counter()
        answer = subject.answer(array)
        first_s = time.perf_counter() - start
        if not np.array_equal(answer, [array.max()]):
            return "wrong answer"
        figure = combine([subject.closed(array, 1, max(seconds, 2.5 * first_s))])
    except Exception as error:  # noqa: BLE001  what a peer does not take is a finding
        return type(error).__name__
    if figure.errors:
        return figure.errors[0][0]
    return figure.p50


def large_upload(folder: Path) -> Upload:
    """1 GiB, sealed on the way, sealed on disk, loaded; and again after a restart."""
    say("upload: 1 GiB")
    content = models.weights_of(_GIB)
    data = folder / "data"
    last = [0.0]

    def progress(sent: int, total: int) -> None:
        if sent == total:
            last[0] = time.perf_counter()

    with ours.serving(folder, "--data-dir", str(data)) as here:
        client = here.client()
        start = time.perf_counter()
        client.upload_model(content, "large", progress=progress)
        served = time.perf_counter()
        client.predict("large", np.zeros(1, np.int64))
    start_again = time.perf_counter()
    with ours.serving(folder, "--data-dir", str(data)) as here:
        here.client().predict("large", np.zeros(1, np.int64))
        again = time.perf_counter()
    copied, loaded = _limits(folder / "large.onnx", content)
    return Upload(
        size_mib=len(content) / _MIB,
        sent_s=last[0] - start,
        served_s=served - start,
        again_s=again - start_again,
        copy_s=copied,
        engine_s=loaded,
    )


def _limits(file: Path, content: bytes) -> tuple[float, float]:
    import onnxruntime  # noqa: PLC0415  heavy

    start = time.perf_counter()
    with file.open("wb") as output:
        output.write(content)
        output.flush()
        os.fsync(output.fileno())
    copied = time.perf_counter()
    onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return copied - start, time.perf_counter() - copied
