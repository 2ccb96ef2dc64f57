"""Tensors of the real torch go there and back, and the models it exports are taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import blindai
from blindai.client.inputs import as_tensors
from blindai.client.output import Tensor
from blindai.client.results import TensorSpec
from blindai.errors import TensorError
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor as WireTensor

torch = pytest.importorskip("torch", reason="torch is not installed")

TYPES = {
    TensorProto.BOOL: torch.bool,
    TensorProto.UINT8: torch.uint8,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
}
MATRIX = torch.arange(6.0).reshape(2, 3)
FORMS = [
    pytest.param(MATRIX.T, id="transposed"),
    pytest.param(MATRIX[:, ::2], id="strided"),
    pytest.param(torch.ones(1, 1).expand(2, 3), id="expanded"),
    pytest.param(torch.ones(0, 3), id="empty"),
    pytest.param(torch.ones(2, 3, requires_grad=True), id="with a gradient"),
    pytest.param(torch.nn.Parameter(torch.ones(2, 3)), id="parameter"),
    pytest.param(torch.tensor([[1 + 2j]]).conj().imag, id="negated at need"),
]


def one(value: object, datatype: Datatype = Datatype.FP32) -> WireTensor:
    (tensor,) = as_tensors(value, [TensorSpec("x", datatype, (-1,))])
    return tensor


@pytest.fixture(scope="session")
def layer() -> Any:  # noqa: ANN401  torch is not a dependency
    """A module with weights: (batch, 4) floats to (batch, 2) floats."""
    return torch.nn.Linear(4, 2).eval()


def test_a_torch_tensor_is_taken() -> None:
    assert one(torch.ones(2, requires_grad=True)).array.tolist() == [1, 1]


def test_a_bfloat16_torch_tensor_is_taken_by_its_bits() -> None:
    value = torch.tensor([1.0, -2.0], dtype=torch.bfloat16)
    assert one(value, Datatype.BF16).array.tolist() == [0x3F80, 0xC000]


@pytest.mark.parametrize("form", FORMS)
def test_bfloat16_is_taken_in_every_form(form: Any) -> None:  # noqa: ANN401  torch is not a dependency
    halves = form.to(torch.bfloat16)
    assert one(halves, Datatype.BF16).as_float32().tolist() == form.tolist()


def test_bfloat16_that_is_negated_at_need_is_taken_with_its_sign() -> None:
    value = torch._neg_view(torch.ones(1, dtype=torch.bfloat16))
    assert one(value, Datatype.BF16).array.tolist() == [0xBF80]


@pytest.mark.parametrize(
    ("value", "got"),
    [
        pytest.param(torch.ones(2).to_sparse(), "torch.sparse_coo", id="sparse"),
        pytest.param(torch.ones(2, device="meta"), "on meta", id="without values"),
        pytest.param(
            torch.ones(2).to(torch.float8_e4m3fn), "torch.float8_e4m3fn", id="8 bits"
        ),
        pytest.param(torch.tensor([1j]), "complex64", id="complex"),
    ],
)
def test_a_torch_tensor_that_v2_has_not_is_refused(value: object, got: str) -> None:
    with pytest.raises(TensorError, match=rf"expected .* got .*{got}"):
        one(value)


def test_a_torch_tensor_of_another_type_is_refused_by_both_names() -> None:
    with pytest.raises(TensorError, match=r"expected FP32 .*, got BF16"):
        one(torch.ones(2, dtype=torch.bfloat16))


def test_a_torch_tensor_may_be_written_to() -> None:
    floats = np.array([[1, 2], [3, 4]], np.float32)
    floats.flags.writeable = False
    made = Tensor(WireTensor.of("y", floats)).as_torch()
    made += 1
    assert torch.equal(made, torch.tensor([[2.0, 3.0], [4.0, 5.0]]))


def test_torch_has_no_text() -> None:
    text = Tensor(WireTensor.of("y", np.array([b"a"], object)))
    with pytest.raises(TypeError):
        text.as_torch()


def test_a_torch_tensor_goes_there_and_back(
    client: blindai.Connection, model: str
) -> None:
    sent = torch.tensor([1.0, 2.0])
    assert torch.equal(client.predict(model, sent).output[0].as_torch(), sent)


@pytest.mark.parametrize(("kind", "dtype"), TYPES.items())
def test_a_torch_tensor_of_each_type_goes_there_and_back(
    client: blindai.Connection,
    identity: Callable[..., bytes],
    name: str,
    kind: int,
    dtype: object,
) -> None:
    client.upload_model(identity(kind), name)
    sent = torch.tensor([0, 1, 1], dtype=dtype)
    back = client.predict(name, sent).output[0].as_torch()
    assert back.dtype is sent.dtype
    assert torch.equal(back, sent)


@pytest.mark.parametrize("form", FORMS)
def test_a_torch_tensor_goes_there_and_back_in_every_form(
    client: blindai.Connection,
    identity: Callable[..., bytes],
    name: str,
    form: Any,  # noqa: ANN401  torch is not a dependency
) -> None:
    client.upload_model(identity(rank=2), name)
    back = client.predict(name, form).output[0].as_torch()
    assert torch.equal(back, form)
    assert not back.requires_grad


def test_a_torch_scalar_goes_there_and_back(
    client: blindai.Connection, identity: Callable[..., bytes], name: str
) -> None:
    client.upload_model(identity(TensorProto.BFLOAT16, rank=0), name)
    sent = torch.tensor(-2.5, dtype=torch.bfloat16)
    assert torch.equal(client.predict(name, sent).output[0].as_torch(), sent)


@pytest.mark.parametrize(
    "tensors",
    [
        pytest.param([torch.ones(3) * 3, torch.ones(3)], id="in order"),
        pytest.param({"b": torch.ones(3), "a": torch.ones(3) * 3}, id="by name"),
    ],
)
def test_several_torch_tensors_find_their_names(
    client: blindai.Connection, pair: str, tensors: object
) -> None:
    outputs = client.predict(pair, tensors).outputs
    assert torch.equal(outputs["difference"].as_torch(), torch.ones(3) * 2)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch, about torch
def test_a_module_exported_to_two_files_is_uploaded(
    client: blindai.Connection,
    layer: Any,  # noqa: ANN401  torch is not a dependency
    tmp_path: Path,
    name: str,
) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    path = tmp_path / "layer.onnx"
    torch.onnx.export(layer, (MATRIX.new_ones(1, 4),), path, dynamo=True)
    assert_uploaded(client, layer, path, name)


def test_a_module_saved_in_two_files_is_uploaded(
    client: blindai.Connection,
    layer: Any,  # noqa: ANN401  torch is not a dependency
    tmp_path: Path,
    name: str,
) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "weight", "bias"], ["y"], transB=1)],
        "layer",
        [value("x", TensorProto.FLOAT, ["batch", 4])],
        [value("y", TensorProto.FLOAT, ["batch", 2])],
        [
            onnx.numpy_helper.from_array(values.numpy(), each)
            for each, values in layer.state_dict().items()
        ],
    )
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    path = tmp_path / "layer.onnx"
    onnx.save(model, path, save_as_external_data=True, size_threshold=0)
    assert_uploaded(client, layer, path, name)


def assert_uploaded(
    client: blindai.Connection,
    layer: Any,  # noqa: ANN401  torch is not a dependency
    path: Path,
    name: str,
) -> None:
    """The model in two files is taken, and gives what the module gives."""
    assert len(list(path.parent.iterdir())) == 2, "expected a second file of weights"
    client.upload_model(path, name)
    sent = torch.rand(1, 4)
    back = client.predict(name, sent).output[0].as_torch()
    torch.testing.assert_close(back, layer(sent).detach())
