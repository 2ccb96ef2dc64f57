"""Models behind one door: what the server imports of this package.

async with InferenceService(ServiceSettings()) as service:
    with service.spool() as spool:
        async for piece in body:
            await spool.write(piece)
        await service.upload(name, owner, spool, may_replace=False, now=now)
    result = await service.infer(name, tensors, deadline=time.monotonic() + 10)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from blindai.errors import ConflictError
from blindai.inference.admission import AdmissionLimits
from blindai.inference.runtime import Runtime, RuntimeSettings
from blindai.inference.scheduler import Scheduler
from blindai.inference.store import Skipped, Store, StoreLimits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from types import TracebackType

    from blindai.inference.folder import SealedFolder
    from blindai.inference.model import ModelInfo
    from blindai.inference.spool import Spool
    from blindai.protocol.tensor import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """All limits on models.

    Attributes:
        max_queue: Requests that may wait for one model.
        runtime: How much runs at once.
        store: How much is kept.
        admission: What admitting a model may cost.
    """

    max_queue: int = 64
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    store: StoreLimits = field(default_factory=StoreLimits)
    admission: AdmissionLimits = field(default_factory=AdmissionLimits)


@dataclass(frozen=True, slots=True)
class InferResult:
    """What a model answered.

    Attributes:
        outputs: The outputs asked for, in that order.
        model: The model that ran.
        inference_time_s: Seconds the model took, without waiting.
    """

    outputs: tuple[Tensor, ...] = field(repr=False)
    model: ModelInfo
    inference_time_s: float


class InferenceService:
    """Keeps models and runs them. An asynchronous context manager.

    Args:
        settings: All limits.
        folder: Where models outlive the process, if they do.

    Attributes:
        skipped: Sealed files that were not loaded at start; report them.
    """

    def __init__(
        self, settings: ServiceSettings, folder: SealedFolder | None = None
    ) -> None:
        self._runtime = Runtime(settings.runtime)
        self._scheduler = Scheduler(self._runtime, settings.max_queue)
        self._store = Store(self._runtime, settings.store, settings.admission, folder)
        self.skipped: tuple[Skipped, ...] = ()

    async def __aenter__(self) -> Self:
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
        """All models, in the order of their names."""
        return self._store.list()

    def model(self, name: str) -> ModelInfo:
        """What is known about a model.

        Raises:
            NotFoundError: If there is none of this name.
        """
        return self._store.get(name).info

    def spool(self) -> AbstractContextManager[Spool]:
        """Receive an upload.

        Raises:
            OverloadedError: If as many arrive already as may.
        """
        return self._store.spool()

    async def upload(
        self, name: str, owner: str, spool: Spool, *, may_replace: bool, now: datetime
    ) -> ModelInfo:
        """Serve what a spool has received; see `Store.add`.

        Raises:
            InvalidRequestError: If the name is not one.
            ConflictError: If the name is taken, or changing just now.
            OverloadedError: If there is no room.
            ModelRefusedError: If the model is not admitted or does not load.
            InternalError: If the disk fails.
        """
        return await self._store.add(
            name, owner, spool, may_replace=may_replace, now=now
        )

    async def delete(self, name: str, owner: str) -> None:
        """Remove a model. Requests that run keep it until they end.

        Raises:
            NotFoundError: If there is none of this name.
            ForbiddenError: If it is somebody else's.
            ConflictError: If the name is changing just now.
            InternalError: If the disk fails.
        """
        await self._store.delete(name, owner)

    async def infer(
        self,
        name: str,
        tensors: Sequence[Tensor],
        deadline: float,
        *,
        digest: str | None = None,
        outputs: Iterable[str] = (),
    ) -> InferResult:
        """Run a model.

        Args:
            name: The model's name.
            tensors: Its inputs.
            deadline: When to give up, by `time.monotonic`.
            digest: The SHA-256 the model must have, in lower-case hexadecimal digits.
            outputs: Names of the outputs to give; all of them if there are none.

        Raises:
            NotFoundError: If there is no model of this name.
            ConflictError: If the model has another digest.
            TensorError: If the model has not these inputs or outputs.
            InvalidRequestError: If the model fails on these inputs.
            OverloadedError: If too many wait, or the service is closing.
            DeadlineError: If the deadline passed, while waiting or while running.
        """
        model = self._store.get(name)
        if digest is not None and digest != model.info.digest:
            raise ConflictError(
                f"model digest: expected {digest}, got {model.info.digest}"
            )
        outcome = await self._scheduler.infer(
            name, model.loaded, tensors, outputs, deadline
        )
        return InferResult(outcome.outputs, model.info, outcome.inference_time_s)

    async def close(self) -> None:
        """Stop runs, refuse who waits, end all threads, forget all models."""
        self._scheduler.close()
        await self._runtime.close()
        self._store.clear()
