"""What people have in hand becomes tensors of the model's types, or is refused."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from blindai.client.inputs import as_tensors
from blindai.client.results import TensorSpec
from blindai.errors import TensorError
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

KEPT = ", got some that it cannot hold"
NUMBERS = [each for each in Datatype if each is not Datatype.BYTES]


def spec(datatype: Datatype = Datatype.FP32, name: str = "x") -> TensorSpec:
    return TensorSpec(name, datatype, (-1,))


PAIR = (spec(name="a"), spec(Datatype.INT64, name="b"))


def one(
    value: object,
    datatype: Datatype = Datatype.FP32,
    dtype: object = None,
    shape: object = None,
) -> Tensor:
    (tensor,) = as_tensors(value, [spec(datatype)], dtype, shape)
    return tensor


@pytest.mark.parametrize("datatype", NUMBERS)
def test_an_array_of_the_models_type_is_taken_as_it_is(datatype: Datatype) -> None:
    array = np.ones((2, 3), datatype.numpy)
    tensor = one(array, datatype)
    assert tensor.array is array
    assert (tensor.name, tensor.datatype, tensor.shape) == ("x", datatype, (2, 3))


@pytest.mark.parametrize("datatype", NUMBERS)
def test_a_list_of_numbers_becomes_the_models_type(datatype: Datatype) -> None:
    tensor = one([[0, 1], [1, 0]], datatype)
    one_bits = 0x3F80 if datatype is Datatype.BF16 else 1
    assert tensor.datatype is datatype
    assert tensor.array.tolist() == [[0, one_bits], [one_bits, 0]]


@pytest.mark.parametrize(
    ("number", "bits"),
    [
        pytest.param(-2.0, 0xC000, id="exact"),
        pytest.param(1.0 + 2**-8, 0x3F80, id="tie to even, down"),
        pytest.param(1.0 + 3 * 2**-8, 0x3F82, id="tie to even, up"),
        pytest.param(1.0 + 2**-8 + 2**-20, 0x3F81, id="above a tie"),
        pytest.param(3.38e38, 0x7F7E, id="nearly the largest"),
        pytest.param(-math.inf, 0xFF80, id="infinity"),
        pytest.param(math.nan, 0x7FC0, id="not a number"),
    ],
)
def test_a_number_becomes_the_nearest_bf16(number: float, bits: int) -> None:
    assert one([number], Datatype.BF16).array.tolist() == [bits]


@pytest.mark.parametrize("datatype", [Datatype.FP16, Datatype.FP32, Datatype.FP64])
def test_what_was_infinite_or_no_number_stays_so(datatype: Datatype) -> None:
    infinite, nothing, most = one([-math.inf, math.nan, 65504.0], datatype).array
    assert (float(infinite), math.isnan(nothing), float(most)) == (
        -math.inf,
        True,
        65504,
    )


def test_a_scalar_has_no_dimensions() -> None:
    assert one(2.5).shape == ()
    assert one("text", Datatype.BYTES).array.item() == b"text"


def test_a_flat_list_takes_a_dtype_and_a_shape() -> None:
    tensor = one([1, 2, 3, 4], dtype="float32", shape=(2, 2))
    assert tensor.array.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("shape", [4, (4,), [4], (-1,), np.array([4])])
def test_a_shape_may_be_a_number_or_leave_one_out(shape: object) -> None:
    assert one([1, 2, 3, 4], shape=shape).shape == (4,)


@pytest.mark.parametrize("dtype", ["FP32", "fp32", "float32", np.float32, "<f4"])
def test_a_dtype_is_known_by_v2_and_numpy_names(dtype: object) -> None:
    assert one([1], dtype=dtype).datatype is Datatype.FP32


def test_an_empty_list_fits_whole_numbers() -> None:
    assert one([], Datatype.INT64).shape == (0,)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(["é", b"\xff\x00"], id="list of text and bytes"),
        pytest.param(np.array(["é", b"\xff\x00"], object), id="array of objects"),
    ],
)
def test_text_and_bytes_become_bytes(value: object) -> None:
    assert one(value, Datatype.BYTES).array.tolist() == ["é".encode(), b"\xff\x00"]


@pytest.mark.parametrize("shape", [(), (-1,), (1,), (-1, -1)])
@pytest.mark.parametrize("text", ["é", "é".encode(), np.str_("é")])
def test_one_text_fits_a_model_of_any_rank(
    text: object, shape: tuple[int, ...]
) -> None:
    (tensor,) = as_tensors(text, [TensorSpec("x", Datatype.BYTES, shape)])
    assert tensor.shape == (1,) * len(shape)
    assert tensor.array.item() == "é".encode()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_bytes_of_a_file_are_numbers_for_a_model_that_takes_them(
    kind: type[Any],
) -> None:
    tensor = one(kind(b"\xff\xd8\x00"), Datatype.UINT8)
    assert (tensor.shape, tensor.array.tolist()) == ((3,), [0xFF, 0xD8, 0])


def test_the_bytes_of_a_file_are_no_other_numbers() -> None:
    with pytest.raises(TensorError, match="'x': expected numbers for FP32, got bytes"):
        one(b"\xff\xd8")


def test_text_of_numpys_own_kind_becomes_bytes() -> None:
    strings = pytest.importorskip("numpy.dtypes").StringDType()
    assert one(np.array(["a", "bc"], strings), Datatype.BYTES).array.tolist() == [
        b"a",
        b"bc",
    ]


def test_text_that_utf8_cannot_write_is_refused_and_not_shown() -> None:
    with pytest.raises(TensorError, match="got half of a surrogate pair") as caught:
        one("secret \ud800", Datatype.BYTES)
    assert "secret" not in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("kind", ["S", "U"])
def test_an_array_of_numpys_strings_becomes_bytes(kind: str) -> None:
    tensor = one(np.array([["a", "bc"]], kind), Datatype.BYTES)
    assert tensor.array.tolist() == [[b"a", b"bc"]]


@pytest.mark.parametrize(
    ("value", "datatype", "got"),
    [
        pytest.param(["1"], Datatype.FP32, ", got text", id="text for numbers"),
        pytest.param([None], Datatype.FP32, ", got others", id="nothing for numbers"),
        pytest.param([1j], Datatype.FP32, ", got complex ones", id="complex"),
        pytest.param(
            [[1], [1, 2]], Datatype.FP32, " in lists of one length", id="ragged"
        ),
        pytest.param([1.5], Datatype.INT64, KEPT, id="a fraction for whole numbers"),
        pytest.param([300], Datatype.UINT8, KEPT, id="too large"),
        pytest.param([-1], Datatype.UINT8, KEPT, id="negative"),
        pytest.param([math.nan], Datatype.INT64, KEPT, id="not a number"),
        pytest.param([2], Datatype.BOOL, KEPT, id="a number for a truth value"),
        pytest.param([10**30], Datatype.INT64, "too large", id="far too large"),
        pytest.param([1.0, 65520.0], Datatype.FP16, KEPT, id="beyond FP16"),
        pytest.param([-1e39], Datatype.FP32, KEPT, id="beyond FP32"),
        pytest.param([3.4e38], Datatype.BF16, KEPT, id="rounds beyond BF16"),
        pytest.param([[1e39]], Datatype.BF16, KEPT, id="beyond BF16"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_and_not_shown(
    value: object, datatype: Datatype, got: str
) -> None:
    with pytest.raises(TensorError) as caught:
        one(value, datatype)
    assert f"input 'x': expected numbers for {datatype}" in caught.value.message
    assert got in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([1], id="numbers"),
        pytest.param([["a"], ["b", "c"]], id="ragged"),
        pytest.param(np.array([1, 2], object), id="array of objects"),
    ],
)
def test_anything_but_text_and_bytes_is_refused_for_bytes(value: object) -> None:
    with pytest.raises(TensorError, match="expected text or bytes for BYTES"):
        one(value, Datatype.BYTES)


def test_an_array_of_another_type_is_refused_by_both_names() -> None:
    with pytest.raises(
        TensorError, match=r"input 'x': expected FP32 \(float32\), got FP64 \(float64\)"
    ):
        one(np.ones(2))


def test_an_array_of_a_type_that_v2_has_not_is_refused() -> None:
    with pytest.raises(TensorError, match=r"'x': expected FP32 .*, got complex64"):
        one(np.ones(2, np.complex64))


@pytest.mark.parametrize(
    ("array", "got"),
    [
        pytest.param(np.array([1, 2.5], object), "Python objects", id="objects"),
        pytest.param(np.array(["a"]), "<U1", id="text"),
    ],
)
def test_an_array_of_other_things_is_refused_as_what_it_is(
    array: np.ndarray[Any, Any], got: str
) -> None:
    with pytest.raises(TensorError, match=rf"'x': expected FP32 .*, got .*{got}"):
        one(array)


def test_what_its_owner_masked_is_not_sent() -> None:
    masked = np.ma.masked_array(np.ones(2, np.float32), mask=[False, True])
    with pytest.raises(TensorError, match=r"without masked .*filled"):
        one(masked)
    assert one(masked.filled(0)).array.tolist() == [1, 0]
    assert one(np.ma.masked_array(np.ones(1, np.float32))).shape == (1,)


def test_a_dtype_that_is_not_the_models_is_refused() -> None:
    with pytest.raises(TensorError, match=r"expected FP32 .*, got INT8"):
        one([1], dtype="INT8")


@pytest.mark.parametrize("dtype", ["a secret", object(), np.ones(2), {"a": 1}])
def test_a_dtype_that_nobody_knows_is_refused_and_not_shown(dtype: object) -> None:
    with pytest.raises(TensorError, match="expected a V2 name") as caught:
        one([1], dtype=dtype)
    assert f"got another {type(dtype).__name__}" in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("shape", [(3,), "ab", (-1, -1)])
def test_a_shape_that_the_elements_do_not_fill_is_refused(shape: object) -> None:
    with pytest.raises(TensorError, match="input 'x': expected 4 elements to fill"):
        one([1, 2, 3, 4], shape=shape)


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param([[1.0], [2]], id="lists"),
        pytest.param((np.ones(1, np.float32), [2]), id="an array and a list"),
        pytest.param({"a": [1.0], "b": [2]}, id="by name"),
        pytest.param({"b": [2], "a": [1.0]}, id="by name, in another order"),
    ],
)
def test_several_inputs_find_their_names(inputs: object) -> None:
    tensors = as_tensors(inputs, PAIR)
    assert [each.name for each in tensors] == ["a", "b"], "in the model's order"
    assert [each.array.tolist() for each in tensors] == [[1.0], [2]]


def test_a_list_of_scalars_is_one_for_each_of_several_inputs() -> None:
    first, second = as_tensors([1.0, 2], PAIR)
    assert (first.array.item(), second.array.item()) == (1.0, 2)


def test_several_inputs_have_dtypes_and_shapes_each() -> None:
    first, second = as_tensors(
        [[1, 2], [3, 4, 5, 6]], PAIR, ["FP32", "INT64"], [(1, 2), (2, 2)]
    )
    assert (first.shape, second.shape) == ((1, 2), (2, 2))


def test_several_inputs_may_share_a_shape() -> None:
    first, second = as_tensors([[1, 2], [3, 4]], PAIR, shape=(2, 1))
    assert (first.shape, second.shape) == ((2, 1), (2, 1))


def test_an_input_without_a_dtype_in_the_list_has_the_models() -> None:
    _, second = as_tensors([[1], [2]], PAIR, ["FP32"])
    assert second.datatype is Datatype.INT64


def test_a_list_of_one_array_is_that_array() -> None:
    assert one([np.ones(3, np.float32)]).shape == (3,)


@pytest.mark.parametrize(
    ("inputs", "got"),
    [
        pytest.param([[1], [2], [3]], "3", id="too many"),
        pytest.param([[1]], "1", id="too few"),
        pytest.param(np.ones(2, np.float32), "1", id="one array"),
    ],
)
def test_a_wrong_number_of_inputs_names_what_is_expected(
    inputs: object, got: str
) -> None:
    with pytest.raises(TensorError, match=rf"expected 2 \(a, b\), got {got}"):
        as_tensors(inputs, PAIR)


def test_an_unknown_input_names_what_is_expected_and_what_was_there() -> None:
    with pytest.raises(TensorError, match="inputs: expected a, b, got c"):
        as_tensors({"a": [1], "c": [2]}, PAIR)


class _TorchTensor:
    """As much of a torch tensor as is used."""

    def __init__(self, array: np.ndarray[Any, Any], dtype: object) -> None:
        self.array, self.dtype = array, dtype
        self.layout, self.device = "torch.strided", "cpu"

    def numpy(self) -> np.ndarray[Any, Any]:
        return self.array

    def view(self, dtype: object) -> _TorchTensor:
        assert dtype == "torch.int16"
        return _TorchTensor(self.array.view(np.int16), dtype)

    def _same(self) -> _TorchTensor:
        return self

    detach = cpu = contiguous = resolve_conj = resolve_neg = _same


@pytest.fixture
def _torch_in_outline(monkeypatch: pytest.MonkeyPatch) -> None:
    outline = SimpleNamespace(
        Tensor=_TorchTensor, bfloat16="torch.bfloat16", int16="torch.int16"
    )
    monkeypatch.setitem(sys.modules, "torch", outline)


@pytest.mark.usefixtures("_torch_in_outline")
def test_something_shaped_like_a_torch_tensor_is_taken() -> None:
    value = _TorchTensor(np.ones(2, np.float32), "torch.float32")
    assert one(value).array.tolist() == [1, 1]
    assert one([value]).array.tolist() == [1, 1]


@pytest.mark.usefixtures("_torch_in_outline")
def test_something_shaped_like_a_bfloat16_torch_tensor_is_taken_by_its_bits() -> None:
    value = _TorchTensor(np.array([0x3F80, 0xC000], np.uint16), "torch.bfloat16")
    assert one(value, Datatype.BF16).array.tolist() == [0x3F80, 0xC000]


@pytest.mark.usefixtures("_torch_in_outline")
@pytest.mark.parametrize("error", [TypeError("no such type"), RuntimeError("sparse")])
def test_something_shaped_like_a_torch_tensor_that_is_no_array_is_refused(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_TorchTensor, "numpy", Mock(side_effect=error))
    value = _TorchTensor(np.ones(2, np.uint8), "torch.float8_e4m3fn")
    with pytest.raises(TensorError, match=r"dense tensor .*got .*float8_e4m3fn on cpu"):
        one(value)
