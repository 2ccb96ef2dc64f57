"""Workers that die: what their requests are told, and that nobody else notices."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.inference.graphs import (
    FLOAT,
    FOR_EVER,
    add,
    endless,
    model,
    repeated,
    slow,
)
from tests.inference.inside import served
from tests.inference.worker.alive import alive, descriptors, ended

from blindai.errors import (
    DeadlineError,
    ModelCrashedError,
    ModelRefusedError,
    UnavailableError,
)
from blindai.inference.arrivals import Upload
from blindai.inference.engine import EngineLimits
from blindai.inference.service import InferenceService, ServiceSettings
from blindai.inference.worker import frames
from blindai.inference.worker.processes import (
    ProcessIsolation,
    ProcessLimits,
    ProcessModel,
)
from blindai.protocol.datatypes import Array
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio

NOW = datetime(2024, 5, 6, tzinfo=UTC)
SETTINGS = ServiceSettings(
    slots=4,
    process=ProcessLimits(stop_s=0.3, memory_bytes=512 << 20, max_output_bytes=1 << 40),
    engine=EngineLimits(lanes=2),
)
SERVER = """
import asyncio, sys
from datetime import datetime, UTC
from blindai.inference.arrivals import Upload
from blindai.inference.service import InferenceService, ServiceSettings
async def main():
    async with InferenceService(ServiceSettings()) as service:
        for name in ("a", "b"):
            with service.spool() as spool:
                spool.append(open(sys.argv[1], "rb").read())
                await service.upload(
                    name, "o", spool, Upload(now=datetime.now(UTC)))
        forks = service._engine._isolation._forks
        print(forks._zygote.pid, *forks._processes, flush=True)
        await asyncio.sleep(3600)
asyncio.run(main())
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Serving:
    """A service, and the processes behind it."""

    def __init__(self, service: InferenceService) -> None:
        self.service = service
        isolation = service._engine._isolation
        assert isinstance(isolation, ProcessIsolation)
        self.forks = isolation._forks

    async def upload(self, name: str, proto: onnx.ModelProto) -> None:
        with self.service.spool() as spool:
            spool.append(proto.SerializeToString())
            await self.service.upload(name, "o", spool, Upload(now=NOW))

    async def infer(self, name: str, *tensors: Tensor, timeout_s: float = 30) -> Array:
        deadline = time.monotonic() + timeout_s
        result = await self.service.infer(name, tensors, deadline)
        return result.outputs[0].array

    def pid(self, name: str) -> int:
        """The process of a model."""
        loaded = served(self.service, name)._loaded
        assert isinstance(loaded, ProcessModel)
        process = loaded._worker._process
        (pid,) = [pid for pid, each in self.forks._processes.items() if each is process]
        return pid


@pytest.fixture
async def serving() -> AsyncIterator[Serving]:
    async with InferenceService(SETTINGS) as service:
        yield Serving(service)


ONES = Tensor.of("x", np.ones((1, 4), np.float32))


