"""What comes back is shown in the caller's terms, and never in a `repr`."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from blindai.client.results import PredictResponse, Tensor
from blindai.errors import TensorError
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor as WireTensor

FLOATS = np.array([[1, 2], [3, 4]], np.float32)


def tensor(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
    return Tensor(WireTensor.of("y", array))


def test_a_tensor_has_a_name_a_type_and_a_shape() -> None:
    floats = tensor(FLOATS)
    assert (floats.name, floats.datatype) == ("y", Datatype.FP32)
    assert (floats.shape, floats.dtype.name) == ((2, 2), "float32")


def test_a_tensor_is_an_array_or_a_flat_list() -> None:
    assert tensor(FLOATS).as_numpy() is FLOATS
    assert tensor(FLOATS).as_flat() == [1, 2, 3, 4]


def test_bf16_comes_as_numbers() -> None:
    bits = np.array([0x3F80], np.uint16)
    floats = Tensor(WireTensor("y", Datatype.BF16, (1,), bits))
    assert (floats.as_flat(), floats.dtype.name) == ([1.0], "float32")


def test_text_comes_as_bytes() -> None:
    assert tensor(np.array([b"a", b"\xff"], object)).as_flat() == [b"a", b"\xff"]


def test_one_text_comes_as_text() -> None:
    one = tensor(np.array([["zwö".encode()]], object))
    assert (one.as_text(), one.as_texts()) == ("zwö", ["zwö"])


def test_several_texts_come_as_a_list_row_by_row() -> None:
    several = tensor(np.array([[b"a", b"b"], [b"c", b"d"]], object))
    assert several.as_texts() == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (FLOATS, "output 'y': expected BYTES, got FP32"),
        (np.array([b"a", b"b"], object), r"expected one text, got 2; as_texts\(\)"),
        (np.array([], object), "expected one text, got 0"),
        (np.array([b"\xff"], object), "output 'y': expected UTF-8, got other bytes"),
    ],
)
def test_what_is_not_one_text_is_refused_and_not_shown(
    array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], message: str
) -> None:
    with pytest.raises(TensorError, match=message) as caught:
        tensor(array).as_text()
    assert caught.value.__cause__ is None


def test_torch_gets_a_copy_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    outline = SimpleNamespace(from_numpy=lambda array: ("torch", array))
    monkeypatch.setitem(sys.modules, "torch", outline)
    kind, array = tensor(FLOATS).as_torch()
    assert kind == "torch"
    assert array.tolist() == FLOATS.tolist()
    assert not np.shares_memory(array, FLOATS)


def test_torch_gets_the_bits_of_bf16_as_its_own_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outline = SimpleNamespace(
        bfloat16="torch.bfloat16",
        from_numpy=lambda array: SimpleNamespace(view=lambda dtype: (dtype, array)),
    )
    monkeypatch.setitem(sys.modules, "torch", outline)
    bits = np.array([0x3F80, 0xC000], np.uint16)
    dtype, array = Tensor(WireTensor("y", Datatype.BF16, (2,), bits)).as_torch()
    assert dtype == "torch.bfloat16"
    assert array.dtype == np.int16
    assert array.view(np.uint16).tolist() == [0x3F80, 0xC000]
    assert not np.shares_memory(array, bits)


def test_without_torch_a_torch_tensor_is_an_import_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError):
        tensor(FLOATS).as_torch()


def test_values_are_not_in_the_repr() -> None:
    secret = tensor(np.array([987654.0]))
    response = PredictResponse(
        output=(secret,),
        model_name="m",
        model_version=1,
        model_digest="00",
        inference_time=0.1,
    )
    assert repr(secret) == "Tensor('y', FP64, (1,))"
    assert "987654" not in repr(response)


def test_outputs_are_found_by_name() -> None:
    floats = tensor(FLOATS)
    response = PredictResponse(
        output=(floats,),
        model_name="m",
        model_version=1,
        model_digest="00",
        inference_time=0.1,
    )
    assert response.outputs == {"y": floats}
