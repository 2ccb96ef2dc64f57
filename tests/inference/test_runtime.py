"""How models load and run, and what their failures say."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from tests.inference.graphs import (
    BFLOAT16,
    FLOAT,
    FOR_EVER,
    INT64,
    STRING,
    endless,
    identity,
    lookup,
    model,
    repeated,
)

from blindai.errors import (
    InvalidRequestError,
    ModelCrashedError,
    ModelRefusedError,
    OverloadedError,
    TensorError,
    TooLargeError,
)
from blindai.inference import runtime
from blindai.inference.admission import admit
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.isolation import Outcome
from blindai.inference.runtime import Model, Stop
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

MAX_OUTPUT_BYTES = 1 << 20
Load = Callable[[onnx.ModelProto], Model]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(proto: onnx.ModelProto) -> Model:
        file = tmp_path / "model"
        file.write_bytes(proto.SerializeToString())
        spec = admit(memoryview(file.read_bytes()), AdmissionLimits())
        return runtime.load(
            str(file), spec, threads=1, max_output_bytes=MAX_OUTPUT_BYTES
        )

    return load


def run(loaded: Model, *tensors: Tensor) -> Outcome:
    return loaded.run(tensors, loaded.spec.outputs, Stop())


def test_a_model_runs(load: Load) -> None:
    node = helper.make_node("MatMul", ["a", "w"], ["y"])
    weights = helper.make_tensor("w", FLOAT, [2, 1], [10.0, 1.0])
    loaded = load(
        model([node], {"a": (FLOAT, ["b", 2])}, {"y": (FLOAT, ["b", 1])}, [weights])
    )
    inputs = Tensor.of("a", np.array([[1, 2], [3, 4]], np.float32))

    outcome = run(loaded, inputs)

    (output,) = outcome.outputs
    assert (output.name, output.datatype) == ("y", Datatype.FP32)
    assert output.array.tolist() == [[12.0], [34.0]]
    assert 0 < outcome.inference_time_s < 1


def test_only_the_outputs_asked_for_are_given(load: Load) -> None:
    nodes = [helper.make_node(op, ["x"], [op]) for op in ("Neg", "Abs")]
    kind = (FLOAT, ["n"])
    loaded = load(model(nodes, {"x": kind}, {"Neg": kind, "Abs": kind}))
    inputs = [Tensor.of("x", np.array([-1], np.float32))]

    outcome = loaded.run(inputs, loaded.spec.outputs[1:], Stop())

    assert [tensor.name for tensor in outcome.outputs] == ["Abs"]


NUMBERS = [item for item in Datatype if item not in {Datatype.BYTES, Datatype.BF16}]


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers_of_every_datatype_pass(load: Load, datatype: Datatype) -> None:
    array = np.array([0, 1, 1], datatype.numpy)
    loaded = load(identity(helper.np_dtype_to_tensor_dtype(datatype.numpy)))

    (output,) = (run(loaded, Tensor.of("x", array))).outputs

    assert output.datatype is datatype
    np.testing.assert_array_equal(output.array, array)


@pytest.mark.parametrize("bits", [[], [0x3F80, 0x7FC0]])
def test_bfloat16_passes_bit_by_bit(load: Load, bits: list[int]) -> None:
    array = np.array([bits], np.uint16)
    loaded = load(identity(BFLOAT16, ("n", "m")))

    (output,) = (run(loaded, Tensor("x", Datatype.BF16, array.shape, array))).outputs

    assert output.datatype is Datatype.BF16
    assert output.array.tolist() == [bits]


def test_bfloat16_passes_beside_other_numbers(load: Load) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["as_float"], to=FLOAT),
        helper.make_node("Cast", ["i"], ["as_bfloat16"], to=BFLOAT16),
    ]
    inputs = {"x": (BFLOAT16, ["n"]), "i": (FLOAT, ["n"])}
    outputs = {"as_float": (FLOAT, ["n"]), "as_bfloat16": (BFLOAT16, ["n"])}
    loaded = load(model(nodes, inputs, outputs))
    one = Tensor("x", Datatype.BF16, (1,), np.array([0x3F80], np.uint16))
    two = Tensor.of("i", np.array([2], np.float32))

    as_float, as_bfloat16 = (run(loaded, one, two)).outputs

    assert as_float.array.tolist() == [1.0]
    assert as_bfloat16.array.tolist() == [0x4000]


def test_text_passes(load: Load) -> None:
    texts = np.array([[b"a\x00b", "é".encode()]], np.object_)
    loaded = load(identity(STRING, ("n", 2)))

    (output,) = (run(loaded, Tensor.of("x", texts))).outputs

    assert output.array.tolist() == texts.tolist()


def test_refuses_text_that_is_not_utf8(load: Load) -> None:
    texts = np.array([b"\xff"], np.object_)

    with pytest.raises(TensorError, match="expected UTF-8"):
        run(load(identity(STRING)), Tensor.of("x", texts))


def test_refuses_to_give_text_that_is_not_utf8(load: Load) -> None:
    split = helper.make_node("StringSplit", ["x"], ["y", "n"], delimiter=b"\xc3")
    loaded = load(model([split], {"x": (STRING, ["n"])}, {"y": (STRING, ["n", "m"])}))
    texts = np.array(["é".encode()], np.object_)

    with pytest.raises(InvalidRequestError, match="outputs: expected UTF-8"):
        run(loaded, Tensor.of("x", texts))


def test_a_failure_names_the_operator_and_no_value(
    load: Load, capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = load(lookup())

    with pytest.raises(InvalidRequestError, match="got a failure of Gather") as caught:
        run(loaded, Tensor.of("x", np.array([98765])))

    assert "98765" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "expect 12: x: expected 0 or 1, got another",
            "x: expected 0 or 1, got another",
        ),
        ("expect 12: a\x1b[31mb", r"a\x1b[31mb"),
        ("expect 12: it's", "it's"),
        ("expected", "got a failure of Gather"),
    ],
)
def test_a_node_may_be_called_what_it_expects(
    load: Load, name: str, message: str
) -> None:
    made = lookup()
    made.graph.node[0].name = name

    with pytest.raises(InvalidRequestError, match=re.escape(message)) as caught:
        run(load(made), Tensor.of("x", np.array([98765])))

    assert caught.value.message.endswith(message)
    assert "98765" not in str(caught.value)


def test_a_failure_outside_a_node_has_no_name(load: Load) -> None:
    loaded = load(identity(FLOAT))

    with pytest.raises(InvalidRequestError, match="got a failure of the model"):
        run(loaded, Tensor.of("x", np.array([5])))


def test_more_memory_than_there_is_is_named(load: Load) -> None:
    node = helper.make_node("ConstantOfShape", ["x"], ["y"])
    loaded = load(model([node], {"x": (INT64, ["n"])}, {"y": (FLOAT, None)}))

    with pytest.raises(ModelCrashedError, match="memory"):
        run(loaded, Tensor.of("x", np.array([1 << 50])))


def test_more_outputs_than_there_may_be_are_refused(load: Load) -> None:
    loaded = load(repeated())
    inputs = [Tensor.of("x", np.zeros(1024, np.float32))]
    most = Tensor.of("n", np.array([MAX_OUTPUT_BYTES // 4096]))
    more = Tensor.of("n", np.array([MAX_OUTPUT_BYTES // 4096 + 1]))

    assert run(loaded, *inputs, most).outputs[0].array.nbytes == MAX_OUTPUT_BYTES
    with pytest.raises(TooLargeError, match="at most 1048576 bytes, got 1052672"):
        run(loaded, *inputs, more)


def test_a_run_that_is_stopped_ends_at_the_next_node(load: Load) -> None:
    loaded = load(endless())
    stop = Stop()
    timer = threading.Timer(0.05, stop)
    began = time.monotonic()
    timer.start()

    with pytest.raises(OverloadedError, match=r"run: .* stopped"):
        loaded.run(FOR_EVER, loaded.spec.outputs, stop)

    assert 0.05 <= time.monotonic() - began < 1
    timer.join()


def test_a_run_that_was_stopped_before_does_not_begin(load: Load) -> None:
    loaded = load(endless())
    stop = Stop()
    stop()

    with pytest.raises(OverloadedError, match=r"run: .* stopped"):
        loaded.run(FOR_EVER, loaded.spec.outputs, stop)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (helper.make_node("NoSuchOperator", ["x"], ["y"]), "NoSuchOperator"),
        (helper.make_node("Add", ["x", "nowhere"], ["y"]), "nowhere"),
        (helper.make_node("Cast", ["x"], ["y"], to=INT64), "float"),
    ],
)
def test_refuses_a_model_that_does_not_initialise(
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


def test_refuses_bfloat16_and_text_in_one_model(load: Load) -> None:
    nodes = [helper.make_node("Identity", [name], [name * 2]) for name in "ab"]
    a, b = (BFLOAT16, ["n"]), (STRING, ["n"])

    with pytest.raises(ModelRefusedError, match="BF16 or BYTES, got both"):
        load(model(nodes, {"a": a, "b": b}, {"aa": a, "bb": b}))


def test_refuses_another_format_under_any_name(tmp_path: Path, load: Load) -> None:
    """ONNX Runtime has a format of its own, and would know it by name or content."""
    spec = load(identity(FLOAT)).spec
    other = tmp_path / "model.ort"
    other.write_bytes(b"\x18\x00\x00\x00ORTM" + bytes(100))

    with pytest.raises(ModelRefusedError, match="rotobuf"):
        runtime.load(str(other), spec, threads=1, max_output_bytes=MAX_OUTPUT_BYTES)
