"""Decides who runs next: bounded queues, deadlines, and a turn for every model.

A request runs at once where a worker is free. Otherwise it waits in its model's queue;
models take turns, so a busy one delays the others by one run each. A queue that is
full refuses. Who is cancelled or out of time leaves the queue, or has the run stopped.
A worker whose run does not stop at once stays taken until it does.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from blindai.errors import DeadlineError, OverloadedError
from blindai.inference import binding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from blindai.inference.runtime import LoadedModel, Outcome, Runtime
    from blindai.protocol.tensor import Tensor

    _Turn = asyncio.Future[None]

_T = TypeVar("_T")


class Scheduler:
    """Queues in front of a runtime.

    Args:
        runtime: What runs the models.
        max_queue: Requests that may wait for one model.
    """

    def __init__(self, runtime: Runtime, max_queue: int) -> None:
        self._runtime = runtime
        self._max_queue = max_queue
        self._free = runtime.workers
        # Only queues with somebody in them; the first one is next.
        self._queues: dict[str, deque[_Turn]] = {}
        self._closed = False

    async def infer(
        self,
        queue: str,
        model: LoadedModel,
        tensors: Sequence[Tensor],
        outputs: Iterable[str],
        deadline: float,
    ) -> Outcome:
        """Run a model when its turn comes.

        Args:
            queue: The queue to wait in: the model's name.
            model: What to run.
            tensors: Its inputs.
            outputs: Names of the outputs to give; all of them if there are none.
            deadline: When to give up, by `time.monotonic`.

        Raises:
            TensorError: If the model has not these inputs or outputs.
            InvalidRequestError: If the model fails on these inputs.
            OverloadedError: If the queue is full, or the scheduler closed.
            DeadlineError: If the deadline passed, while waiting or while running.
            asyncio.CancelledError: If the caller is cancelled; the run is stopped.
        """
        binding.require_inputs(model.spec, tensors)
        wanted = binding.select_outputs(model.spec, outputs)
        await self._take_worker(queue, deadline)
        run = self._runtime.start(model, tensors, wanted)
        run.future.add_done_callback(lambda _: self._give_back_worker())
        try:
            await _wait(run.future, deadline)
        except asyncio.CancelledError:
            run.stop()
            raise
        if not run.future.done():
            run.stop()
            raise DeadlineError("deadline: expected it ahead, passed while running")
        return run.future.result()

    def close(self) -> None:
        """Refuse all who wait and all who come."""
        self._closed = True
        for queue in self._queues.values():
            for turn in queue:
                turn.set_exception(_closed())
        self._queues.clear()

    async def _take_worker(self, name: str, deadline: float) -> None:
        if self._closed:
            raise _closed()
        if deadline <= time.monotonic():
            raise DeadlineError("deadline: expected it ahead, passed before the run")
        if self._free:
            self._free -= 1
            return
        queue = self._queues.get(name, deque())
        if len(queue) >= self._max_queue:
            raise OverloadedError(
                f"queue: expected at most {self._max_queue} requests waiting, got more"
            )
        turn = asyncio.get_running_loop().create_future()
        self._queues[name] = queue
        queue.append(turn)
        try:
            await _wait(turn, deadline)
        except asyncio.CancelledError:
            self._leave(name, turn)
            raise
        if not turn.done():
            self._leave(name, turn)
            raise DeadlineError("deadline: expected it ahead, passed in the queue")
        turn.result()

    def _leave(self, name: str, turn: _Turn) -> None:
        if not turn.done():
            self._queues[name].remove(turn)
            if not self._queues[name]:
                del self._queues[name]
        elif turn.exception() is None:  # it was this one's turn just now
            self._give_back_worker()

    def _give_back_worker(self) -> None:
        if not self._queues:
            self._free += 1
            return
        name = next(iter(self._queues))
        queue = self._queues.pop(name)
        queue.popleft().set_result(None)
        if queue:
            self._queues[name] = queue


async def _wait(future: asyncio.Future[_T], deadline: float) -> None:
    await asyncio.wait({future}, timeout=max(0.0, deadline - time.monotonic()))


def _closed() -> OverloadedError:
    return OverloadedError("server: expected it open, got it closing")
