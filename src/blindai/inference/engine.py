"""Loads models, keeps as many in memory as the budget allows, and runs them.

What was used least recently is put to rest when another one needs its memory, and comes
back when somebody asks for it. Where all are busy they take turns.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from blindai.errors import OverloadedError
from blindai.inference import binding
from blindai.inference.batches import Request
from blindai.inference.blocking import look_at
from blindai.inference.queueing import Batching
from blindai.inference.serving import Served
from blindai.inference.warmup import warm_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from blindai.inference.admission_limits import AdmissionLimits
    from blindai.inference.isolation import Isolation, Loaded, Outcome
    from blindai.inference.model import ModelInfo, ModelSpec
    from blindai.inference.observer import Observer
    from blindai.inference.scheduler import Scheduler
    from blindai.inference.spool import Spool
    from blindai.protocol.tensor import Tensor


class Source(Protocol):
    """Where a model's bytes are while it is not loaded."""

    def open(self) -> AbstractAsyncContextManager[Spool]:
        """The bytes, all of them.

        Raises:
            BlindAIError: If they cannot be had.
        """
        ...

    def close(self) -> None:
        """Free what they take."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """How much is in memory, and how it runs.

    Attributes:
        max_loaded_bytes: ONNX files of loaded models together.
        max_queue: Requests that may wait for one model.
        lanes: Runs of one model at the same time.
        batching: How requests go together, by the model's name.
    """

    max_loaded_bytes: int = 8 << 30
    max_queue: int = 64
    lanes: int = 1
    batching: Mapping[str, Batching] = field(default_factory=dict)


class Engine:
    """Models in service, over one kind of isolation.

    Args:
        isolation: Where they run.
        scheduler: Decides who runs.
        limits: How much is in memory.
        admission: What admitting a model may cost.
        observer: Is told what happens.
    """

    def __init__(
        self,
        isolation: Isolation,
        scheduler: Scheduler,
        limits: EngineLimits,
        admission: AdmissionLimits,
        observer: Observer,
    ) -> None:
        self._isolation = isolation
        self._scheduler = scheduler
        self._limits = limits
        self._admission = admission
        self._observer = observer
        self._served: dict[Served, Source] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._room = asyncio.Lock()
        self._reserved = 0  # bytes of what is being loaded

    async def start(self) -> None:
        """Prepare; once, before anything else."""
        await self._isolation.start()

    async def admit(self, spool: Spool) -> ModelSpec:
        """Read what a model takes and gives, and refuse one that may not be loaded.

        Raises:
            ModelRefusedError: If it may not.
        """
        return await self._isolation.admit(spool, self._admission)

    async def serve(self, info: ModelInfo, spool: Spool, source: Source) -> Served:
        """Load an admitted model, warm it up, and put it into service.

        Args:
            info: What is known about it.
            spool: Its bytes, now.
            source: Its bytes, whenever it has to be loaded again.

        Raises:
            ModelRefusedError: If it does not load, or crashes on zeros.
            OverloadedError: If nothing can make way for it.
        """
        served = Served(
            info,
            partial(self._reload, info, source),
            self._scheduler,
            self._observer,
            max_queue=self._limits.max_queue,
            batching=self._limits.batching.get(info.name, Batching()),
        )
        with ExitStack() as undo:
            undo.callback(source.close)
            async with self._reserve(info.size_bytes):
                loaded = await self._load(info, spool)
            undo.pop_all()
        self._served[served] = source
        served.attach(loaded)
        return served

    async def infer(
        self,
        served: Served,
        tenant: str,
        tensors: Sequence[Tensor],
        outputs: Iterable[str],
        deadline: float,
    ) -> Outcome:
        """Run a model for a tenant; see `Scheduler.infer`.

        Raises:
            TensorError: If the model has not these inputs or outputs.
            BlindAIError: As `Scheduler.infer` raises.
        """
        binding.require_inputs(served.info.spec, tensors)
        wanted = binding.select_outputs(served.info.spec, outputs)
        served.require()
        request = Request(tensors, wanted)
        return await self._scheduler.infer(served, tenant, request, deadline)

    async def retire(self, served: Served) -> None:
        """Take a model out of service, once what runs and waits for it has ended.

        That is not waited for; nobody may ask for it any more.
        """
        task = asyncio.get_running_loop().create_task(self._retire(served))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        task.add_done_callback(look_at)

    async def rest(self, served: Served) -> None:
        """Free the memory of a model that nobody asks now; a request brings it back."""
        if served.loaded and not served.busy:
            await served.rest()

    @property
    def loaded(self) -> int:
        """Models in memory."""
        return sum(each.loaded for each in self._served)

    async def close(self) -> None:
        """End everything, at once."""
        for task in list(self._retiring):
            task.cancel()
            await asyncio.wait({task})
        for served in list(self._served):
            await self._end(served)
        await self._isolation.close()

    async def _retire(self, served: Served) -> None:
        try:
            await served.drain()
        finally:
            await self._end(served)

    async def _end(self, served: Served) -> None:
        await served.close()
        self._served.pop(served).close()

    async def _reload(self, info: ModelInfo, source: Source) -> Loaded:
        """Load a model again; who is busy makes way for it, if nobody else can.

        Raises:
            OverloadedError: If there is no room now.
        """
        try:
            async with self._reserve(info.size_bytes), source.open() as spool:
                return await self._load(info, spool)
        except OverloadedError:
            self._ask_for_room()
            raise

    async def _load(self, info: ModelInfo, spool: Spool) -> Loaded:
        """Load a model and warm it up. Who calls it attaches it without a pause."""
        loaded = await self._isolation.load(spool, info.spec, self._limits.lanes)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(loaded.close)
            await warm_up(loaded, info.spec)
            undo.pop_all()
        return loaded

    @asynccontextmanager
    async def _reserve(self, size: int) -> AsyncIterator[None]:
        """Keep room for a model while it is loaded, which may take long."""
        async with self._room:  # one after the other, or two find the same room
            await self._make_room(size)
            self._reserved += size
        try:
            yield
        finally:
            self._reserved -= size

    async def _make_room(self, size: int) -> None:
        while self._loaded_bytes() + size > self._limits.max_loaded_bytes:
            resting = [each for each in self._served if each.may_rest]
            if not resting:
                raise OverloadedError(
                    f"loaded models: expected at most {self._limits.max_loaded_bytes}"
                    " bytes together, got more that are busy"
                )
            await min(resting, key=lambda each: each.used).rest()

    def _ask_for_room(self) -> None:
        """Have the model make way that was in memory longest, unless one does."""
        loaded = [each for each in self._served if each.loaded]
        now = time.monotonic()
        asked = [each for each in loaded if each.stays_until <= now]
        if asked and not any(each.leaving for each in loaded):
            min(asked, key=lambda each: each.stays_until).make_way()

    def _loaded_bytes(self) -> int:
        loaded = sum(each.info.size_bytes for each in self._served if each.loaded)
        return loaded + self._reserved
