"""Where models run, as the rest of the package sees it.

A loaded model has lanes: each runs one batch at a time, several run side by side. Two
kinds of isolation keep this contract, and one suite of tests holds both to it:

    worker.processes.ProcessIsolation   a sandboxed process for each model
    threads.ThreadIsolation             threads of this process, where processes are
                                        dear
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from blindai.errors import ModelCrashedError
from blindai.protocol.proof import ALONE, Batch

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from blindai.inference.admission_limits import AdmissionLimits
    from blindai.inference.model import ModelSpec, TensorSpec
    from blindai.inference.spool import Spool
    from blindai.protocol.datatypes import Array, Datatype
    from blindai.protocol.tensor import Tensor


class BlamelessError(ModelCrashedError):
    """The worker was dead before it saw the run, or was ended for another's.

    Nothing came of it, so another worker may take it over.
    """


@dataclass(frozen=True, slots=True)
class Feed:
    """One input of a batch.

    Attributes:
        name: The model's name for it.
        datatype: The type of its elements.
        shape: Its dimensions, those of all parts together.
        parts: The inputs of the requests in the batch, one after the other along the
            first dimension; a single one may have any shape.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    parts: tuple[Array, ...] = field(repr=False)

    @classmethod
    def of(cls, tensor: Tensor) -> Feed:
        """The input of a request that runs by itself."""
        return cls(tensor.name, tensor.datatype, tensor.shape, (tensor.array,))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave.

    Attributes:
        outputs: The outputs asked for, in that order.
        inference_time_s: Seconds the model took, without waiting.
        batch: What ran together.
    """

    outputs: tuple[Tensor, ...] = field(repr=False)
    inference_time_s: float
    batch: Batch = ALONE


class Lane(Protocol):
    """Runs one batch at a time."""

    def run(
        self, feeds: Sequence[Feed], outputs: Sequence[TensorSpec]
    ) -> asyncio.Future[Outcome]:
        """Begin a run; nobody else's may be on this lane.

        Returns:
            The outcome, or what `runtime.Model.run` raises; ModelCrashedError if the
            worker died of it, BlamelessError if before it or for another run,
            OverloadedError if the model was closed.
        """

    def stop(self) -> None:
        """Have the run end soon, by itself or by force; its future says when."""


class Loaded(Protocol):
    """A model that is ready to run.

    It is never gone where it runs in threads of this process: what ends them ends it.
    """

    @property
    def lanes(self) -> Sequence[Lane]:
        """What may run at the same time."""
        ...

    @property
    def gone(self) -> asyncio.Future[None]:
        """Done once the model can run no more."""
        ...

    async def close(self) -> None:
        """End what runs, and free all memory."""


class Isolation(Protocol):
    """Judges models, and makes them ready to run."""

    async def start(self) -> None:
        """Prepare. Call it once, before anything else."""

    async def admit(self, spool: Spool, limits: AdmissionLimits) -> ModelSpec:
        """Read what a model takes and gives, and refuse one that may not be loaded.

        Raises:
            ModelRefusedError: If it may not, or cannot be judged within the limits.
        """

    async def load(self, spool: Spool, spec: ModelSpec, lanes: int) -> Loaded:
        """Load an admitted model.

        Raises:
            ModelRefusedError: If the runtime does not take it, or passes a limit.
        """

    async def close(self) -> None:
        """End everything."""
