"""Hostile models: what admission refuses, and what workers are there for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
from tests.inference import hostile
from tests.inference.hostile import Built
from tests.inference.hostile_admitted import ADMITTED
from tests.inference.hostile_refused import REFUSED

from blindai.errors import BlindAIError, ModelRefusedError
from blindai.inference.admission import admit
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.blocking import Threads
from blindai.inference.isolation import Feed, Outcome
from blindai.inference.spool import Spool
from blindai.inference.worker.processes import ProcessIsolation, ProcessLimits
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio

LIMITS = ProcessLimits(memory_bytes=1 << 30, admission_s=30, load_s=30, stop_s=0.5)
RUN_S = 1.0


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def isolation() -> AsyncIterator[ProcessIsolation]:
    made = ProcessIsolation(LIMITS)
    await made.start()
    yield made
    await made.close()


@pytest.mark.parametrize(("built", "message"), REFUSED.values(), ids=REFUSED)
def test_admission_refuses(built: Built, message: str) -> None:
    with pytest.raises(ModelRefusedError, match=message) as refused:
        admit(memoryview(built()), AdmissionLimits())

    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 600


@pytest.mark.parametrize("built", ADMITTED.values(), ids=ADMITTED)
async def test_a_worker_loads_and_runs_it_or_says_why_not(
    isolation: ProcessIsolation, built: Built
) -> None:
    started = time.monotonic()
    try:
        outcome = await load_and_run(isolation, built())
        assert outcome.outputs
    except BlindAIError as error:
        assert error.message.isprintable()  # noqa: PT017  either will do
    assert time.monotonic() - started < 30


async def test_what_takes_too_long_to_load_is_refused_in_time() -> None:
    isolation = ProcessIsolation(ProcessLimits(load_s=1))
    await isolation.start()
    started = time.monotonic()
    try:
        with pytest.raises(ModelRefusedError, match="it took more than 1 s"):
            await load_and_run(isolation, hostile.folding(50_000, 512))
    finally:
        await isolation.close()
    assert time.monotonic() - started < 20


async def test_what_is_large_is_computed_when_it_runs_and_not_when_it_loads(
    isolation: ProcessIsolation,
) -> None:
    """100 products of 16 MiB: a minute's work, if it were done while loading."""
    started = time.monotonic()

    with pytest.raises(BlindAIError, match=r"stopped before|did not stop"):
        await load_and_run(isolation, hostile.folding(100, 2048))

    assert time.monotonic() - started < 20


async def test_an_error_that_is_not_utf8_is_one_of_ours(
    isolation: ProcessIsolation,
) -> None:
    with pytest.raises(ModelRefusedError, match="with a name that is not UTF-8"):
        await load_and_run(isolation, hostile.unreadable(Relu=b"\xff\xfe\xfd\xfc"))


async def test_an_endless_loop_is_stopped(isolation: ProcessIsolation) -> None:
    with pytest.raises(BlindAIError, match="got stopped before it"):
        await load_and_run(isolation, hostile.loop(hostile.I64))


async def load_and_run(isolation: ProcessIsolation, contents: bytes) -> Outcome:
    threads = Threads()
    with Spool(threads, 1 << 30) as spool:
        await spool.write(contents)
        spec = await isolation.admit(spool, AdmissionLimits())
        loaded = await isolation.load(spool, spec, 1)
    try:
        feeds = [
            Feed.of(zeros(each.name, each.datatype, each.shape or ()))
            for each in spec.inputs
        ]
        run = loaded.lanes[0].run(feeds, spec.outputs)
        await asyncio.wait({run}, timeout=RUN_S)
        if not run.done():
            loaded.lanes[0].stop()
        return await run
    finally:
        await loaded.close()
        await threads.close()


def zeros(name: str, kind: Datatype, shape: tuple[object, ...]) -> Tensor:
    sizes = tuple(size if isinstance(size, int) else 1 for size in shape)
    return Tensor(name, kind, sizes, np.zeros(sizes, kind.numpy))
