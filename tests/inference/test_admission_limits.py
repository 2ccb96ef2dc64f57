"""How large an ONNX file may be once it is read, and how it is counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from blindai.errors import ModelRefusedError
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.model import ModelSpec

Admitted = Callable[..., ModelSpec]
Models = Callable[..., onnx.ModelProto]
Calls = Callable[..., onnx.NodeProto]
Functions = Callable[..., onnx.FunctionProto]


def test_refuses_more_nodes_than_the_limit(
    model: onnx.ModelProto, admitted: Admitted, call: Calls
) -> None:
    model.graph.node.append(call("Relu", ""))

    assert admitted(model, AdmissionLimits(max_nodes=2)).inputs
    with pytest.raises(ModelRefusedError, match="nodes: expected at most 1, got 2"):
        admitted(model, AdmissionLimits(max_nodes=1))


def test_nodes_are_counted_before_they_are_looked_at(
    model: onnx.ModelProto, admitted: Admitted, call: Calls
) -> None:
    model.graph.node.append(call("PyOp", "ai.onnx.contrib"))

    with pytest.raises(ModelRefusedError, match="nodes: expected at most 1, got 2"):
        admitted(model, AdmissionLimits(max_nodes=1))


def test_nodes_of_subgraphs_count(
    model: onnx.ModelProto, admitted: Admitted, call: Calls
) -> None:
    model.graph.node[0].attribute.add(name="body").g.node.append(call("Relu", ""))

    with pytest.raises(ModelRefusedError, match="nodes: expected at most 1, got 2"):
        admitted(model, AdmissionLimits(max_nodes=1))


def test_functions_count_at_each_of_their_calls(
    admitted: Admitted, doubling: Models
) -> None:
    assert admitted(doubling(3), AdmissionLimits(max_nodes=16)).inputs
    with pytest.raises(ModelRefusedError, match="nodes: expected at most 15, got 16"):
        admitted(doubling(3), AdmissionLimits(max_nodes=15))


def test_refuses_functions_that_grow_beyond_memory(
    admitted: Admitted, doubling: Models
) -> None:
    with pytest.raises(ModelRefusedError, match="nodes: expected at most 100000"):
        admitted(doubling(60))


def test_a_domain_has_one_name_when_functions_are_counted(
    admitted: Admitted, doubling: Models
) -> None:
    model = doubling(3, "ai.onnx")
    for node in model.graph.node:
        node.domain = ""

    with pytest.raises(ModelRefusedError, match="nodes: expected at most 15, got 16"):
        admitted(model, AdmissionLimits(max_nodes=15))


def test_overloads_of_a_function_count_together(
    admitted: Admitted, doubling: Models
) -> None:
    model = doubling(3)
    for item in model.functions:
        item.overload = "other"

    with pytest.raises(ModelRefusedError, match="nodes: expected at most 15, got 16"):
        admitted(model, AdmissionLimits(max_nodes=15))


def test_refuses_a_function_that_calls_itself(
    model: onnx.ModelProto, admitted: Admitted, call: Calls, function: Functions
) -> None:
    model.graph.node.append(call("f"))
    model.functions.append(function("f", [call("f")]))

    with pytest.raises(ModelRefusedError, match="at most 100 calls in one another"):
        admitted(model)


def test_refuses_more_initializers_than_the_limit(
    model: onnx.ModelProto, admitted: Admitted
) -> None:
    model.graph.initializer.add(name="i", data_type=TensorProto.FLOAT, dims=[0])
    model.graph.node[0].attribute.add(name="body").g.sparse_initializer.add()

    assert admitted(model, AdmissionLimits(max_initializers=2)).inputs
    with pytest.raises(ModelRefusedError, match="initializers: expected at most 1"):
        admitted(model, AdmissionLimits(max_initializers=1))


def test_refuses_more_messages_than_the_limit(
    model: onnx.ModelProto, admitted: Admitted
) -> None:
    for _ in range(100):
        model.graph.node[0].attribute.add(name="list")

    with pytest.raises(ModelRefusedError, match="messages: expected at most 50"):
        admitted(model, AdmissionLimits(max_messages=50))


def test_refuses_more_fields_than_the_limit(
    model: onnx.ModelProto, admitted: Admitted
) -> None:
    for _ in range(1000):
        model.graph.node.add()

    with pytest.raises(ModelRefusedError, match="at most 900 fields"):
        admitted(model, AdmissionLimits(max_messages=900))


def test_refuses_more_than_the_limit_besides_weights(
    model: onnx.ModelProto, admitted: Admitted
) -> None:
    weights = np.zeros(1 << 16, np.uint8).tobytes()
    model.graph.initializer.add(
        name="w", data_type=TensorProto.UINT8, dims=[1 << 16], raw_data=weights
    )

    assert admitted(model, AdmissionLimits(max_outline_bytes=500)).inputs
    with pytest.raises(ModelRefusedError, match="at most 50 bytes besides"):
        admitted(model, AdmissionLimits(max_outline_bytes=50))


def test_refuses_a_name_that_no_request_could_say(
    model: onnx.ModelProto, admitted: Admitted
) -> None:
    model.graph.input[0].name = "x" * 1025
    model.graph.node[0].input[0] = "x" * 1025

    with pytest.raises(ModelRefusedError, match="at most 1024 characters, got 1025"):
        admitted(model)


def test_refuses_more_inputs_than_a_request_may_have(
    model: onnx.ModelProto, admitted: Admitted
) -> None:
    for index in range(64):
        model.graph.input.add().CopyFrom(model.graph.input[0])
        model.graph.input[-1].name = f"x{index}"

    with pytest.raises(ModelRefusedError, match="inputs: expected at most 64, got 66"):
        admitted(model)
