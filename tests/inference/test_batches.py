"""Batches of real models: each answer is its own request's, as if it ran alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from tests.inference.graphs import FLOAT, INT64, Shape, model

from blindai.cli.demo_ocr import find_model
from blindai.errors import InternalError, InvalidRequestError
from blindai.inference import batches
from blindai.inference.arrivals import Upload
from blindai.inference.batches import Request, has_rows
from blindai.inference.engine import EngineLimits
from blindai.inference.isolation import Outcome
from blindai.inference.model import ModelSpec, TensorSpec
from blindai.inference.observer import Silent
from blindai.inference.queueing import Batching
from blindai.inference.service import InferenceService, ServiceSettings
from blindai.protocol.datatypes import Array, Datatype
from blindai.protocol.proof import ALONE, Batch
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio

NOW = datetime(2024, 5, 6, tzinfo=UTC)
RANDOM = np.random.default_rng(7)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def weights(name: str, *shape: int) -> onnx.TensorProto:
    values = RANDOM.standard_normal(shape) / np.sqrt(shape[-1])
    return numpy_helper.from_array(values.astype(np.float32), name)


def mlp() -> onnx.ModelProto:
    """Two layers; (n, 32) to (n, 8)."""
    return model(
        [
            helper.make_node("Gemm", ["x", "a"], ["h"]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("Gemm", ["r", "b"], ["g"]),
            helper.make_node("Softmax", ["g"], ["y"], axis=-1),
        ],
        {"x": (FLOAT, ["n", 32])},
        {"y": (FLOAT, ["n", 8])},
        [weights("a", 32, 64), weights("b", 64, 8)],
    )


def cnn() -> onnx.ModelProto:
    """Convolutions and a mean; (n, 3, 32, 32) to (n, 16)."""
    return model(
        [
            helper.make_node("Conv", ["x", "a"], ["c"], pads=[1] * 4),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("Conv", ["r", "b"], ["d"], strides=[2, 2]),
            helper.make_node("GlobalAveragePool", ["d"], ["p"]),
            helper.make_node("Flatten", ["p"], ["y"]),
        ],
        {"x": (FLOAT, ["n", 3, 32, 32])},
        {"y": (FLOAT, ["n", 16])},
        [weights("a", 8, 3, 3, 3), weights("b", 16, 8, 3, 3)],
    )


def leaking() -> onnx.ModelProto:
    """Gives each row the answer of another: the last row first."""
    slicing = {"start": -1, "end": -(1 << 62), "axis": 0, "by": -1}
    constants = [
        helper.make_tensor(name, INT64, [1], [number])
        for name, number in slicing.items()
    ]
    node = helper.make_node("Slice", ["x", *slicing], ["y"])
    kind: tuple[int, Shape] = (FLOAT, ["n", 1])
    return model([node], {"x": kind}, {"y": kind}, constants)


def lookup() -> onnx.ModelProto:
    """Row x of a table of two rows."""
    table = helper.make_tensor("table", FLOAT, [2, 1], [10, 20])
    node = helper.make_node("Gather", ["table", "x"], ["y"])
    return model([node], {"x": (INT64, ["n"])}, {"y": (FLOAT, ["n", 1])}, [table])


class Sizes(Silent):
    """How many requests ran at once, run by run."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def ran(self, model: str, requests: int, seconds: float) -> None:
        assert model == "model"
        assert seconds > 0
        self.sizes.append(requests)


@asynccontextmanager
async def serving(
    proto: bytes, batching: Batching | None, isolation: str = "thread"
) -> AsyncIterator[tuple[InferenceService, Sizes]]:
    sizes = Sizes()
    batchings = {} if batching is None else {"model": batching}
    settings = ServiceSettings(
        isolation=isolation, slots=2, engine=EngineLimits(batching=batchings)
    )
    async with InferenceService(settings, observer=sizes) as service:
        with service.spool() as spool:
            await spool.write(proto)
            await service.upload("model", "o", spool, Upload(now=NOW))
        yield service, sizes


async def ask(
    service: InferenceService, tenants: Sequence[str], inputs: Sequence[Array]
) -> list[Array | BaseException]:
    """All at once; the answers."""

    async def one(tenant: str, array: Array) -> Array:
        name = service.model("model").spec.inputs[0].name
        result = await service.infer(
            "model", [Tensor.of(name, array)], time.monotonic() + 30, tenant=tenant
        )
        return result.outputs[0].array

    every = map(one, tenants, inputs)
    return list(await asyncio.gather(*every, return_exceptions=True))


PATIENT = Batching(max_rows=16, max_delay_s=0.3)
TOGETHER = Batching(max_rows=16, max_delay_s=0.3, across_tenants=True)
SECRETS = [np.array([[111]], np.float32), np.array([[222]], np.float32)]


