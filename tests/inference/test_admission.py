"""Which ONNX files are admitted, and what is read in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from blindai.errors import ModelRefusedError
from blindai.inference.admission import admit
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.model import ModelSpec, TensorSpec
from blindai.protocol.datatypes import Datatype

Admitted = Callable[..., ModelSpec]
Models = Callable[..., onnx.ModelProto]
Calls = Callable[..., onnx.NodeProto]


def value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, (1,))


def own_function(model: onnx.ModelProto) -> onnx.FunctionProto:
    """Give a model a function of its own, which calls Relu."""
    relu = helper.make_node("Relu", ["a"], ["y"])
    opset = helper.make_opsetid("", 20)
    made = helper.make_function("own", "f", ["a"], ["y"], [relu], [opset])
    model.functions.append(made)
    own: onnx.FunctionProto = model.functions[0]
    return own


def external(tensor: TensorProto | None = None) -> TensorProto:
    tensor = TensorProto() if tensor is None else tensor
    tensor.name, tensor.data_type = "secret", TensorProto.UINT8
    tensor.dims.append(1)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    return tensor


def test_a_model_says_what_it_takes_and_gives(
    model: onnx.ModelProto, admitted: Admitted
) -> None:
    assert admitted(model) == ModelSpec(
        inputs=(
            TensorSpec("a", Datatype.FP32, ("batch", 3)),
            TensorSpec("b", Datatype.FP32, (3,)),
        ),
        outputs=(TensorSpec("y", Datatype.FP32, ("batch", 3)),),
    )


@pytest.mark.parametrize(
    ("kind", "datatype"),
    [
        (TensorProto.BOOL, Datatype.BOOL),
        (TensorProto.UINT8, Datatype.UINT8),
        (TensorProto.UINT16, Datatype.UINT16),
        (TensorProto.UINT32, Datatype.UINT32),
        (TensorProto.UINT64, Datatype.UINT64),
        (TensorProto.INT8, Datatype.INT8),
        (TensorProto.INT16, Datatype.INT16),
        (TensorProto.INT32, Datatype.INT32),
        (TensorProto.INT64, Datatype.INT64),
        (TensorProto.FLOAT16, Datatype.FP16),
        (TensorProto.FLOAT, Datatype.FP32),
        (TensorProto.DOUBLE, Datatype.FP64),
        (TensorProto.BFLOAT16, Datatype.BF16),
        (TensorProto.STRING, Datatype.BYTES),
    ],
)
def test_every_datatype_has_the_protocols_name(
    model: onnx.ModelProto, admitted: Admitted, kind: int, datatype: Datatype
) -> None:
    model.graph.input[0].type.tensor_type.elem_type = kind

    assert admitted(model).inputs[0].datatype is datatype


def test_dimensions_without_a_size_or_symbol_are_any(
    model: onnx.ModelProto, admitted: Admitted
) -> None:
    shape = model.graph.input[0].type.tensor_type.shape
    shape.ClearField("dim")
    shape.dim.add(dim_value=-1)
    shape.dim.add(dim_param="")
    shape.dim.add()
    shape.dim.add(dim_value=0)

    assert admitted(model).inputs[0].shape == (None, None, None, 0)


def test_a_tensor_may_have_any_number_of_dimensions(
    model: onnx.ModelProto, admitted: Admitted
) -> None:
    model.graph.output[0].type.tensor_type.ClearField("shape")

    assert admitted(model).outputs[0].shape is None


def test_inputs_with_a_default_are_not_asked_for(
    model: onnx.ModelProto, admitted: Admitted
) -> None:
    model.graph.initializer.add(
        name="b", data_type=TensorProto.FLOAT, dims=[3], float_data=[1] * 3
    )
    sparse = model.graph.sparse_initializer.add()
    sparse.values.name, sparse.values.data_type = "c", TensorProto.FLOAT
    sparse.values.dims.append(0)
    sparse.indices.CopyFrom(TensorProto(data_type=TensorProto.INT64, dims=[0]))
    model.graph.input.append(value("c"))

    assert [tensor.name for tensor in admitted(model).inputs] == ["a"]


@pytest.mark.parametrize("domain", ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"])
def test_operators_of_known_domains_are_admitted(
    model: onnx.ModelProto, admitted: Admitted, domain: str
) -> None:
    model.graph.node[0].domain = domain

    assert admitted(model).inputs


def test_a_models_own_functions_are_admitted(
    model: onnx.ModelProto, admitted: Admitted, call: Calls
) -> None:
    model.graph.node.append(call("f"))
    own_function(model)

    assert admitted(model).inputs


def in_initializer(model: onnx.ModelProto) -> None:
    external(model.graph.initializer.add())


def in_sparse_initializer(model: onnx.ModelProto) -> None:
    external(model.graph.sparse_initializer.add().indices)


def in_attribute(model: onnx.ModelProto) -> None:
    external(model.graph.node[0].attribute.add(name="value").t)


def in_attributes(model: onnx.ModelProto) -> None:
    external(model.graph.node[0].attribute.add(name="value").tensors.add())


def in_subgraph(model: onnx.ModelProto) -> None:
    external(model.graph.node[0].attribute.add(name="body").g.initializer.add())


def in_function(model: onnx.ModelProto) -> None:
    external(own_function(model).node[0].attribute.add(name="value").t)


def in_function_default(model: onnx.ModelProto) -> None:
    external(own_function(model).attribute_proto.add(name="value").t)


def in_training(model: onnx.ModelProto) -> None:
    external(model.training_info.add().algorithm.initializer.add())


@pytest.mark.parametrize(
    "place",
    [
        in_initializer,
        in_sparse_initializer,
        in_attribute,
        in_attributes,
        in_subgraph,
        in_function,
        in_function_default,
        in_training,
    ],
)
def test_refuses_external_data(
    model: onnx.ModelProto, admitted: Admitted, place: Callable[[onnx.ModelProto], None]
) -> None:
    place(model)

    with pytest.raises(ModelRefusedError, match=r"tensor 'secret': .* external data"):
        admitted(model)


@pytest.mark.parametrize("field", ["data_location", "external_data"])
def test_refuses_either_sign_of_external_data(
    model: onnx.ModelProto, admitted: Admitted, field: str
) -> None:
    external(model.graph.initializer.add()).ClearField(field)

    with pytest.raises(ModelRefusedError, match="external data"):
        admitted(model)


def foreign(node: onnx.NodeProto) -> None:
    node.domain, node.op_type, node.name = "ai.onnx.contrib", "PyOp", "spy"


def foreign_node(model: onnx.ModelProto) -> None:
    foreign(model.graph.node[0])


def foreign_node_in_subgraph(model: onnx.ModelProto) -> None:
    foreign(model.graph.node[0].attribute.add(name="body").g.node.add())


def foreign_node_in_function(model: onnx.ModelProto) -> None:
    foreign(own_function(model).node[0])


@pytest.mark.parametrize(
    "place", [foreign_node, foreign_node_in_subgraph, foreign_node_in_function]
)
def test_refuses_operators_of_other_domains(
    model: onnx.ModelProto, admitted: Admitted, place: Callable[[onnx.ModelProto], None]
) -> None:
    place(model)

    with pytest.raises(
        ModelRefusedError, match=r"node 'spy' \(PyOp\).*ai.onnx.contrib"
    ):
        admitted(model)


def no_nodes(model: onnx.ModelProto) -> None:
    model.graph.ClearField("node")


def no_outputs(model: onnx.ModelProto) -> None:
    model.graph.ClearField("output")


def same_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.append(value("a"))


def same_outputs(model: onnx.ModelProto) -> None:
    model.graph.output.append(value("y"))


def nameless(model: onnx.ModelProto) -> None:
    model.graph.input.append(value(""))


def typed(model: onnx.ModelProto, kind: str) -> None:
    model.graph.input[0].ClearField("type")
    getattr(model.graph.input[0].type, kind).SetInParent()


def untyped(model: onnx.ModelProto) -> None:
    model.graph.output[0].ClearField("type")


def element(model: onnx.ModelProto, kind: int) -> None:
    model.graph.output[0].type.tensor_type.elem_type = kind


def ir_version(model: onnx.ModelProto, version: int) -> None:
    model.ir_version = version


def opset(model: onnx.ModelProto, version: int) -> None:
    model.opset_import[0].version = version


def no_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].domain = "ai.onnx.ml"


def opset_in_function(model: onnx.ModelProto) -> None:
    own_function(model).opset_import[0].version = 99


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_nodes, "graph: expected at least one node .* got 0 and 1"),
        (no_outputs, "graph: expected at least one .* got 1 and 0"),
        (same_inputs, "inputs: expected each name once, got 'a' 2 times"),
        (same_outputs, "outputs: expected each name once, got 'y' 2 times"),
        (nameless, "inputs: expected each name once, got '' 1 times"),
        (partial(typed, kind="sequence_type"), "input 'a': .* got sequence_type"),
        (partial(typed, kind="map_type"), "input 'a': .* got map_type"),
        (partial(typed, kind="optional_type"), "input 'a': .* got optional_type"),
        (partial(typed, kind="sparse_tensor_type"), "got sparse_tensor_type"),
        (untyped, "output 'y': expected a tensor, got None"),
        (partial(element, kind=TensorProto.COMPLEX64), "output 'y': .* ONNX type 14"),
        (partial(element, kind=TensorProto.FLOAT8E4M3FN), "ONNX type 17"),
        (partial(element, kind=TensorProto.INT4), "ONNX type 22"),
        (partial(element, kind=0), "ONNX type 0"),
        (partial(ir_version, version=2), "IR version: expected 3 to .*, got 2"),
        (partial(ir_version, version=99), "IR version: expected .*, got 99"),
        (partial(opset, version=6), "opset: expected ai.onnx 7 to .*, got 6"),
        (partial(opset, version=99), "opset: expected ai.onnx 7 to .*, got 99"),
        (no_opset, "opset: expected a version of ai.onnx, got none"),
        (opset_in_function, "opset: .*, got 99"),
    ],
)
def test_refuses(
    model: onnx.ModelProto,
    admitted: Admitted,
    change: Callable[[onnx.ModelProto], None],
    message: str,
) -> None:
    change(model)

    with pytest.raises(ModelRefusedError, match=message):
        admitted(model)


@pytest.mark.parametrize(
    "data", [b"", b"\x3a\x01\x07", b"\x0a\x02\xff\xff\x3a\x01\x01"]
)
def test_refuses_what_is_no_model(data: bytes) -> None:
    with pytest.raises(ModelRefusedError, match=r"graph|protobuf"):
        admit(memoryview(data), AdmissionLimits())


@pytest.mark.parametrize("text", [b"first", b"last", b"batch"])
def test_refuses_names_that_are_not_utf8(model: onnx.ModelProto, text: bytes) -> None:
    model.graph.input[0].name, model.graph.output[0].name = "first", "last"
    data = model.SerializeToString().replace(text, b"\xff" * len(text))

    with pytest.raises(ModelRefusedError, match="expected UTF-8, got other bytes"):
        admit(memoryview(data), AdmissionLimits())


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ModelRefusedError):
        admit(memoryview(data), AdmissionLimits())


@given(st.data())
def test_a_changed_model_is_admitted_or_refused(
    doubling: Models, data: st.DataObject
) -> None:
    changed = bytearray(doubling(3).SerializeToString())
    position = data.draw(st.integers(0, len(changed) - 1))
    changed[position] = data.draw(st.integers(0, 255))
    try:
        spec = admit(memoryview(changed), AdmissionLimits())
    except ModelRefusedError:
        return
    assert spec.outputs
