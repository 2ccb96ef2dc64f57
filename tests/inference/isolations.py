"""Both kinds of isolation, and models in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import onnx

from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.blocking import Threads
from blindai.inference.isolation import Feed, Isolation, Loaded, Outcome
from blindai.inference.model import ModelSpec
from blindai.inference.spool import Spool
from blindai.inference.threads import ThreadIsolation
from blindai.inference.worker.forks import Forks
from blindai.inference.worker.processes import ProcessIsolation, ProcessLimits
from blindai.protocol.datatypes import Array
from blindai.protocol.tensor import Tensor

KINDS = ("thread", "process")
MAX_OUTPUT_BYTES = 64 << 20
LIMITS = ProcessLimits(max_output_bytes=MAX_OUTPUT_BYTES)


@asynccontextmanager
async def isolated(
    kind: str, limits: ProcessLimits = LIMITS, forks: Forks | None = None
) -> AsyncIterator[Isolation]:
    """An isolation of a kind, started."""
    threads = Threads()
    isolation: Isolation = ProcessIsolation(limits, forks)
    if kind == "thread":
        isolation = ThreadIsolation(
            threads,
            max_output_bytes=limits.max_output_bytes,
            extensions=limits.extensions,
        )
    await isolation.start()
    yield isolation
    await isolation.close()
    await threads.close()


@asynccontextmanager
async def spooled(proto: onnx.ModelProto | bytes) -> AsyncIterator[Spool]:
    """A model that was received."""
    data = proto if isinstance(proto, bytes) else proto.SerializeToString()
    with Spool(Threads(), 1 << 30) as spool:
        spool.append(data)
        yield spool


async def admit(isolation: Isolation, proto: onnx.ModelProto | bytes) -> ModelSpec:
    """What a model takes and gives."""
    async with spooled(proto) as spool:
        return await isolation.admit(spool, AdmissionLimits())


@asynccontextmanager
async def loaded(
    isolation: Isolation,
    proto: onnx.ModelProto,
    lanes: int = 1,
    limits: AdmissionLimits | None = None,
) -> AsyncIterator[Running]:
    """A model that is ready to run."""
    async with spooled(proto) as spool:
        spec = await isolation.admit(spool, limits or AdmissionLimits())
        model = await isolation.load(spool, spec, lanes)
    try:
        yield Running(model, spec)
    finally:
        await model.close()


class Running:
    """A loaded model, and short ways to run it."""

    def __init__(self, model: Loaded, spec: ModelSpec) -> None:
        self.model = model
        self.spec = spec

    def begin(
        self, *tensors: Tensor, lane: int = 0, outputs: Sequence[int] = ()
    ) -> asyncio.Future[Outcome]:
        """Begin a run on a lane."""
        wanted = [self.spec.outputs[at] for at in outputs] or self.spec.outputs
        feeds = list(map(Feed.of, tensors))
        return self.model.lanes[lane].run(feeds, tuple(wanted))

    async def run(self, *tensors: Tensor, lane: int = 0) -> list[Array]:
        """Run on a lane; the outputs' arrays."""
        async with asyncio.timeout(60):
            outcome = await self.begin(*tensors, lane=lane)
        return [output.array for output in outcome.outputs]

    async def give(self, array: Array) -> Array:
        """Run a model of one input `x` and one output."""
        (output,) = await self.run(Tensor.of("x", array))
        return output

    async def repeat(self, value: float, times: int) -> Array:
        """Run `graphs.repeated` on 1024 numbers."""
        (output,) = await self.run(
            Tensor.of("x", np.full(1024, value, np.float32)),
            Tensor.of("n", np.array([times])),
        )
        return output
