"""Blocks and models become one model, or it is said why not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.pipelines.running import ON, WITHOUT, ready

from blindai.errors import ConfigurationError, InvalidRequestError
from blindai.inference.admission import admit
from blindai.pipelines import Pipeline
from blindai.protocol.datatypes import Datatype

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def linear(
    opset: int = 20, name: str = "x", weight: float = 2.0, size: int = 3
) -> onnx.ModelProto:
    """`y` is the sum of a row, times a number."""
    nodes = [
        helper.make_node("MatMul", [name, "w"], ["product"], "p"),
        helper.make_node("Relu", ["product"], ["y"], "r"),
    ]
    weights = np.full((size, 1), weight, np.float32)
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(name, FLOAT, ["rows", size])],
        [helper.make_tensor_value_info("y", FLOAT, ["rows", 1])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(
        graph, ir_version=9, opset_imports=[helper.make_opsetid("", opset)]
    )


def softmax11() -> onnx.ModelProto:
    """What softmax meant before opset 13: over all dimensions but the first."""
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["y"])],
        "old",
        [helper.make_tensor_value_info("x", FLOAT, ["rows", 2, 2])],
        [helper.make_tensor_value_info("y", FLOAT, ["rows", 2, 2])],
    )
    return helper.make_model(
        graph, ir_version=7, opset_imports=[helper.make_opsetid("", 11)]
    )


def test_a_model_stands_between_blocks() -> None:
    pipeline = Pipeline()
    numbers = pipeline.input("numbers", "FP32", [None, 3])
    (first,) = pipeline.run(linear(), numbers)
    (second,) = pipeline.run(linear(weight=3.0), x=numbers)
    graph = first.graph
    pipeline.give(sum=graph.op("Add", first, second), first=first)

    total, one = ready(pipeline, WITHOUT)(numbers=[[1, 2, 3], [0, 0, 1]])

    assert total.tolist() == [[30], [5]]
    assert one.tolist() == [[12], [2]]


@pytest.mark.parametrize("opset", [11, 13, 17, 20])
def test_an_older_model_is_brought_to_the_blocks_version(opset: int) -> None:
    pipeline = Pipeline()
    pipeline.give(y=pipeline.run(linear(opset), pipeline.input("n", "FP32", [1, 3]))[0])

    assert ready(pipeline, WITHOUT)(n=[[1, 2, 3]])[0].tolist() == [[12]]


def test_an_older_model_keeps_its_meaning() -> None:
    pipeline = Pipeline()
    numbers = pipeline.input("n", "FP32", [None, 2, 2])
    pipeline.give(y=pipeline.run(softmax11(), numbers)[0])

    (given,) = ready(pipeline, WITHOUT)(n=np.zeros((1, 2, 2)))

    assert np.allclose(given, 0.25)


def test_a_later_model_asks_for_a_later_pipeline() -> None:
    with pytest.raises(ConfigurationError, match=r"got 22: say Pipeline\(opset=22\)"):
        Pipeline().run(linear(22), Pipeline().input("n", "FP32", [1, 3]))

    pipeline = Pipeline(opset=22)
    pipeline.give(y=pipeline.run(linear(22), pipeline.input("n", "FP32", [1, 3]))[0])
    assert ready(pipeline, WITHOUT)(n=[[1, 2, 3]])[0].tolist() == [[12]]


def test_a_model_that_names_no_opset_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="one that names its opset, got none"):
        Pipeline().run(onnx.ModelProto())


def test_there_is_no_earlier_pipeline() -> None:
    with pytest.raises(ConfigurationError, match="opset: expected 20 or more, got 19"):
        Pipeline(opset=19)


def test_a_model_that_does_not_convert_is_said_so() -> None:
    model = linear(11)
    model.graph.node[0].op_type = "NoSuchOperator"
    pipeline = Pipeline()
    with pytest.raises(ConfigurationError, match="got 11, which does not convert"):
        pipeline.run(model, pipeline.input("n", "FP32", [1, 3]))


@pytest.mark.parametrize("inputs", [(0, ()), (2, ()), (1, ("x",)), (0, ("z",))])
def test_a_model_gets_the_inputs_that_it_takes(
    inputs: tuple[int, tuple[str, ...]],
) -> None:
    pipeline = Pipeline()
    number = pipeline.input("n", "FP32", [1, 3])
    count, names = inputs
    with pytest.raises(ConfigurationError, match=r"expected 1 inputs \(x\), got"):
        pipeline.run(linear(), *[number] * count, **dict.fromkeys(names, number))


def test_names_are_taken_once() -> None:
    pipeline = Pipeline()
    number = pipeline.input("n", "FP32", [1])
    with pytest.raises(ConfigurationError, match="input 'n': expected a name of its"):
        pipeline.file("n")
    with pytest.raises(ConfigurationError, match="output 'n': expected a name of its"):
        pipeline.give(n=number)
    pipeline.give(m=number)
    with pytest.raises(ConfigurationError, match="output 'm': expected a name of its"):
        pipeline.give(m=number)
    with pytest.raises(ConfigurationError, match="input 'm': expected a name of its"):
        pipeline.text("m")


def test_there_are_four_types() -> None:
    with pytest.raises(ConfigurationError, match="INT64, FP32, BYTES, got FP64"):
        Pipeline().input("n", "FP64", [1])


def test_something_has_to_be_given() -> None:
    with pytest.raises(ConfigurationError, match="something to give, got nothing"):
        Pipeline().model()


def test_what_is_given_has_a_type() -> None:
    pipeline = Pipeline()
    number = pipeline.input("n", "FP32", [1])
    pipeline.give(y=number.graph.op("ai.onnx.contrib:NoSuch", number))
    with pytest.raises(ConfigurationError, match="output 'y': expected a known type"):
        pipeline.model()


def test_parts_that_do_not_fit_are_said_so() -> None:
    pipeline = Pipeline()
    number = pipeline.input("n", "FP32", [2, 3])
    pipeline.give(y=number.graph.op("MatMul", number, np.ones((4, 1), np.float32)))
    with pytest.raises(ConfigurationError, match=r"pipeline: .*Incompatible"):
        pipeline.model()


def test_what_it_gives_is_declared() -> None:
    pipeline = Pipeline()
    number = pipeline.input("n", "FP32", [None, 3])
    pipeline.give(y=pipeline.run(linear(), number)[0])

    (output,) = admit(memoryview(pipeline.model().SerializeToString()), ON).outputs

    assert (output.datatype, output.shape) == (Datatype.FP32, ("rows", 1))


def test_large_constants_are_in_it_once() -> None:
    pipeline = Pipeline()
    number = pipeline.input("n", "FP32", [None, 5000])
    pipeline.give(y=pipeline.run(linear(size=5000), number)[0])
    made = pipeline.model()

    assert 20_000 < made.ByteSize() < 22_000
    assert ready(pipeline, WITHOUT)(n=np.ones((1, 5000)))[0].tolist() == [[10_000]]


def test_what_was_required_fails_with_its_message() -> None:
    pipeline = Pipeline()
    number = pipeline.input("n", "INT64", [None])
    graph = number.graph
    positive = graph.op("Greater", graph.op("ReduceMin", number), 0)
    first = graph.require(number, positive, "n: expected more than 0, got less")
    again = graph.require(first, positive, "n: expected more than 0, got less")
    pipeline.give(y=again)
    run = ready(pipeline, WITHOUT)

    assert run(n=[3, 1])[0].tolist() == [3, 1]
    with pytest.raises(InvalidRequestError) as refused:
        run(n=[3, 0])
    assert refused.value.message == "n: expected more than 0, got less"


def test_a_step_of_a_loop_gives_as_much_as_is_carried() -> None:
    graph = Pipeline().input("n", "INT64", []).graph
    with pytest.raises(ConfigurationError, match="expected 2 values of a step, got 1"):
        graph.loop(1, [(0, INT64)], lambda body, *_: [body.value(1)])
