"""Process isolation: each model in a sandboxed process of its own.

A process is forked by the zygote for each judgement and for each model. What it says is
held against what it was asked; one that says anything else is killed.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from blindai.errors import (
    ModelCrashedError,
    ModelRefusedError,
    OverloadedError,
    ProtocolError,
)
from blindai.inference import sandbox
from blindai.inference.extensions import library
from blindai.inference.isolation import BlamelessError
from blindai.inference.worker import frames, specs
from blindai.inference.worker.channel import Channel
from blindai.inference.worker.forks import Forks
from blindai.inference.worker.remote_lane import RemoteLane, refusal

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from blindai.inference.admission_limits import AdmissionLimits
    from blindai.inference.model import ModelSpec
    from blindai.inference.spool import Spool
    from blindai.inference.worker.forks import Process
    from blindai.inference.worker.frames import Frame

_OPEN_FILES: Final = 32
_OPEN_FILES_OF_A_LANE: Final = 64  # each memory for outputs that somebody holds is one


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """What a worker may cost.

    Attributes:
        sandbox: What the kernel has to offer: "full", "seccomp" or "none".
        threads: Threads that work on one operator.
        memory_bytes: Of a model's process, beside three times the model's own size.
        admission_memory_bytes: Of the process that judges a file.
        admission_s: How long judging may take, in seconds; also of processor time.
        load_s: How long loading may take, in seconds.
        stop_s: How long a run may go on once it was told to stop, in seconds.
        run_s: How long any run may go on, told to stop or not, in seconds: who gives
            up early ends nobody's worker.
        max_output_bytes: Of one run's outputs together.
        extensions: Whether models have the operators of onnxruntime-extensions.
    """

    sandbox: str = "full"
    threads: int = 1
    memory_bytes: int = 4 << 30
    admission_memory_bytes: int = 2 << 30
    admission_s: float = 60.0
    load_s: float = 60.0
    stop_s: float = 1.0
    run_s: float = 0.0
    max_output_bytes: int = 256 << 20
    extensions: bool = False


class ProcessIsolation:
    """See `isolation.Isolation`.

    Args:
        limits: What workers may cost.
        forks: Makes workers.
    """

    def __init__(self, limits: ProcessLimits, forks: Forks | None = None) -> None:
        self._limits = limits
        self._forks = forks or Forks(limits.sandbox, extensions=limits.extensions)

    async def start(self) -> None:
        """Start the zygote.

        Raises:
            ConfigurationError: If the kernel offers less than the sandbox must be, or
                extensions that models are to have are not installed.
        """
        if self._limits.extensions:
            library()
        sandbox.offered().require(sandbox.Minimum(self._limits.sandbox))
        await self._forks.start()

    async def admit(self, spool: Spool, limits: AdmissionLimits) -> ModelSpec:
        """Judge a model in a process that ends with it; see `isolation.Isolation`.

        Raises:
            ModelRefusedError: If it may not be loaded, or cannot be judged.
        """
        seconds = self._limits.admission_s
        worker = await self._fork(self._limits.admission_memory_bytes, seconds)
        try:
            question: dict[str, object] = {"op": "admit", "limits": asdict(limits)}
            answer = await worker.ask(question, [spool.descriptor], seconds)
            return specs.parse(answer.get("spec"))
        except ProtocolError as error:
            raise ModelRefusedError(_not_judged(error.message)) from error
        finally:
            worker.end("it has judged")

    async def load(self, spool: Spool, spec: ModelSpec, lanes: int) -> ProcessModel:
        """Load a model into a process of its own; see `isolation.Isolation`."""
        limits = self._limits
        memory_bytes = limits.memory_bytes + 3 * spool.size_bytes
        worker = await self._fork(memory_bytes, None, lanes)
        ends: list[socket.socket] = []
        theirs: list[socket.socket] = []
        with ExitStack() as always, ExitStack() as unless_loaded:
            unless_loaded.callback(worker.end, "it did not load")
            for _ in range(lanes):
                end, other = frames.pair()
                ends.append(unless_loaded.enter_context(end))
                theirs.append(always.enter_context(other))
            head: dict[str, object] = {
                "op": "load",
                "spec": specs.encode(spec),
                "threads": limits.threads,
                "paths": sandbox.offered().landlock_abi > 0,
                "max_output_bytes": limits.max_output_bytes,
                "extensions": limits.extensions,
            }
            descriptors = [spool.descriptor, *(each.fileno() for each in theirs)]
            await worker.ask(head, descriptors, limits.load_s)
            unless_loaded.pop_all()
        return ProcessModel(worker, ends, spec, limits)

    async def close(self) -> None:
        """End the zygote, and with it all workers."""
        await self._forks.close()

    async def _fork(
        self, memory_bytes: int, cpu_s: float | None, lanes: int = 0
    ) -> Worker:
        ours, theirs = frames.pair()
        with theirs, ExitStack() as unless_forked:
            unless_forked.enter_context(ours)
            limits: dict[str, object] = {
                "memory_bytes": memory_bytes,
                "file_bytes": memory_bytes,
                "open_files": _OPEN_FILES + _OPEN_FILES_OF_A_LANE * lanes,
                "cpu_seconds": None if cpu_s is None else round(cpu_s),
            }
            process = await self._forks.fork(theirs, limits)
            unless_forked.pop_all()
        return Worker(ours, process)


class Worker:
    """A process, its connection, and the way to kill it.

    Attributes:
        gone: Done once it is.
    """

    def __init__(self, end: socket.socket, process: Process) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._process = process
        self._reason: str | None = None
        self._channel = Channel(end, self._take, self.end)
        self._answer: asyncio.Future[dict[str, Any]] | None = None

    async def ask(
        self, head: dict[str, object], descriptors: Sequence[int], timeout_s: float
    ) -> dict[str, Any]:
        """Ask for something about a model, and await the answer.

        Raises:
            ModelRefusedError: If the worker says so, dies of it, or takes too long.
        """
        answer: asyncio.Future[dict[str, Any]]
        answer = self._answer = asyncio.get_running_loop().create_future()
        self._channel.send(head, descriptors=descriptors)
        either: set[asyncio.Future[Any]] = {answer, self.gone}
        await asyncio.wait(
            either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if answer.done():
            return answer.result()
        if not self.gone.done():
            self.end(f"it took more than {timeout_s:g} s")
        raise ModelRefusedError(_not_judged(await self.epitaph()))

    def say(self, head: dict[str, object]) -> None:
        """Say something that has no answer."""
        self._channel.send(head)

    def end(self, reason: str | None = None) -> None:
        """End the process at once.

        Args:
            reason: Why; None if its connection ended, which it does if the process did.
        """
        self._channel.close()
        if not self.gone.done():
            self._reason = reason
            self._process.kill()
            self.gone.set_result(None)

    async def epitaph(self) -> str:
        """Why it ended, in words."""
        if self._reason is not None:
            return f"its worker was ended: {self._reason}"
        return await self._process.epitaph()

    def _take(self, frame: Frame) -> None:
        frames.close_all(frame.descriptors)
        if self._answer is None or self._answer.done():
            raise ProtocolError("it answered to nothing")
        if "problem" in frame.head:
            self._answer.set_exception(refusal(frame, (ModelRefusedError,)))
        else:
            self._answer.set_result(frame.head)


class ProcessModel:
    """A model in a process; see `isolation.Loaded`."""

    def __init__(
        self,
        worker: Worker,
        ends: Sequence[socket.socket],
        spec: ModelSpec,
        limits: ProcessLimits,
    ) -> None:
        self._worker = worker
        self._limits = limits
        self._guilty: int | None = (
            None  # the lane whose run did not stop, if that was it
        )
        self._loop = asyncio.get_running_loop()
        self._mourning: asyncio.Task[None] | None = None
        self.lanes = tuple(
            RemoteLane(
                end,
                spec,
                limits.max_output_bytes,
                partial(self._stop, number),
                self._end,
            )
            for number, end in enumerate(ends)
        )
        self.gone = worker.gone
        self.gone.add_done_callback(self._mourn)

    async def close(self) -> None:
        """End the process."""
        gone = OverloadedError("model: expected it in service, got it taken out")
        for lane in self.lanes:
            lane.close()
            lane.fail(gone)
        self._worker.end("it was closed")

    def _stop(self, number: int, run: int) -> None:
        self._worker.say({"op": "stop", "lane": number, "run": run})
        passed_s = time.monotonic() - self.lanes[number].began
        wait_s = max(self._limits.stop_s, self._limits.run_s - passed_s)
        self._loop.call_later(wait_s, self._force, number, run)

    def _force(self, number: int, run: int) -> None:
        lane = self.lanes[number]
        if lane.busy and lane.run_number == run:
            self._guilty = number
            self._end("it did not stop when its time had passed")

    def _end(self, reason: str | None) -> None:
        """End the process; a lane that is idle takes nothing from now on."""
        for lane in self.lanes:
            if not lane.busy:
                lane.close()
        self._worker.end(reason)

    def _mourn(self, _: asyncio.Future[None]) -> None:
        self._mourning = self._loop.create_task(self._fail())

    async def _fail(self) -> None:
        """Answer what ran with how the worker ended, as soon as that is known.

        Where one run did not stop, the others may be taken over.
        """
        if any(lane.busy for lane in self.lanes):
            reason = await self._worker.epitaph()
            error = ModelCrashedError(f"model: expected an answer, but {reason}")
            blameless = BlamelessError(error.message)
            for number, lane in enumerate(self.lanes):
                lane.fail(error if self._guilty in {None, number} else blameless)
        for lane in self.lanes:
            lane.close()


def _not_judged(reason: str) -> str:
    return f"model: expected it judged and loaded, but {reason}"
