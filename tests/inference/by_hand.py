"""Models that run by hand, and requests for them: for tests of what decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import pytest

from blindai.errors import BlindAIError
from blindai.inference.batches import Request
from blindai.inference.isolation import Feed, Lane, Outcome
from blindai.inference.model import TensorSpec
from blindai.inference.queueing import Batching, Queue
from blindai.inference.scheduler import Scheduler
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

OUTPUTS = (TensorSpec("y", Datatype.FP32, ("n", 1)),)


class Run:
    """A run that ends when the test says so, with what went in."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self.future: asyncio.Future[Outcome] = (
            asyncio.get_running_loop().create_future()
        )
        parts = [part.ravel().tolist() for part in feeds[0].parts]
        self.parts = [[int(value) for value in part] for part in parts]
        self.stopped = False

    def end(self, seconds: float = 0.0) -> None:
        values = np.concatenate(self.parts).astype(np.float32).reshape(-1, 1)
        outputs = (Tensor.of("y", values),)
        self.future.set_result(Outcome(outputs, seconds))

    def fail(self, error: BlindAIError) -> None:
        self.future.set_exception(error)


class FakeLane:
    """A lane that notes what it is asked to run."""

    def __init__(self, runs: list[Run]) -> None:
        self.runs = runs

    def run(
        self, feeds: Sequence[Feed], outputs: Sequence[TensorSpec]
    ) -> asyncio.Future[Outcome]:
        assert outputs == OUTPUTS
        self.current = Run(feeds)
        self.runs.append(self.current)
        return self.current.future

    def stop(self) -> None:
        self.current.stopped = True


class Model:
    """A model by hand; see `scheduler.Servable`."""

    def __init__(
        self, name: str, lanes: int, limit: int = 64, batching: Batching | None = None
    ) -> None:
        self.name = name
        self.queue = Queue(limit, batching)
        self.runs: list[Run] = []
        self.idle: list[Lane] = [FakeLane(self.runs) for _ in range(lanes)]
        self.alive = True
        self.given_up: BlindAIError | None = None

    def require(self) -> None:
        if self.given_up is not None:
            raise self.given_up

    def give_back(self, lane: Lane) -> bool:
        if self.alive:
            self.idle.append(lane)
        return self.alive

    @property
    def began(self) -> list[list[list[int]]]:
        return [run.parts for run in self.runs]


class Figures:
    """An observer that notes what it is told."""

    def __init__(self) -> None:
        self.ran_: list[tuple[str, int]] = []
        self.waits = 0

    def waited(self, seconds: float) -> None:
        assert seconds >= 0
        self.waits += 1

    def ran(self, model: str, requests: int, seconds: float) -> None:
        assert seconds >= 0
        self.ran_.append((model, requests))

    def restarted(self) -> None:
        raise AssertionError("nothing restarted")


def request(*rows: int) -> Request:
    values = np.array(rows, np.float32).reshape(-1, 1)
    return Request([Tensor.of("x", values)], OUTPUTS)


class Sending:
    """Requests to one scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._tasks: list[asyncio.Task[Outcome]] = []

    async def __call__(
        self,
        model: Model,
        *rows: int,
        tenant: str = "a",
        timeout_s: float = 30,  # a deadline is what is tested
    ) -> asyncio.Task[Outcome]:
        """Send, and wait until the request runs or waits."""
        deadline = time.monotonic() + timeout_s
        task = asyncio.get_running_loop().create_task(
            self._scheduler.infer(model, tenant, request(*rows), deadline)
        )
        self._tasks.append(task)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return task

    async def close(self) -> None:
        """Cancel what has not ended."""
        self._scheduler.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def outcome(task: asyncio.Task[Outcome]) -> list[float]:
    async with asyncio.timeout(5):
        values: list[float] = (await task).outputs[0].array.ravel().tolist()
    return values


async def begin(model: Model) -> Run:
    """Wait until the model runs."""
    async with asyncio.timeout(5):
        while not model.runs:  # noqa: ASYNC110  what is tested says no more
            await asyncio.sleep(0.001)
    return model.runs[0]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def cancel(task: asyncio.Task[Outcome]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
