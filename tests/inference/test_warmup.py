"""A model's first run, on zeros."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from blindai.errors import (
    BlindAIError,
    InvalidRequestError,
    ModelCrashedError,
    ModelRefusedError,
    OverloadedError,
)
from blindai.inference import warmup
from blindai.inference.isolation import Feed, Outcome
from blindai.inference.model import Dimension, ModelSpec, TensorSpec
from blindai.protocol.datatypes import Datatype

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Model:
    """A loaded model of one lane, which is that model too."""

    def __init__(self, answer: BlindAIError | None, *, ends: bool = True) -> None:
        self.lanes = (self,)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ran: list[list[Feed]] = []
        self.future: asyncio.Future[Outcome] = (
            asyncio.get_running_loop().create_future()
        )
        self._answer = answer
        if ends:
            self.stop()

    def run(
        self, feeds: Sequence[Feed], outputs: Sequence[TensorSpec]
    ) -> asyncio.Future[Outcome]:
        assert not outputs
        self.ran.append(list(feeds))
        return self.future

    def stop(self) -> None:
        if self._answer is not None:
            self.future.set_exception(self._answer)
        else:
            self.future.set_result(Outcome((), 0.0))

    async def close(self) -> None:
        raise AssertionError("whoever loaded it closes it")


def spec(datatype: Datatype, *shape: Dimension) -> ModelSpec:
    return ModelSpec((TensorSpec("x", datatype, shape),), ())


async def test_it_runs_once_on_zeros_and_symbols_are_one() -> None:
    model = Model(None)

    await warmup.warm_up(model, spec(Datatype.FP32, "n", None, 3))

    ((feed,),) = model.ran
    assert feed.shape == (1, 1, 3)
    assert np.all(feed.parts[0] == 0)


async def test_text_is_empty() -> None:
    model = Model(None)

    await warmup.warm_up(model, spec(Datatype.BYTES, 2))

    assert model.ran[0][0].parts[0].tolist() == [b"", b""]


@pytest.mark.parametrize("datatype", [Datatype.UINT8, Datatype.FP64, Datatype.BYTES])
@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 62, 1 << 62, 1 << 62, 0)], ids=str)
async def test_inputs_that_take_much_memory_are_not_made(
    datatype: Datatype, shape: tuple[int, ...]
) -> None:
    model = Model(None)

    await warmup.warm_up(model, spec(datatype, *shape))

    assert model.ran == []


async def test_that_it_refuses_zeros_is_no_reason_to_refuse_it() -> None:
    await warmup.warm_up(Model(InvalidRequestError("zeros")), spec(Datatype.FP32))


async def test_one_that_crashes_is_refused() -> None:
    model = Model(ModelCrashedError("its worker died of SIGSEGV"))

    with pytest.raises(ModelRefusedError, match=r"SIGSEGV \(on zeros, before"):
        await warmup.warm_up(model, spec(Datatype.FP32))


async def test_a_slow_one_is_stopped_and_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warmup, "_WARM_UP_S", 0.02)
    model = Model(OverloadedError("stopped"), ends=False)

    await warmup.warm_up(model, spec(Datatype.FP32))

    assert model.future.done()


async def test_one_that_does_not_stop_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warmup, "_WARM_UP_S", 0.02)
    monkeypatch.setattr(warmup, "_STOP_S", 0.02)
    model = Model(None, ends=False)
    monkeypatch.setattr(model, "stop", lambda: None)

    with pytest.raises(ModelRefusedError, match="to stop, and it did not"):
        await warmup.warm_up(model, spec(Datatype.FP32))
