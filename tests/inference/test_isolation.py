"""The contract of isolation, which threads and processes keep alike."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from onnx import helper, numpy_helper
from tests.inference.graphs import (
    BFLOAT16,
    FLOAT,
    INT64,
    STRING,
    add,
    identity,
    lookup,
    model,
    repeated,
)
from tests.inference.isolations import (
    KINDS,
    MAX_OUTPUT_BYTES,
    admit,
    isolated,
    loaded,
    spooled,
)

from blindai.errors import (
    InvalidRequestError,
    ModelRefusedError,
    TensorError,
    TooLargeError,
)
from blindai.inference.isolation import Feed, Isolation
from blindai.inference.model import MAX_STRINGS
from blindai.protocol.datatypes import Array, Datatype
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio

NUMBERS = [item for item in Datatype if item not in {Datatype.BYTES, Datatype.BF16}]
LARGE = {"in_a_message": 6, "in_memory": 9, "in_memory_kept": 1024, "not_kept": 5120}
"""KiB of FP32 values, below and above `frames.INLINE_BYTES` and `memory.KEEP_BYTES`."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=KINDS)
async def isolation(request: pytest.FixtureRequest) -> AsyncIterator[Isolation]:
    async with isolated(request.param) as isolation:
        yield isolation


def values(datatype: Datatype) -> Array:
    return np.array([[0, 1, 1], [1, 0, 1]], datatype.numpy)


@pytest.mark.parametrize("datatype", NUMBERS)
async def test_numbers_of_every_datatype_pass(
    isolation: Isolation, datatype: Datatype
) -> None:
    kind = helper.np_dtype_to_tensor_dtype(datatype.numpy)
    array = values(datatype)
    swapped = array.astype(array.dtype.newbyteorder(">"))
    strided = np.repeat(array, 2, axis=1)[:, ::2]
    async with loaded(isolation, identity(kind, ("n", "m"))) as running:
        for each in (array, swapped, strided, array.T, array[:0], array[:, :0]):
            output = await running.give(each)

            assert output.dtype == datatype.numpy
            assert output.shape == each.shape
            np.testing.assert_array_equal(output, each)


async def test_scalars_pass(isolation: Isolation) -> None:
    async with loaded(isolation, identity(FLOAT, ())) as running:
        output = await running.give(np.array(7, np.float32))

    assert (output.shape, float(output)) == ((), 7.0)


@pytest.mark.parametrize("bits", [[], [0x3F80, 0x7FC0]])
async def test_bfloat16_passes_bit_by_bit(
    isolation: Isolation, bits: list[int]
) -> None:
    array = np.array([bits], np.uint16)
    async with loaded(isolation, identity(BFLOAT16, ("n", "m"))) as running:
        (output,) = await running.run(Tensor("x", Datatype.BF16, array.shape, array))

    assert output.tolist() == [bits]


@pytest.mark.parametrize("size", [1, 40_000])
async def test_text_passes(isolation: Isolation, size: int) -> None:
    texts = np.array([[b"a\x00b", "é".encode()], [b"", b"x" * size]], np.object_)
    async with loaded(isolation, identity(STRING, ("n", 2))) as running:
        assert (await running.give(texts)).tolist() == texts.tolist()
        assert (await running.give(texts[:0])).shape == (0, 2)


async def test_refuses_text_that_is_not_utf8(isolation: Isolation) -> None:
    async with loaded(isolation, identity(STRING)) as running:
        with pytest.raises(TensorError, match="expected UTF-8"):
            await running.give(np.array([b"\xff"], np.object_))


@pytest.mark.parametrize("kib", LARGE.values(), ids=LARGE)
async def test_inputs_and_outputs_of_every_size_pass(
    isolation: Isolation, kib: int
) -> None:
    array = np.arange(kib * 1024, dtype=np.float32).reshape(-1, 4)
    async with loaded(isolation, add(1.0)) as running:
        for _ in range(3):
            np.testing.assert_array_equal(await running.give(array), array + 1)


async def test_sizes_may_change_from_run_to_run(isolation: Isolation) -> None:
    async with loaded(isolation, repeated()) as running:
        for times in (1, 5000, 0, 3, 12, 5, 600, 10, 601, 1):
            output = await running.repeat(times, times)

            assert output.shape == (1024 * times,)
            assert np.all(output == times)


async def test_more_outputs_than_there_may_be_are_refused(
    isolation: Isolation,
) -> None:
    most = MAX_OUTPUT_BYTES // 4096
    async with loaded(isolation, repeated()) as running:
        assert (await running.repeat(1, most)).nbytes == MAX_OUTPUT_BYTES
        with pytest.raises(TooLargeError, match=f"at most {MAX_OUTPUT_BYTES} bytes"):
            await running.repeat(1, most + 1)
        assert (await running.repeat(1, 1)).nbytes == 4096


