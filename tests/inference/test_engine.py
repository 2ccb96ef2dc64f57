"""What is in memory, what rests, what comes back; and models that go while they run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import onnx
import pytest
from tests.inference.graphs import FOR_EVER, add, endless
from tests.inference.inside import served
from tests.inference.isolations import KINDS
from tests.inference.worker.alive import descriptors

from blindai.errors import (
    ModelRefusedError,
    NotFoundError,
    OverloadedError,
    SealingError,
)
from blindai.inference.arrivals import Upload
from blindai.inference.engine import EngineLimits
from blindai.inference.isolation import Loaded
from blindai.inference.service import InferenceService, ServiceSettings
from blindai.inference.serving import Served
from blindai.inference.threads import ThreadModel
from blindai.inference.worker.processes import ProcessModel
from blindai.protocol.datatypes import Array
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio

NOW = datetime(2024, 5, 6, tzinfo=UTC)
ONES = Tensor.of("x", np.ones((1, 4), np.float32))
SIZE = len(add().SerializeToString())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Make(Protocol):
    """Makes services."""

    def __call__(
        self, max_loaded_bytes: int = ..., slots: int = ...
    ) -> AbstractAsyncContextManager[InferenceService]: ...


@pytest.fixture
def make(kind: str) -> Make:
    @asynccontextmanager
    async def make(
        max_loaded_bytes: int = 1 << 30, slots: int = 4
    ) -> AsyncIterator[InferenceService]:
        engine = EngineLimits(max_loaded_bytes=max_loaded_bytes, lanes=2)
        settings = ServiceSettings(isolation=kind, slots=slots, engine=engine)
        async with InferenceService(settings) as service:
            yield service

    return make


async def upload(
    service: InferenceService, name: str, proto: onnx.ModelProto | None = None
) -> None:
    with service.spool() as spool:
        await spool.write((proto or add()).SerializeToString())
        await service.upload(name, "o", spool, Upload(now=NOW))


async def infer(service: InferenceService, name: str, *tensors: Tensor) -> Array:
    deadline = time.monotonic() + 20
    result = await service.infer(name, tensors or [ONES], deadline)
    return result.outputs[0].array


def loaded(service: InferenceService) -> set[str]:
    return {info.name for info in service.models() if served(service, info.name).loaded}


async def test_who_was_asked_for_least_recently_makes_way(make: Make) -> None:
    async with make(2 * SIZE) as service:
        await upload(service, "a")
        await upload(service, "b")
        await infer(service, "a")

        await upload(service, "c")

        assert loaded(service) == {"a", "c"}
        assert len(service.models()) == 3


async def test_who_rests_comes_back_when_asked_for(make: Make) -> None:
    async with make(SIZE) as service:
        for number, name in enumerate("abc"):
            await upload(service, name, add(float(number)))
        for _ in range(3):
            for number, name in enumerate("abc"):
                assert (await infer(service, name))[0, 0] == 1.0 + number
                assert loaded(service) == {name}


async def test_many_may_ask_for_who_rests_at_once(make: Make) -> None:
    async with make(SIZE) as service:
        await upload(service, "a")
        await upload(service, "b", add(2.0))

        answers = await asyncio.gather(*(infer(service, name) for name in "ab" * 10))

        assert [float(each[0, 0]) for each in answers] == [2.0, 3.0] * 10


async def test_who_is_busy_makes_no_way(make: Make) -> None:
    async with make(len(endless().SerializeToString())) as service:
        await upload(service, "busy", endless())
        running = asyncio.ensure_future(infer(service, "busy", *FOR_EVER))
        await asyncio.sleep(0.05)

        with pytest.raises(OverloadedError, match="got more that are busy"):
            await upload(service, "a")

        assert loaded(service) == {"busy"}
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.sleep(0.2)  # until it has stopped
        await upload(service, "a")
        assert loaded(service) == {"a"}


async def test_who_finds_no_room_waits_for_it(make: Make) -> None:
    """That others are busy is no fault of a model's: it is not given up."""
    async with make(len(endless().SerializeToString())) as service:
        await upload(service, "a")
        await upload(service, "busy", endless())
        running = asyncio.ensure_future(infer(service, "busy", *FOR_EVER))
        await asyncio.sleep(0.05)
        waiting = asyncio.ensure_future(infer(service, "a"))
        await asyncio.sleep(0.7)
        assert not waiting.done()

        running.cancel()

        assert (await waiting)[0, 0] == 2.0


async def test_a_model_that_fails_its_warm_up_is_ended(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Loaded] = []

    async def refuse(_: Loaded, __: object) -> None:
        raise ModelRefusedError("model: expected it to run on zeros")

    def watch(kind: type[ProcessModel | ThreadModel]) -> None:
        close = kind.close

        async def tell(model: ProcessModel | ThreadModel) -> None:
            ended.append(model)
            await close(model)  # type: ignore[arg-type]  # of the same kind

        monkeypatch.setattr(kind, "close", tell)

    watch(ProcessModel)
    watch(ThreadModel)
    monkeypatch.setattr("blindai.inference.engine.warm_up", refuse)
    async with make() as service:
        with pytest.raises(ModelRefusedError, match="on zeros"):
            await upload(service, "a")

        assert len(ended) == 1


