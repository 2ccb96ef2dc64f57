"""Decides who runs next: bounded queues, fair shares, batches, deadlines.

A request runs at once where a lane of its model and a slot are free. Otherwise it waits
in its model's queue. When something becomes free, the tenant furthest behind is next,
with its oldest request for the model whose turn it is; what may go with that request
goes along. Who is cancelled or out of time leaves the queue, or has the run stopped,
unless others are in it. A lane whose run does not stop stays taken until it does.

Runs may be as long as their deadlines, and hold all slots. A tenant of whom nothing
runs, and who is a second behind all who do, gets a run beyond them: long runs of some
cost others a share of the processor, not their turn.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from blindai.errors import (
    BlindAIError,
    DeadlineError,
    OverloadedError,
)
from blindai.inference import batches
from blindai.inference.blocking import look_at
from blindai.inference.fairness import Shares, Using
from blindai.inference.isolation import BlamelessError
from blindai.inference.queueing import ANONYMOUS, Job, Queue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blindai.inference.batches import Request
    from blindai.inference.isolation import Lane, Outcome
    from blindai.inference.observer import Observer


_PATIENCE_S: Final = 1.0
_CLOSING: Final = "server: expected it open, got it closing"


class Servable(Protocol):
    """A model as the scheduler sees it.

    Attributes:
        name: What it is called.
        queue: Who waits for it.
        idle: Its lanes that nothing runs on; empty while it has none.
    """

    name: str
    queue: Queue
    idle: list[Lane]

    def give_back(self, lane: Lane) -> bool:
        """Take a lane back after a run; whether it is still there."""
        ...

    def require(self) -> None:
        """Have it come back, if it is not there.

        Raises:
            UnavailableError: If it is out of service.
        """
        ...


class Scheduler:
    """Queues in front of lanes.

    Args:
        slots: Runs at the same time, of all models together; beyond them one of each
            tenant that would have none.
        weights: Of tenants, by name; 1 where there is none.
        observer: Is told what happens.
    """

    def __init__(
        self, slots: int, weights: Mapping[str, float], observer: Observer
    ) -> None:
        self._free = slots  # below 0 by the runs beyond them
        self._full_since = 0.0
        self._shares = Shares(weights)
        self._observer = observer
        # Only models somebody waits for; the first one is next.
        self._waiting: dict[Servable, None] = {}
        self._running: dict[Job, _Run] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._closed = False

    async def infer(
        self, model: Servable, tenant: str, request: Request, deadline: float
    ) -> Outcome:
        """Run a request when its turn comes.

        Args:
            model: What to run.
            tenant: Whose request it is.
            request: Inputs and outputs, accepted by `binding`.
            deadline: When to give up, by `time.monotonic`.

        Raises:
            InvalidRequestError: If the model fails on these inputs.
            ModelCrashedError: If the model's worker dies of them.
            UnavailableError: If the model goes out of service meanwhile.
            OverloadedError: If the queue is full, or the scheduler closed.
            DeadlineError: If the deadline passed, while waiting or while running.
            asyncio.CancelledError: If the caller is cancelled; the run is stopped.
        """
        if self._closed:
            raise OverloadedError(_CLOSING)
        now = time.monotonic()
        if deadline <= now:
            raise DeadlineError("deadline: expected it ahead, passed before the run")
        loop = asyncio.get_running_loop()
        job = Job(request, tenant, loop.create_future(), deadline, now)
        if displaced := model.queue.add(job):
            _fail(displaced, model.queue.full())
        self._waiting[model] = None
        timer = loop.call_later(deadline - now, self._expire, model, job)
        self.dispatch()
        try:
            return await job.future
        except asyncio.CancelledError:
            self._abandon(model, job)
            raise
        finally:
            timer.cancel()

    @property
    def waiting(self) -> int:
        """Requests in all queues."""
        return sum(len(model.queue) for model in self._waiting)

    def dispatch(self) -> None:
        """Start all that can run; call it when lanes have become free."""
        while self._waiting and (chosen := self._next()):
            self._start(*chosen)

    def refuse(self, model: Servable, error: BlindAIError) -> None:
        """Answer all who wait for a model."""
        self._waiting.pop(model, None)
        for job in model.queue.clear():
            _fail(job, error)

    def close(self) -> None:
        """Refuse all who wait and all who come, and stop all that runs."""
        self._closed = True
        self._wake_in(float("inf"))
        for model in list(self._waiting):
            self.refuse(model, OverloadedError(_CLOSING))
        for run in set(self._running.values()):
            run.lane.stop()

    def _next(self) -> tuple[Servable, list[Job]] | None:
        """The batch whose turn it is, or None if none can run now."""
        ready: dict[str, tuple[Servable, list[Job]]] = {}
        soonest = float("inf")
        now = time.monotonic()
        for model in self._waiting:
            if not model.idle:
                continue
            for tenant in model.queue.tenants:
                if tenant in ready:
                    continue
                jobs, delay = model.queue.batch(tenant, now)
                if self._free <= 0:
                    delay = max(delay, self._patience_s(model, tenant, now))
                if delay <= 0:
                    ready[tenant] = (model, jobs)
                soonest = min(soonest, delay)
        if ready:
            return ready[self._shares.first(ready)]
        self._wake_in(soonest)
        return None

    def _patience_s(self, model: Servable, tenant: str, now: float) -> float:
        """How much longer a tenant waits for a slot before it has a run without one.

        Nobody knows who is whom without API keys: there it is models that have one.
        """
        if tenant == ANONYMOUS:
            taken = any(run.model is model for run in self._running.values())
            return float("inf") if taken else self._full_since + _PATIENCE_S - now
        using: dict[str, Using] = {}
        for job, run in self._running.items():
            more_s = (now - run.started) / len(run.jobs) - run.expected_s
            using.setdefault(job.tenant, Using()).add(1 / len(run.jobs), more_s)
        if tenant in using:
            return float("inf")
        return self._shares.until_behind_s(tenant, using, _PATIENCE_S)

    def _wake_in(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if seconds < float("inf"):
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(seconds, self.dispatch)

    def _start(self, model: Servable, jobs: list[Job]) -> None:
        del self._waiting[model]
        for job in jobs:
            model.queue.remove(job)
        if len(model.queue):
            self._waiting[model] = None  # at the end: the others' turn
        lane = model.idle.pop()
        run = _Run(model, lane, jobs)
        self._free -= 1
        if not self._free:
            self._full_since = run.started
        for job in jobs:
            self._running[job] = run
            self._shares.charge(job.tenant, run.expected_s)
            self._observer.waited(run.started - job.arrived)
        feeds = batches.feeds(run.requests)
        future = lane.run(feeds, run.requests[0].outputs)
        future.add_done_callback(partial(self._end, run))

    def _end(self, run: _Run, future: asyncio.Future[Outcome]) -> None:
        self._free += 1
        seconds = time.monotonic() - run.started
        share = seconds / len(run.jobs)
        for job in run.jobs:
            del self._running[job]
            self._shares.charge(job.tenant, share - run.expected_s)
        run.model.queue.learn(share)
        alive = run.model.give_back(run.lane)
        self._observer.ran(run.model.name, len(run.jobs), seconds)
        try:
            outcomes = batches.split(future.result(), run.requests)
        except BlindAIError as error:
            begun = not isinstance(error, BlamelessError)
            if not self._closed and (not begun or (alive and len(run.jobs) > 1)):
                self._repeat(run, alone=begun)
            else:
                for job in run.jobs:
                    _fail(job, error)
        else:
            for job, outcome in zip(run.jobs, outcomes, strict=True):
                if not job.future.done():
                    job.future.set_result(outcome)
        self.dispatch()

    def _repeat(self, run: _Run, *, alone: bool) -> None:
        """Have all wait again; alone where one may have failed the others."""
        for job in reversed(run.jobs):
            if not job.future.done():
                job.alone = alone or job.alone
                run.model.queue.put_back(job)
                self._waiting[run.model] = None
        try:
            run.model.require()  # it may have died, and be given up, just now
        except BlindAIError as error:
            self.refuse(run.model, error)

    def _expire(self, model: Servable, job: Job) -> None:
        where = "while running" if job in self._running else "in the queue"
        _fail(job, DeadlineError(f"deadline: expected it ahead, passed {where}"))
        self._abandon(model, job)

    def _abandon(self, model: Servable, job: Job) -> None:
        """Nobody waits for this one any more."""
        run = self._running.get(job)
        if run is not None:
            if all(each.future.done() for each in run.jobs):
                run.lane.stop()
            return
        model.queue.remove(job)
        if not len(model.queue):
            self._waiting.pop(model, None)


class _Run:
    """Jobs that run on a lane."""

    def __init__(self, model: Servable, lane: Lane, jobs: list[Job]) -> None:
        self.model = model
        self.lane = lane
        self.jobs = jobs
        self.requests = [job.request for job in jobs]
        self.expected_s = model.queue.expected_s
        self.started = time.monotonic()


def _fail(job: Job, error: BlindAIError) -> None:
    if not job.future.done():
        job.future.set_exception(error)
        look_at(job.future)