async def test_more_strings_than_there_may_be_are_refused(isolation: Isolation) -> None:
    node = helper.make_node("Expand", ["text", "x"], ["y"])
    text = numpy_helper.from_array(np.array([""], object), "text")
    many = model([node], {"x": (INT64, [1])}, {"y": (STRING, ["n"])}, [text])
    async with loaded(isolation, many) as running:
        assert (await running.give(np.array([MAX_STRINGS]))).size == MAX_STRINGS
        with pytest.raises(TooLargeError, match=f"at most {MAX_STRINGS} strings"):
            await running.give(np.array([MAX_STRINGS + 1]))


async def test_only_the_outputs_asked_for_are_given(isolation: Isolation) -> None:
    nodes = [helper.make_node(op, ["x"], [op]) for op in ("Neg", "Abs")]
    kind = (FLOAT, ["n"])
    both = model(nodes, {"x": kind}, {"Neg": kind, "Abs": kind})
    one = Tensor.of("x", np.array([-1], np.float32))
    async with loaded(isolation, both) as running:
        outcome = await running.begin(one, outputs=[1])
        swapped = await running.begin(one, outputs=[1, 0])

    assert [tensor.name for tensor in outcome.outputs] == ["Abs"]
    assert [tensor.name for tensor in swapped.outputs] == ["Abs", "Neg"]
    assert [tensor.array.tolist() for tensor in swapped.outputs] == [[1], [1]]
    assert 0 < outcome.inference_time_s < 10


async def test_inputs_may_come_in_any_order(isolation: Isolation) -> None:
    node = helper.make_node("Sub", ["a", "b"], ["y"])
    kind = (FLOAT, ["n"])
    difference = model([node], {"a": kind, "b": kind}, {"y": kind})
    a = Tensor.of("a", np.array([5], np.float32))
    b = Tensor.of("b", np.array([3], np.float32))
    async with loaded(isolation, difference) as running:
        for tensors in ((a, b), (b, a)):
            assert (await running.run(*tensors))[0].tolist() == [2.0]


@pytest.mark.parametrize(
    "parts",
    [
        [np.ones((1, 4), "<f4"), np.full((2, 4), 2, ">f4"), np.ones((4, 3), "<f4").T],
        [np.ones((3000, 4), "<f4"), np.zeros((0, 4), "<f4"), np.ones((1, 4), "<f4")],
    ],
    ids=["small", "large"],
)
async def test_parts_go_one_after_the_other(
    isolation: Isolation, parts: list[Array]
) -> None:
    rows = sum(len(part) for part in parts)
    feed = Feed("x", Datatype.FP32, (rows, 4), tuple(parts))
    async with loaded(isolation, add(1.0)) as running:
        outcome = await running.model.lanes[0].run([feed], running.spec.outputs)

    (output,) = outcome.outputs
    np.testing.assert_array_equal(output.array, np.concatenate(parts) + 1)


async def test_text_in_parts_goes_one_after_the_other(isolation: Isolation) -> None:
    parts = tuple(np.array(each, np.object_) for each in ([b"a"], [b"", b"ccc"]))
    feed = Feed("x", Datatype.BYTES, (3,), parts)
    async with loaded(isolation, identity(STRING)) as running:
        outcome = await running.model.lanes[0].run([feed], running.spec.outputs)

    assert outcome.outputs[0].array.tolist() == [b"a", b"", b"ccc"]


@pytest.mark.parametrize("data", [b"", b"no model", b"\x08\x0a" * 100])
async def test_refuses_what_is_no_model(isolation: Isolation, data: bytes) -> None:
    with pytest.raises(ModelRefusedError) as refused:
        await admit(isolation, data)

    assert "worker" not in refused.value.message


async def test_refuses_a_model_that_does_not_initialise(isolation: Isolation) -> None:
    kind = (FLOAT, ["n"])
    node = helper.make_node("NoSuchOperator", ["x"], ["y"])
    proto = model([node], {"x": kind}, {"y": kind})
    spec = await admit(isolation, proto)

    async with spooled(proto) as spool:
        with pytest.raises(ModelRefusedError, match="NoSuchOperator"):
            await isolation.load(spool, spec, 1)


async def test_a_declaration_crosses_as_it_is(isolation: Isolation) -> None:
    shape = (1, "batch", None, "é")
    spec = await admit(isolation, identity(FLOAT, shape))

    assert [each.name for each in (*spec.inputs, *spec.outputs)] == ["x", "y"]
    assert spec.inputs[0].shape == shape
    assert (await admit(isolation, identity(FLOAT, None))).inputs[0].shape is None


async def test_a_failure_is_that_runs_alone(isolation: Isolation) -> None:
    async with loaded(isolation, lookup()) as running:
        for _ in range(3):
            with pytest.raises(InvalidRequestError, match="a failure of Gather") as got:
                await running.give(np.array([98765]))
            assert "98765" not in str(got.value)

            assert (await running.give(np.array([1]))).tolist() == [2.0]