async def test_who_is_always_busy_makes_way_in_its_turn(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blindai.inference.serving._STAYS_S", 0.2)
    count = Tensor.of("n", np.array(20_000))
    answers = []

    async def ask() -> None:
        while True:
            answers.append(await infer(service, "busy", count))

    async with make(len(endless().SerializeToString())) as service:
        await upload(service, "a")
        await upload(service, "busy", endless())
        asking = [asyncio.create_task(ask()) for _ in range(4)]
        await asyncio.sleep(0.3)

        for _ in range(2):
            async with asyncio.timeout(5):
                assert (await infer(service, "a"))[0, 0] == 2.0
            before = len(answers)
            await asyncio.sleep(1)
            assert len(answers) > before

        assert not any(each.done() for each in asking)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_who_makes_way_goes_on_if_it_cannot_soon(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blindai.inference.serving._STAYS_S", 0.1)
    monkeypatch.setattr("blindai.inference.serving._LEAVES_S", 0.3)
    async with make(len(endless().SerializeToString())) as service:
        await upload(service, "a")
        await upload(service, "busy", endless())
        running = asyncio.ensure_future(infer(service, "busy", *FOR_EVER))
        await asyncio.sleep(0.2)
        waiting = asyncio.ensure_future(infer(service, "a"))
        model = served(service, "busy")
        await asyncio.sleep(0.25)
        assert model.leaving

        async with asyncio.timeout(5):
            assert (await infer(service, "busy", Tensor.of("n", np.array(3)))) == 3.0
        assert not waiting.done()

        running.cancel()
        assert (await waiting)[0, 0] == 2.0


async def test_a_deleted_model_ends_what_it_runs_first(make: Make) -> None:
    async with make(slots=1) as service:
        await upload(service, "model", endless())
        three = Tensor.of("n", np.array(3))
        long = Tensor.of("n", np.array(30_000))
        running = asyncio.ensure_future(infer(service, "model", long))
        waiting = asyncio.ensure_future(infer(service, "model", three))
        await asyncio.sleep(0.01)

        await service.delete("model", "o")

        with pytest.raises(NotFoundError):
            await infer(service, "model", three)
        assert await running == 30_000.0
        assert await waiting == 3.0
        async with asyncio.timeout(5):
            while service._engine._served:  # noqa: ASYNC110  nothing tells
                await asyncio.sleep(0.01)


async def test_a_replaced_model_misses_no_request(make: Make) -> None:
    async with make(slots=1) as service:
        await upload(service, "model", add(0.0))
        answers: list[float] = []

        async def ask() -> None:
            while not answers or answers[-1] < 4.0:
                answers.append(float((await infer(service, "model"))[0, 0]))

        asking = [asyncio.ensure_future(ask()) for _ in range(5)]
        for number in range(1, 4):
            await upload(service, "model", add(float(number)))
        async with asyncio.timeout(20):
            await asyncio.gather(*asking)

        assert set(answers) >= {1.0, 4.0}


async def test_a_slow_load_holds_up_no_other(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make() as service:
        load = service._engine._isolation.load
        gate = asyncio.Event()

        async def slow(*arguments: object) -> object:
            await gate.wait()
            return await load(*arguments)  # type: ignore[arg-type]  # any

        monkeypatch.setattr(service._engine._isolation, "load", slow)
        first = asyncio.ensure_future(upload(service, "slow"))
        await asyncio.sleep(0.2)
        monkeypatch.setattr(service._engine._isolation, "load", load)

        async with asyncio.timeout(5):
            await upload(service, "quick")

        assert not first.done()
        gate.set()
        await first


async def test_what_is_being_loaded_counts(make: Make) -> None:
    async with make(SIZE) as service:
        results = await asyncio.gather(
            upload(service, "a"), upload(service, "b"), return_exceptions=True
        )

        assert {type(each) for each in results} <= {type(None), OverloadedError}
        assert len(loaded(service)) == 1
        assert service._engine._reserved == 0


async def test_what_does_not_load_leaves_no_trace(make: Make) -> None:
    kind = (onnx.TensorProto.FLOAT, ["n"])
    inputs = [onnx.helper.make_tensor_value_info("x", *kind)]
    outputs = [onnx.helper.make_tensor_value_info("y", *kind)]
    node = onnx.helper.make_node("NoSuchOperator", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", inputs, outputs)
    opset = onnx.helper.make_opsetid("", 20)
    broken = onnx.helper.make_model(graph, ir_version=10, opset_imports=[opset])
    async with make() as service:
        await upload(service, "a")
        before = descriptors()

        for _ in range(3):
            with pytest.raises(ModelRefusedError):
                await upload(service, "b", broken)

        assert service._engine._reserved == 0
        assert descriptors() <= before


async def test_a_model_whose_bytes_are_lost_is_given_up(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blindai.inference.serving._FIRST_PAUSE_S", 0.001)
    async with make(SIZE) as service:
        await upload(service, "a")
        await upload(service, "b")
        model: Served = served(service, "a")

        async def lost() -> object:
            raise SealingError("sealed model: expected what was kept, got another")

        monkeypatch.setattr(model, "_load", lost)

        with pytest.raises(Exception, match="out of service"):
            await infer(service, "a")
        assert (await infer(service, "b"))[0, 0] == 2.0


async def test_a_fault_of_ours_does_not_end_a_model(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make(SIZE) as service:
        await upload(service, "a")
        await upload(service, "b")
        model: Served = served(service, "a")
        load = model._load

        async def faulty() -> object:
            monkeypatch.setattr(model, "_load", load)
            raise KeyError("a fault")

        monkeypatch.setattr(model, "_load", faulty)

        assert (await infer(service, "a"))[0, 0] == 2.0
