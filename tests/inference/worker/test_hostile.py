"""Code in a worker that means harm: it fails at it, and is not believed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from tests.inference.isolations import MAX_OUTPUT_BYTES, admit, isolated, spooled
from tests.inference.worker.alive import alive, descriptors, ended

from blindai.errors import ModelCrashedError, ModelRefusedError
from blindai.inference import sandbox
from blindai.inference.isolation import Feed, Loaded
from blindai.inference.model import ModelSpec, TensorSpec
from blindai.inference.worker.forks import Forks
from blindai.inference.worker.processes import ProcessIsolation, ProcessLimits, Worker
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not sandbox.offered().landlock_abi, reason="this kernel has no Landlock"
    ),
]

PROGRAM = Path(__file__).with_name("hostile_zygote.py")
LIMITS = ProcessLimits(stop_s=0.2, max_output_bytes=MAX_OUTPUT_BYTES)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def hostile() -> AsyncIterator[ProcessIsolation]:
    """An isolation whose workers are hostile."""
    forks = Forks("full", [str(PROGRAM)])
    async with isolated("process", LIMITS, forks) as isolation:
        assert isinstance(isolation, ProcessIsolation)
        yield isolation


async def worker(hostile: ProcessIsolation) -> tuple[Worker, int]:
    """A worker and its process."""
    known = set(hostile._forks._processes)
    made = await hostile._fork(1 << 30, None)
    (pid,) = set(hostile._forks._processes) - known
    return made, pid


EPERM = {"EPERM", "EACCES", "EROFS"}
ATTEMPTS = {
    "read a file": EPERM,
    "read its own program": EPERM,
    "list a folder": EPERM,
    "write a file": EPERM,
    "open a TCP socket": EPERM,
    "open a UDP socket": EPERM,
    "open a Unix socket": EPERM,
    "fork": EPERM,
    "execute": EPERM,
    "read another's memory": EPERM,
    "open another's memory": EPERM,
    "attach to another": EPERM,
    "kill another": EPERM,
    "kill the zygote": EPERM,
    "write to the model": EPERM,
    "map the model for writing": EPERM,
    "cut the model off": EPERM,
    "become root": EPERM,
    "become dumpable": EPERM,
}


@pytest.mark.parametrize("what", ATTEMPTS)
async def test_code_in_a_worker_cannot(hostile: ProcessIsolation, what: str) -> None:
    attacker, pid = await worker(hostile)
    victim, other = await worker(hostile)
    async with spooled(b"a model") as spool:
        answer = await attacker.ask(
            {"op": "attempt", "what": what, "pid": other}, [spool.descriptor], 10
        )
        assert bytes(spool.view()) == b"a model"

    assert answer["result"] in ATTEMPTS[what]
    assert alive(pid)
    assert alive(other)
    assert not victim.gone.done()
    attacker.end("done")
    victim.end("done")


def spec(behaviour: str) -> ModelSpec:
    return ModelSpec(
        (TensorSpec(behaviour, Datatype.FP32, (1,)),),
        (TensorSpec("y", Datatype.FP32, (1,)),),
    )


async def load(hostile: ProcessIsolation, behaviour: str) -> tuple[Loaded, int]:
    known = set(hostile._forks._processes)
    async with spooled(b"a model") as spool:
        model = await hostile.load(spool, spec(behaviour), 2)
    (pid,) = set(hostile._forks._processes) - known
    return model, pid


async def run(model: Loaded, behaviour: str, lane: int = 0) -> list[float]:
    feeds = [Feed.of(Tensor.of(behaviour, np.ones(1, np.float32)))]
    async with asyncio.timeout(10):
        outcome = await model.lanes[lane].run(feeds, spec(behaviour).outputs)
    values: list[float] = outcome.outputs[0].array.tolist()
    return values


LIES = [
    "no frame",
    "no CBOR",
    "no map",
    "empty map",
    "a long head",
    "much too long",
    "no outputs",
    "more outputs",
    "a huge shape",
    "a huge empty shape",
    "many dimensions",
    "a negative shape",
    "a shape of truth",
    "a shape of text",
    "an offset outside",
    "a negative offset",
    "a negative size",
    "a size that is not the shape's",
    "no time",
    "memory that is not there",
    "memory dropped that is not there",
    "memory dropped that is no number",
    "unsealed memory",
    "more memory than it may",
    "two memories",
    "memory for a message",
    "memory in a refusal",
    "memory that is a socket",
    "an offset outside of memory",
    "many descriptors",
    "a strange refusal",
]


@pytest.mark.parametrize("lie", LIES)
async def test_a_worker_that_lies_is_ended(hostile: ProcessIsolation, lie: str) -> None:
    before = descriptors()
    model, pid = await load(hostile, lie)

    with pytest.raises(ModelCrashedError, match="its worker was ended: ") as error:
        await run(model, lie)

    assert "mind your own" not in str(error.value)
    assert model.gone.done()
    await ended(pid)
    with pytest.raises(ModelCrashedError):
        await run(model, lie, lane=1)
    await model.close()
    await asyncio.sleep(0)
    assert descriptors() <= before


async def test_an_answer_that_nobody_asked_for_ends_the_worker(
    hostile: ProcessIsolation,
) -> None:
    model, pid = await load(hostile, "two answers")

    assert await run(model, "two answers") == [0.0]
    async with asyncio.timeout(5):
        await model.gone

    await ended(pid)
    await model.close()


async def test_an_honest_one_among_them_goes_on(hostile: ProcessIsolation) -> None:
    model, _ = await load(hostile, "honest")
    for lie in ("empty map", "many descriptors", "exit"):
        other, _ = await load(hostile, lie)
        with pytest.raises(ModelCrashedError):
            await run(other, lie)
        assert await run(model, "honest") == [0.0]
        await other.close()

    assert not model.gone.done()
    await model.close()


@pytest.mark.parametrize(
    ("death", "words"),
    [
        ("exit", "its worker ended with status 7"),
        ("segfault", "its worker died of SIGSEGV"),
        ("a signal without a name", "its worker died of signal 40"),
    ],
)
async def test_a_death_is_told_by_its_name(
    hostile: ProcessIsolation, death: str, words: str
) -> None:
    model, _ = await load(hostile, death)

    with pytest.raises(ModelCrashedError, match=words):
        await run(model, death)

    await model.close()


async def test_one_that_does_not_stop_is_ended_after_a_grace(
    hostile: ProcessIsolation,
) -> None:
    model, pid = await load(hostile, "silence")
    running = asyncio.ensure_future(run(model, "silence"))
    await asyncio.sleep(0.05)
    began = time.monotonic()

    model.lanes[0].stop()

    with pytest.raises(ModelCrashedError, match="did not stop when its time"):
        await running
    assert 0.2 <= time.monotonic() - began < 2
    await ended(pid)
    await model.close()


async def test_a_judge_that_lies_refuses_the_model(hostile: ProcessIsolation) -> None:
    with pytest.raises(ModelRefusedError, match="expected it judged and loaded, but"):
        await admit(hostile, b"a model")
