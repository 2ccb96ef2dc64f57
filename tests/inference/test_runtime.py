"""How models load and run, and what their failures say."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from blindai.errors import (
    InvalidRequestError,
    ModelRefusedError,
    OverloadedError,
    TensorError,
)
from blindai.inference.admission import AdmissionLimits, admit
from blindai.inference.runtime import LoadedModel, Outcome, Runtime, RuntimeSettings
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
BFLOAT16 = TensorProto.BFLOAT16
Shape = Sequence[int | str | None] | None


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    runtime = Runtime(RuntimeSettings(workers=2, intra_op_threads=1))
    yield runtime
    await runtime.close()


def model(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Shape]],
    outputs: Mapping[str, tuple[int, Shape]],
    initializers: Iterable[TensorProto] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        list(initializers),
    )
    opset = helper.make_opsetid("", 20)
    return helper.make_model(graph, ir_version=10, opset_imports=[opset])


def identity(kind: int, shape: Shape = ("n",)) -> onnx.ModelProto:
    node = helper.make_node("Identity", ["x"], ["y"])
    return model([node], {"x": (kind, shape)}, {"y": (kind, shape)})


def endless() -> onnx.ModelProto:
    """Counts down from n, one by one."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["still_on"]),
            helper.make_node("Add", ["sum", "one"], ["next_sum"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("still_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next_sum", FLOAT, []),
        ],
    )
    loop = helper.make_node("Loop", ["n", "", "zero"], ["y"], body=body)
    constants = [
        helper.make_tensor("one", FLOAT, [], [1.0]),
        helper.make_tensor("zero", FLOAT, [], [0.0]),
    ]
    return model([loop], {"n": (INT64, [])}, {"y": (FLOAT, [])}, constants)


FOR_EVER = [Tensor.of("n", np.array(1 << 60))]


@pytest.fixture
def load(runtime: Runtime, tmp_path: Path) -> Callable[[onnx.ModelProto], LoadedModel]:
    def load(proto: onnx.ModelProto) -> LoadedModel:
        file = tmp_path / "model"
        file.write_bytes(proto.SerializeToString())
        spec = admit(memoryview(file.read_bytes()), AdmissionLimits())
        return runtime.load(str(file), spec)

    return load


Load = Callable[[onnx.ModelProto], LoadedModel]


async def run(runtime: Runtime, loaded: LoadedModel, *tensors: Tensor) -> Outcome:
    return await runtime.start(loaded, tensors, loaded.spec.outputs).future


async def test_a_model_runs(runtime: Runtime, load: Load) -> None:
    node = helper.make_node("MatMul", ["a", "w"], ["y"])
    weights = helper.make_tensor("w", FLOAT, [2, 1], [10.0, 1.0])
    loaded = load(
        model([node], {"a": (FLOAT, ["b", 2])}, {"y": (FLOAT, ["b", 1])}, [weights])
    )
    inputs = Tensor.of("a", np.array([[1, 2], [3, 4]], np.float32))

    outcome = await run(runtime, loaded, inputs)

    (output,) = outcome.outputs
    assert (output.name, output.datatype) == ("y", Datatype.FP32)
    assert output.array.tolist() == [[12.0], [34.0]]
    assert 0 < outcome.inference_time_s < 1


async def test_only_the_outputs_asked_for_are_given(
    runtime: Runtime, load: Load
) -> None:
    nodes = [helper.make_node(op, ["x"], [op]) for op in ("Neg", "Abs")]
    kind = (FLOAT, ["n"])
    loaded = load(model(nodes, {"x": kind}, {"Neg": kind, "Abs": kind}))
    inputs = [Tensor.of("x", np.array([-1], np.float32))]

    outcome = await runtime.start(loaded, inputs, loaded.spec.outputs[1:]).future

    assert [tensor.name for tensor in outcome.outputs] == ["Abs"]


NUMBERS = [item for item in Datatype if item not in {Datatype.BYTES, Datatype.BF16}]


@pytest.mark.parametrize("datatype", NUMBERS)
async def test_numbers_of_every_datatype_pass(
    runtime: Runtime, load: Load, datatype: Datatype
) -> None:
    array = np.array([0, 1, 1], datatype.numpy)
    loaded = load(identity(helper.np_dtype_to_tensor_dtype(datatype.numpy)))

    (output,) = (await run(runtime, loaded, Tensor.of("x", array))).outputs

    assert output.datatype is datatype
    np.testing.assert_array_equal(output.array, array)