class Stream:
    """Somebody who asks a model all the time."""

    def __init__(self, serving: Serving, name: str) -> None:
        self._serving = serving
        self._name = name
        self.answers = 0
        self.slowest_s = 0.0
        self._task = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        while True:
            began = time.monotonic()
            assert (await self._serving.infer(self._name, ONES))[0, 0] == 2.0
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.answers += 1
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Stop asking; raises what went wrong."""
        assert not self._task.done(), self._task
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_worker_that_dies_answers_its_requests_with_that(
    serving: Serving, number: signal.Signals
) -> None:
    await serving.upload("dying", endless())
    running = [
        asyncio.ensure_future(serving.infer("dying", *FOR_EVER)) for _ in range(2)
    ]
    await asyncio.sleep(0.05)
    began = time.monotonic()

    os.kill(serving.pid("dying"), number)

    for each in running:
        with pytest.raises(ModelCrashedError, match=f"worker died of {number.name}"):
            await each
    assert time.monotonic() - began < 1
    assert await serving.infer("dying", Tensor.of("n", np.array(3))) == 3.0


async def test_who_waits_when_a_worker_dies_is_served_by_the_next(
    serving: Serving,
) -> None:
    await serving.upload("dying", endless())
    for _ in range(2):
        asyncio.ensure_future(serving.infer("dying", *FOR_EVER)).add_done_callback(
            lambda each: each.exception()
        )
    await asyncio.sleep(0.05)
    three = Tensor.of("n", np.array(3))
    waiting = [asyncio.ensure_future(serving.infer("dying", three)) for _ in range(5)]
    await asyncio.sleep(0.01)

    os.kill(serving.pid("dying"), signal.SIGKILL)

    assert await asyncio.gather(*waiting) == [3.0] * 5


async def test_other_models_notice_nothing(serving: Serving) -> None:
    """A model dies until it is given up; another answers without one failure."""
    await serving.upload("steady", add())
    await serving.upload("dying", endless())
    stream = Stream(serving, "steady")
    await asyncio.sleep(0.1)
    deaths = 0
    try:
        while True:
            running = asyncio.ensure_future(serving.infer("dying", *FOR_EVER))
            await asyncio.sleep(0.03)
            if served(serving.service, "dying").loaded:
                os.kill(serving.pid("dying"), signal.SIGKILL)
            await running
    except ModelCrashedError:
        deaths += 1
    for _ in range(4):
        deaths += await die(serving)
    with pytest.raises(UnavailableError, match="died 5 times; out of service"):
        await serving.infer("dying", Tensor.of("n", np.array(3)))
    before = stream.answers
    await asyncio.sleep(0.2)

    await stream.end()
    assert deaths == 5
    assert stream.answers > before > 100
    assert stream.slowest_s < 2
    assert serving.service.model("dying").name == "dying"


async def die(serving: Serving) -> bool:
    """Have the worker die in a run; whether it did."""
    running = asyncio.ensure_future(serving.infer("dying", *FOR_EVER))
    model = served(serving.service, "dying")
    async with asyncio.timeout(10):
        while not (model.loaded and len(model.idle) < 2):  # noqa: ASYNC110  as said
            await asyncio.sleep(0.005)
    os.kill(serving.pid("dying"), signal.SIGKILL)
    with pytest.raises(ModelCrashedError):
        await running
    return True


async def test_a_model_that_was_given_up_comes_back(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blindai.inference.serving._OUT_OF_SERVICE_S", 0.2)
    await serving.upload("dying", endless())
    for _ in range(5):
        await die(serving)
    three = Tensor.of("n", np.array(3))
    with pytest.raises(UnavailableError):
        await serving.infer("dying", three)

    await asyncio.sleep(0.25)

    assert await serving.infer("dying", three) == 3.0


async def test_pauses_before_a_restart_double(serving: Serving) -> None:
    await serving.upload("dying", endless())
    pauses = []
    for _ in range(4):
        await die(serving)
        began = time.monotonic()
        assert await serving.infer("dying", Tensor.of("n", np.array(3))) == 3.0
        pauses.append(time.monotonic() - began)

    assert [round(each, 3) for each in pauses if each < 0.04] == []
    assert pauses[3] > 0.35


def square(size: int) -> Tensor:
    return Tensor.of("x", np.ones((1, 1, size, size), np.float32))


async def test_a_loop_past_its_deadline_costs_only_itself(serving: Serving) -> None:
    """What does not stop is ended after its grace; the model comes back."""
    await serving.upload("steady", add())
    await serving.upload("slow", slow())
    stream = Stream(serving, "steady")
    pid = serving.pid("slow")
    began = time.monotonic()

    with pytest.raises(DeadlineError, match="passed while running"):
        await serving.infer("slow", square(1500), timeout_s=0.2)
    assert time.monotonic() - began < 0.7
    assert alive(pid)
    await ended(pid, within_s=2)

    assert (await serving.infer("slow", square(255))).tolist() == [[[[1.0]]]]
    assert serving.pid("slow") != pid
    await stream.end()


async def test_a_loop_that_stops_keeps_its_worker(serving: Serving) -> None:
    await serving.upload("model", endless())
    pid = serving.pid("model")

    with pytest.raises(DeadlineError):
        await serving.infer("model", *FOR_EVER, timeout_s=0.1)
    await asyncio.sleep(0.5)

    assert await serving.infer("model", Tensor.of("n", np.array(3))) == 3.0
    assert serving.pid("model") == pid


@pytest.mark.parametrize("gib", [1, 3])
async def test_more_memory_than_the_limit_is_named(serving: Serving, gib: int) -> None:
    await serving.upload("steady", add())
    await serving.upload("model", repeated())
    stream = Stream(serving, "steady")
    x = Tensor.of("x", np.ones(1024, np.float32))

    for _ in range(2):
        with pytest.raises(ModelCrashedError, match="memory limit"):
            await serving.infer("model", x, Tensor.of("n", np.array([gib << 18])))

    output = await serving.infer("model", x, Tensor.of("n", np.array([2])))
    assert output.shape == (2048,)
    await stream.end()


async def test_the_zygotes_death_is_survived(serving: Serving) -> None:
    await serving.upload("a", add())
    await serving.upload("b", add(2.0))
    zygote = serving.forks._zygote
    assert zygote is not None
    pids = [serving.pid("a"), serving.pid("b")]

    zygote.kill()
    await ended(*pids, within_s=1)
    await asyncio.sleep(0.05)  # threads of theirs may be on their way still

    assert (await serving.infer("a", ONES))[0, 0] == 2.0
    assert (await serving.infer("b", ONES))[0, 0] == 3.0
    again = serving.forks._zygote
    assert again is not None
    assert again.pid != zygote.pid


async def test_descriptors_stay_flat_over_deaths_and_uploads(serving: Serving) -> None:
    for _ in range(2):  # so many versions are kept, the older at rest
        await serving.upload("dying", endless())
    await die(serving)
    assert await serving.infer("dying", Tensor.of("n", np.array(3))) == 3.0
    before = descriptors()

    for _ in range(3):
        await die(serving)
        assert await serving.infer("dying", Tensor.of("n", np.array(3))) == 3.0
        with pytest.raises(ModelRefusedError):
            await serving.upload("dying", no_such_operator())
        await serving.upload("dying", endless())
        assert await serving.infer("dying", Tensor.of("n", np.array(3))) == 3.0

    async with asyncio.timeout(10):  # the last one's end is not waited for elsewhere
        while descriptors() > before or len(serving.forks._processes) > 1:  # noqa: ASYNC110  nothing tells
            await asyncio.sleep(0.02)


async def test_a_worker_that_gets_no_lanes_ends(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, made = frames.pair, []

    def none_left() -> tuple[socket.socket, socket.socket]:
        made.append(1)
        if len(made) > 3:  # of the judge, of the worker, and one lane
            raise OSError(24, "Too many open files")
        return pair()

    monkeypatch.setattr(frames, "pair", none_left)
    with pytest.raises(OSError, match="Too many open files"):
        await serving.upload("model", add())

    async with asyncio.timeout(10):
        while serving.forks._processes:  # noqa: ASYNC110  nothing tells
            await asyncio.sleep(0.02)


def no_such_operator() -> onnx.ModelProto:
    kind = (FLOAT, ["n"])
    node = onnx.helper.make_node("NoSuchOperator", ["x"], ["y"])
    return model([node], {"x": kind}, {"y": kind})


async def test_nothing_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(endless().SerializeToString())
    server = subprocess.Popen(  # noqa: ASYNC220, S603  to be killed
        [sys.executable, "-c", SERVER, str(file)], stdout=subprocess.PIPE, text=True
    )
    with server:
        assert server.stdout is not None
        line = await asyncio.to_thread(server.stdout.readline)
        pids = [int(word) for word in line.split()]
        assert len(pids) == 3
        assert all(map(alive, pids))

        server.kill()

        await ended(*pids, within_s=1)


async def test_a_group_that_is_told_to_end_leaves_workers_to_the_server(
    serving: Serving,
) -> None:
    """Who stops the whole unit stops the server, which lets requests finish."""
    await serving.upload("model", add())
    zygote = serving.forks._zygote
    assert zygote is not None

    for pid in (zygote.pid, serving.pid("model")):
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
    await asyncio.sleep(0.1)

    assert (await serving.infer("model", ONES))[0, 0] == 2.0
    assert alive(zygote.pid)
