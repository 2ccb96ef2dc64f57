"""Models behind one door: what the server imports of this package.

async with InferenceService(ServiceSettings()) as service:
    with service.spool() as spool:
        async for piece in body:
            await spool.write(piece)
        await service.upload(name, owner, spool, Upload(now=now))
    result = await service.infer(name, tensors, deadline=time.monotonic() + 10)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.blocking import Threads
from blindai.inference.engine import Engine, EngineLimits
from blindai.inference.identity import identify
from blindai.inference.observer import Silent
from blindai.inference.queueing import ANONYMOUS
from blindai.inference.room import NO_QUOTA, Quota, StoreLimits
from blindai.inference.scheduler import Scheduler
from blindai.inference.store import Store
from blindai.inference.worker.processes import ProcessIsolation, ProcessLimits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from types import TracebackType

    from blindai.inference.arrivals import Preload, Skipped, Upload
    from blindai.inference.folder import SealedFolder
    from blindai.inference.isolation import Isolation
    from blindai.inference.model import ModelInfo
    from blindai.inference.observer import Observer
    from blindai.inference.spool import Spool
    from blindai.protocol.proof import Batch
    from blindai.protocol.store_mark import StoreMark
    from blindai.protocol.tensor import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """All limits on models.

    Attributes:
        isolation: "process" for a sandboxed process a model, or "thread".
        slots: Runs at the same time, of all models together.
        process: What a worker process may cost; `threads`, `max_output_bytes` and
            `extensions` hold for both isolations.
        engine: How much is in memory, and how it runs.
        weights: Of tenants that get more or less than others, by name.
        store: How much is kept.
        admission: What admitting a model may cost.
        preload: Models that are served from the start, whatever is uploaded.
    """

    isolation: str = "process"
    slots: int = 2
    process: ProcessLimits = field(default_factory=ProcessLimits)
    engine: EngineLimits = field(default_factory=EngineLimits)
    weights: Mapping[str, float] = field(default_factory=dict)
    store: StoreLimits = field(default_factory=StoreLimits)
    admission: AdmissionLimits = field(default_factory=AdmissionLimits)
    preload: tuple[Preload, ...] = ()


@dataclass(frozen=True, slots=True)
class InferResult:
    """What a model answered.

    Attributes:
        outputs: The outputs asked for, in that order.
        model: The model that ran.
        inference_time_s: Seconds the model took, without waiting.
        batch: What ran together.
    """

    outputs: tuple[Tensor, ...] = field(repr=False)
    model: ModelInfo
    inference_time_s: float
    batch: Batch


class InferenceService:
    """Keeps models and runs them. An asynchronous context manager.

    Args:
        settings: All limits.
        folder: Where models outlive the process, if they do.
        observer: Told what happens; nobody if not given.

    Attributes:
        skipped: Sealed files that were not loaded at start; report them.
        runtime: What computes here.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        folder: SealedFolder | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._preload = settings.preload
        self.runtime = identify(
            settings.process.threads, extensions=settings.process.extensions
        )
        observer = observer or Silent()
        self._threads = Threads()
        self._scheduler = Scheduler(settings.slots, settings.weights, observer)
        self._engine = Engine(
            _isolation(settings, self._threads),
            self._scheduler,
            settings.engine,
            settings.admission,
            observer,
        )
        self._store = Store(self._engine, self._threads, settings.store, folder)
        self.skipped: tuple[Skipped, ...] = ()

    async def __aenter__(self) -> Self:
        await self._engine.start()
        for preload in self._preload:
            await self._store.preload(preload)
        self.skipped = await self._store.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def models(self) -> tuple[ModelInfo, ...]:
        """All versions of all models, in the order of their names and numbers."""
        return self._store.list()

    def versions(self, name: str) -> tuple[ModelInfo, ...]:
        """All versions of a model, the oldest first."""
        return self._store.versions(name)

    @property
    def mark(self) -> StoreMark | None:
        """How new the sealed store is; None where there is none."""
        return self._store.mark

    @property
    def waiting(self) -> int:
        """Requests in all queues."""
        return self._scheduler.waiting

    @property
    def loaded(self) -> int:
        """Models in memory, each version for itself."""
        return self._engine.loaded

    def model(self, name: str, version: int | None = None) -> ModelInfo:
        """What is known about a model, in its latest version if no other is named.

        Raises:
            NotFoundError: If there is none of this name or version.
        """
        return self._store.find(name, version).info

    def require(self, name: str, version: int | None = None) -> None:
        """Require that a model can be served.

        Raises:
            NotFoundError: If there is none of this name or version.
            UnavailableError: If its sealed file does not open.
        """
        self._store.find(name, version).require()

    def require_place(self, name: str, owner: str, quota: Quota = NO_QUOTA) -> None:
        """Whether a model could be uploaded; see `Store.require_place`.

        Raises:
            InvalidRequestError: If the name is not one.
            ConflictError: If the name is taken.
            OverloadedError: If there is no room, or it is too much for its owner.
        """
        self._store.require_place(name, owner, quota=quota)

    def spool(self) -> AbstractContextManager[Spool]:
        """Receive an upload.

        Raises:
            OverloadedError: If as many arrive already as may.
        """
        return self._store.spool()

    async def upload(
        self, name: str, owner: str, spool: Spool, how: Upload
    ) -> ModelInfo:
        """Serve what a spool has received; see `Store.add`.

        Raises:
            InvalidRequestError: If the name is not one.
            ConflictError: If the name is taken, or changing just now.
            OverloadedError: If there is no room, or it is too much for its owner.
            ModelRefusedError: If the model is not admitted or does not load.
            InternalError: If the disk fails.
        """
        return await self._store.add(name, owner, spool, how)

    async def delete(self, name: str, owner: str, version: int | None = None) -> None:
        """Remove a model, or one version of it. Requests that run keep it to their end.

        Raises:
            NotFoundError: If there is none of this name or version.
            ForbiddenError: If it is somebody else's.
            ConflictError: If the name is changing just now.
            InternalError: If the disk fails.
        """
        await self._store.delete(name, owner, version)

    async def expire(self, before: datetime) -> int:
        """Remove what was uploaded before a time; see `Store.expire`.

        Raises:
            InternalError: If the disk fails.
        """
        return await self._store.expire(before)

    async def infer(  # noqa: PLR0913  one argument a choice of the caller's
        self,
        name: str,
        tensors: Sequence[Tensor],
        deadline: float,
        *,
        tenant: str = ANONYMOUS,
        version: int | None = None,
        digest: str | None = None,
        outputs: Iterable[str] = (),
    ) -> InferResult:
        """Run a model.

        Args:
            name: The model's name.
            tensors: Its inputs.
            deadline: When to give up, by `time.monotonic`.
            tenant: Whose request it is.
            version: Which version of it; any that has the digest, or the latest, if
                None.
            digest: The SHA-256 the model must have, in lower-case hexadecimal digits.
            outputs: Names of the outputs to give; all of them if there are none.

        Raises:
            NotFoundError: If there is no model of this name, or not this version.
            ConflictError: If it has another digest.
            TensorError: If the model has not these inputs or outputs.
            InvalidRequestError: If the model fails on these inputs.
            ModelCrashedError: If its worker dies of them.
            UnavailableError: If its worker keeps dying, or its file does not open.
            OverloadedError: If too many wait, or the service is closing.
            DeadlineError: If the deadline passed, while waiting or while running.
        """
        found = self._store.find(name, version, digest)
        outcome = await self._engine.infer(
            found.require(), tenant, tensors, outputs, deadline
        )
        return InferResult(
            outcome.outputs, found.info, outcome.inference_time_s, outcome.batch
        )

    async def close(self) -> None:
        """Stop runs, refuse who waits, end all workers, forget all models."""
        self._scheduler.close()
        await self._engine.close()
        await self._threads.close()
        self._store.clear()


def _isolation(settings: ServiceSettings, threads: Threads) -> Isolation:
    """The isolation of a configuration.

    Only threads need ONNX Runtime in this process, so only they bring it in.
    """
    if settings.isolation == "process":
        return ProcessIsolation(settings.process)
    from blindai.inference.threads import ThreadIsolation  # noqa: PLC0415  see above

    return ThreadIsolation(
        threads,
        intra_op_threads=settings.process.threads,
        max_output_bytes=settings.process.max_output_bytes,
        extensions=settings.process.extensions,
    )