async def test_a_model_that_leaks_across_rows_shows_why_tenants_are_apart() -> None:
    """Across tenants, each is given the other's row: so it has to be asked for."""
    async with serving(leaking().SerializeToString(), TOGETHER) as (service, sizes):
        answers = await ask(service, ["alice", "bob"], SECRETS)

    assert sizes.sizes == [2]
    np.testing.assert_array_equal(answers[0], SECRETS[1])
    np.testing.assert_array_equal(answers[1], SECRETS[0])


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("batching", [None, PATIENT], ids=["none", "within tenants"])
@pytest.mark.parametrize("tenants", [("alice", "bob"), ("", "")], ids=str)
async def test_a_model_that_leaks_across_rows_is_held(
    isolation: str, batching: Batching | None, tenants: tuple[str, str]
) -> None:
    proto = leaking().SerializeToString()
    async with serving(proto, batching, isolation) as (service, sizes):
        answers = await ask(service, tenants, SECRETS)

    assert sizes.sizes == [1, 1]
    np.testing.assert_array_equal(answers, SECRETS)


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize(
    ("proto", "shape"), [(mlp(), (32,)), (cnn(), (3, 32, 32))], ids=["mlp", "cnn"]
)
async def test_answers_are_those_of_requests_by_themselves(
    isolation: str, proto: onnx.ModelProto, shape: tuple[int, ...]
) -> None:
    await compare(proto.SerializeToString(), isolation, shape)


async def test_so_they_are_for_the_demos_model() -> None:
    await compare(find_model().read_bytes(), "process", (3, 48, 160))


async def compare(data: bytes, isolation: str, shape: tuple[int, ...]) -> None:
    inputs = [
        RANDOM.standard_normal((rows, *shape)).astype(np.float32)
        for rows in (1, 3, 1, 2)
    ]
    async with serving(data, None, isolation) as (service, sizes):
        apart = await ask(service, ["a"] * 4, inputs)
        assert sizes.sizes == [1] * 4
    async with serving(data, PATIENT, isolation) as (service, sizes):
        together = await ask(service, ["a"] * 4, inputs)
        assert sizes.sizes == [4]

    for one, other, array in zip(apart, together, inputs, strict=True):
        assert isinstance(one, np.ndarray)
        assert isinstance(other, np.ndarray)
        assert one.shape == other.shape
        assert len(one) == len(array)
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    assert not np.allclose(together[0], together[2])  # type: ignore[arg-type]  # arrays


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_one_that_fails_in_a_batch_fails_alone(isolation: str) -> None:
    inputs = [np.array([number], np.int64) for number in (0, 98765, 1)]
    async with serving(lookup().SerializeToString(), PATIENT, isolation) as (
        service,
        sizes,
    ):
        first, failed, last = await ask(service, ["a"] * 3, inputs)

    assert sizes.sizes == [3, 1, 1, 1]
    assert isinstance(failed, InvalidRequestError)
    np.testing.assert_array_equal([first, last], [[[10]], [[20]]])


def spec(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> ModelSpec:
    def tensors(shapes: Sequence[Shape]) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(str(at), Datatype.FP32, None if each is None else tuple(each))
            for at, each in enumerate(shapes)
        )

    return ModelSpec(tensors(inputs), tensors(outputs))


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        ([["n", 3]], [["n"]], True),
        ([["n", 3], ["n"]], [["n"], ["m", 2]], True),
        ([["n"]], [[None]], True),
        ([["n"]], [None], True),
        ([["n"], ["m"]], [["n"]], False),
        ([["n"], [3]], [["n"]], False),
        ([[None]], [[None]], False),
        ([[1, "n"]], [["n"]], False),
        ([[]], [[]], False),
        ([["n"]], [[1]], False),
        ([["n"]], [[]], False),
        ([None], [["n"]], False),
        ([], [["n"]], False),
    ],
)
def test_which_models_have_rows(
    inputs: Sequence[Shape], outputs: Sequence[Shape], expected: object
) -> None:
    assert has_rows(spec(inputs, outputs)) is expected


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_what_went_in_together_comes_out_apart(rows: list[int]) -> None:
    """Of a model that gives what it is given."""
    outputs = (TensorSpec("x", Datatype.FP32, ("n", 2)),)
    arrays = [
        np.full((count, 2), number, np.float32) for number, count in enumerate(rows)
    ]
    requests = [Request([Tensor.of("x", array)], outputs) for array in arrays]

    (feed,) = batches.feeds(requests)
    whole = Tensor.of("x", np.concatenate(feed.parts))
    assert feed.shape == whole.shape
    parts = batches.split(Outcome((whole,), 0.5), requests)

    assert [part.inference_time_s for part in parts] == [0.5] * len(rows)
    alone = len(rows) == 1
    together = ALONE if alone else Batch(requests=len(rows), rows=sum(rows))
    assert [part.batch for part in parts] == [together] * len(rows)
    for part, array in zip(parts, arrays, strict=True):
        np.testing.assert_array_equal(part.outputs[0].array, array)


@pytest.mark.parametrize("shape", [(2,), (4,), ()])
def test_other_rows_than_went_in_are_an_error(shape: tuple[int, ...]) -> None:
    outputs = (TensorSpec("x", Datatype.FP32, ("n",)),)
    one = Tensor.of("x", np.zeros(1, np.float32))
    requests = [Request([one], outputs) for _ in range(3)]
    total = Tensor.of("x", np.zeros(shape, np.float32))

    with pytest.raises(InternalError, match="as many rows out as in"):
        batches.split(Outcome((total,), 0.0), requests)