@pytest.mark.parametrize("bits", [[], [0x3F80, 0x7FC0]])
async def test_bfloat16_passes_bit_by_bit(
    runtime: Runtime, load: Load, bits: list[int]
) -> None:
    array = np.array([bits], np.uint16)
    loaded = load(identity(BFLOAT16, ("n", "m")))

    (output,) = (
        await run(runtime, loaded, Tensor("x", Datatype.BF16, array.shape, array))
    ).outputs

    assert output.datatype is Datatype.BF16
    assert output.array.tolist() == [bits]


async def test_bfloat16_passes_beside_other_numbers(
    runtime: Runtime, load: Load
) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["as_float"], to=FLOAT),
        helper.make_node("Cast", ["i"], ["as_bfloat16"], to=BFLOAT16),
    ]
    inputs = {"x": (BFLOAT16, ["n"]), "i": (FLOAT, ["n"])}
    outputs = {"as_float": (FLOAT, ["n"]), "as_bfloat16": (BFLOAT16, ["n"])}
    loaded = load(model(nodes, inputs, outputs))
    one = Tensor("x", Datatype.BF16, (1,), np.array([0x3F80], np.uint16))
    two = Tensor.of("i", np.array([2], np.float32))

    as_float, as_bfloat16 = (await run(runtime, loaded, one, two)).outputs

    assert as_float.array.tolist() == [1.0]
    assert as_bfloat16.array.tolist() == [0x4000]


async def test_text_passes(runtime: Runtime, load: Load) -> None:
    texts = np.array([[b"a\x00b", "é".encode()]], np.object_)
    loaded = load(identity(STRING, ("n", 2)))

    (output,) = (await run(runtime, loaded, Tensor.of("x", texts))).outputs

    assert output.array.tolist() == texts.tolist()


async def test_refuses_text_that_is_not_utf8(runtime: Runtime, load: Load) -> None:
    texts = np.array([b"\xff"], np.object_)

    with pytest.raises(TensorError, match="expected UTF-8"):
        await run(runtime, load(identity(STRING)), Tensor.of("x", texts))


async def test_refuses_to_give_text_that_is_not_utf8(
    runtime: Runtime, load: Load
) -> None:
    split = helper.make_node("StringSplit", ["x"], ["y", "n"], delimiter=b"\xc3")
    loaded = load(model([split], {"x": (STRING, ["n"])}, {"y": (STRING, ["n", "m"])}))
    texts = np.array(["é".encode()], np.object_)

    with pytest.raises(InvalidRequestError, match="outputs: expected UTF-8"):
        await run(runtime, loaded, Tensor.of("x", texts))


async def test_a_failure_names_the_operator_and_no_value(
    runtime: Runtime, load: Load, capfd: pytest.CaptureFixture[str]
) -> None:
    node = helper.make_node("Gather", ["table", "x"], ["y"])
    table = helper.make_tensor("table", FLOAT, [2], [1, 2])
    loaded = load(model([node], {"x": (INT64, ["n"])}, {"y": (FLOAT, ["n"])}, [table]))

    with pytest.raises(InvalidRequestError, match="got a failure of Gather") as caught:
        await run(runtime, loaded, Tensor.of("x", np.array([98765])))

    assert "98765" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "".join(capfd.readouterr()) == ""


async def test_a_failure_outside_a_node_has_no_name(
    runtime: Runtime, load: Load
) -> None:
    loaded = load(identity(FLOAT))

    with pytest.raises(InvalidRequestError, match="got a failure of the model"):
        await run(runtime, loaded, Tensor.of("x", np.array([5])))


async def test_more_memory_than_there_is_is_the_requests_fault(
    runtime: Runtime, load: Load
) -> None:
    node = helper.make_node("ConstantOfShape", ["x"], ["y"])
    loaded = load(model([node], {"x": (INT64, ["n"])}, {"y": (FLOAT, None)}))

    with pytest.raises(InvalidRequestError, match="failure of ConstantOfShape"):
        await run(runtime, loaded, Tensor.of("x", np.array([1 << 50])))


