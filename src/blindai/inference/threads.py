"""Thread isolation: models run in threads of this process.

For TEEs where processes are dear. A model that crashes takes the enclave with it, and
one that exploits the runtime reads all of it: see docs/security/limitations.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from blindai.errors import BlindAIError, InternalError
from blindai.inference import runtime
from blindai.inference.admission import admit
from blindai.inference.blocking import look_at
from blindai.inference.extensions import loaded_library
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from blindai.inference.admission_limits import AdmissionLimits
    from blindai.inference.blocking import Threads
    from blindai.inference.isolation import Feed, Outcome
    from blindai.inference.model import ModelSpec, TensorSpec
    from blindai.inference.spool import Spool

    _Work: TypeAlias = tuple[
        Sequence[Feed], Sequence[TensorSpec], asyncio.Future[Outcome]
    ]

_JOIN_S = 10.0
_T = TypeVar("_T")


class ThreadIsolation:
    """See `isolation.Isolation`.

    Args:
        threads: Where models are judged and loaded.
        intra_op_threads: Threads that work on one operator.
        max_output_bytes: Of one run's outputs together.
        extensions: Whether models have the operators of onnxruntime-extensions.
    """

    def __init__(
        self,
        threads: Threads,
        *,
        intra_op_threads: int = 1,
        max_output_bytes: int = 256 << 20,
        extensions: bool = False,
    ) -> None:
        self._threads = threads
        self._intra_op_threads = intra_op_threads
        self._max_output_bytes = max_output_bytes
        self._extensions = extensions

    async def start(self) -> None:
        """Load the library of extensions, if models are to have it.

        Raises:
            ConfigurationError: If it is not installed.
        """
        if self._extensions:
            await self._threads.call(loaded_library)

    async def admit(self, spool: Spool, limits: AdmissionLimits) -> ModelSpec:
        """Judge a model in a thread; see `isolation.Isolation`.

        No sizes are inferred: what crashes as it does that would end this process.
        """
        limits = replace(limits, infer=False, own_process=False)
        return await self._threads.call(lambda: admit(spool.view(), limits))

    async def load(self, spool: Spool, spec: ModelSpec, lanes: int) -> ThreadModel:
        """Load a model in a thread; see `isolation.Isolation`."""
        model = await self._threads.call(self._load, spool, spec)
        return ThreadModel(model, lanes)

    async def close(self) -> None:
        """Nothing to end."""

    def _load(self, spool: Spool, spec: ModelSpec) -> runtime.Model:
        source = runtime.source_of(spool.view(), spool.path)
        return runtime.load(
            source,
            spec,
            threads=self._intra_op_threads,
            max_output_bytes=self._max_output_bytes,
            size_bytes=spool.size_bytes,
            extensions=self._extensions,
        )


class ThreadModel:
    """A model in this process; see `isolation.Loaded`."""

    def __init__(self, model: runtime.Model, lanes: int) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lanes = tuple(ThreadLane(model) for _ in range(lanes))

    async def close(self) -> None:
        """End the threads, once what runs in them has ended.

        A run that does not end keeps its thread, and the model: nothing ends a thread.
        """
        for lane in self.lanes:
            lane.stop()
        for lane in self.lanes:
            await asyncio.to_thread(lane.join, _JOIN_S)


class ThreadLane:
    """One lane and its thread.

    `concurrent.futures` keeps a future of its own with locks for each run: two more
    hand-offs on the way to an answer, which showed in the measurements.
    """

    def __init__(self, model: runtime.Model) -> None:
        self._model = model
        self._loop = asyncio.get_running_loop()
        self._waiting: SimpleQueue[_Work | None] = SimpleQueue()
        self._stop = runtime.Stop()
        self._thread = Thread(target=self._serve, name="blindai-run", daemon=True)
        self._thread.start()

    def run(
        self, feeds: Sequence[Feed], outputs: Sequence[TensorSpec]
    ) -> asyncio.Future[Outcome]:
        """Begin a run; see `isolation.Lane`."""
        future: asyncio.Future[Outcome] = self._loop.create_future()
        future.add_done_callback(look_at)
        self._stop = runtime.Stop()
        self._waiting.put((feeds, outputs, future))
        return future

    def stop(self) -> None:
        """Have the model stop before its next node."""
        self._stop()

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended, but no longer than this, in seconds."""
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def _serve(self) -> None:
        while (work := self._waiting.get()) is not None:
            feeds, outputs, future = work
            try:
                outcome = self._model.run(
                    list(map(_tensor, feeds)), outputs, self._stop
                )
            except BlindAIError as error:
                self._tell(future.set_exception, error)
            except Exception:  # noqa: BLE001  its text may hold values of tensors
                fault = InternalError("run: expected it to end, got a fault of ours")
                self._tell(future.set_exception, fault)
            else:
                self._tell(future.set_result, outcome)
                del outcome
            del work, feeds, future  # while idle, nobody's tensors are kept

    def _tell(self, tell: Callable[[_T], None], result: _T) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(tell, result)


def _tensor(feed: Feed) -> Tensor:
    if len(feed.parts) == 1:
        return Tensor(feed.name, feed.datatype, feed.shape, feed.parts[0])
    kind = feed.datatype.numpy
    dtype = None if feed.datatype is Datatype.BYTES else kind
    array = np.concatenate(feed.parts, dtype=dtype)
    return Tensor(feed.name, feed.datatype, feed.shape, array)