async def test_a_run_that_is_stopped_ends_at_the_next_node(
    runtime: Runtime, load: Load
) -> None:
    loaded = load(endless())
    running = runtime.start(loaded, FOR_EVER, loaded.spec.outputs)
    await asyncio.sleep(0.05)
    began = time.monotonic()

    running.stop()

    with pytest.raises(OverloadedError, match=r"run: .* stopped"):
        await running.future
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (helper.make_node("NoSuchOperator", ["x"], ["y"]), "NoSuchOperator"),
        (helper.make_node("Add", ["x", "nowhere"], ["y"]), "nowhere"),
        (helper.make_node("Cast", ["x"], ["y"], to=INT64), "float"),
    ],
)
async def test_refuses_a_model_that_does_not_initialise(
    load: Load,
    capfd: pytest.CaptureFixture[str],
    node: onnx.NodeProto,
    message: str,
) -> None:
    kind = (FLOAT, ["n"])

    with pytest.raises(ModelRefusedError, match=message) as caught:
        load(model([node], {"x": kind}, {"y": kind}))

    assert re.search(r"ONNXRuntimeError|\n.*\n", str(caught.value)) is None
    assert len(caught.value.message) < 400
    assert "".join(capfd.readouterr()) == ""


async def test_refuses_bfloat16_and_text_in_one_model(load: Load) -> None:
    nodes = [helper.make_node("Identity", [name], [name * 2]) for name in "ab"]
    a, b = (BFLOAT16, ["n"]), (STRING, ["n"])

    with pytest.raises(ModelRefusedError, match="BF16 or BYTES, got both"):
        load(model(nodes, {"a": a, "b": b}, {"aa": a, "bb": b}))


async def test_refuses_another_format_under_any_name(
    runtime: Runtime, tmp_path: Path, load: Load
) -> None:
    """ONNX Runtime has a format of its own, and would know it by name or content."""
    spec = load(identity(FLOAT)).spec
    other = tmp_path / "model.ort"
    other.write_bytes(b"\x18\x00\x00\x00ORTM" + bytes(100))

    with pytest.raises(ModelRefusedError, match="rotobuf"):
        runtime.load(str(other), spec)


async def test_a_thread_gives_its_result(runtime: Runtime) -> None:
    name = await runtime.in_thread(lambda: threading.current_thread().name)

    assert name.startswith("blindai-load")


async def test_a_threads_error_is_raised(runtime: Runtime) -> None:
    def fail() -> None:
        raise TensorError("from the thread")

    with pytest.raises(TensorError, match="from the thread"):
        await runtime.in_thread(fail)


async def test_a_cancellation_waits_for_the_thread(runtime: Runtime) -> None:
    gate, ended = threading.Event(), threading.Event()

    def work() -> None:
        gate.wait()
        ended.set()

    task = asyncio.create_task(runtime.in_thread(work))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    gate.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_an_error_nobody_waits_for_is_not_logged(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()

    def fail() -> None:
        gate.wait()
        raise TensorError("about a tensor")

    task = asyncio.create_task(runtime.in_thread(fail))
    await asyncio.sleep(0.01)
    task.cancel()
    gate.set()
    await asyncio.wait({task})
    del task
    gc.collect()

    assert caplog.records == []


async def test_closing_stops_what_runs_and_ends_all_threads(
    runtime: Runtime, load: Load
) -> None:
    before = set(threading.enumerate())  # other enclaves may run in this process
    loaded = load(endless())
    running = runtime.start(loaded, FOR_EVER, loaded.spec.outputs)
    await runtime.in_thread(time.monotonic)

    await runtime.close()
    await runtime.close()

    assert isinstance(running.future.exception(), OverloadedError)
    started = set(threading.enumerate()) - before
    assert not [each for each in started if each.name.startswith("blindai")]


async def test_a_closed_runtime_accepts_nothing(runtime: Runtime, load: Load) -> None:
    loaded = load(identity(FLOAT))
    await runtime.close()

    with pytest.raises(OverloadedError, match="closed"):
        runtime.start(loaded, [], loaded.spec.outputs)
    with pytest.raises(OverloadedError, match="closed"):
        await runtime.in_thread(time.monotonic)
