"""One named array, and the limits."""

import numpy as np
import pytest

from blindai.errors import TensorError
from blindai.protocol.datatypes import Array, Datatype
from blindai.protocol.tensor import Limits, Tensor


def bf16(*bits: int) -> Tensor:
    return Tensor("x", Datatype.BF16, (len(bits),), np.array(bits, np.uint16))


def test_a_tensor_takes_datatype_and_shape_from_its_array() -> None:
    array = np.zeros((2, 3), np.int8)

    tensor = Tensor.of("x", array)

    assert (tensor.name, tensor.datatype, tensor.shape) == ("x", "INT8", (2, 3))
    assert tensor.array is array


def test_a_tensor_does_not_show_its_values() -> None:
    text = repr(Tensor.of("x", np.array([1234567])))

    assert "1234567" not in text
    assert "array" not in text


@pytest.mark.parametrize(
    ("datatype", "shape", "array", "message"),
    [
        pytest.param(
            Datatype.FP32,
            (2,),
            np.zeros(3, np.float32),
            r"tensor 'x': expected an array of shape \(2,\), got \(3,\)",
            id="shape",
        ),
        pytest.param(
            Datatype.FP32,
            (3,),
            np.zeros(3, np.float64),
            "tensor 'x': expected an array of float32 for FP32, got float64",
            id="dtype",
        ),
        pytest.param(
            Datatype.BF16,
            (3,),
            np.zeros(3, np.float32),
            "expected an array of uint16 for BF16, got float32",
            id="numbers for BF16",
        ),
        pytest.param(
            Datatype.BYTES,
            (1,),
            np.array(["text"], object),
            "tensor 'x': expected elements of bytes, got others",
            id="text for BYTES",
        ),
    ],
)
def test_refuses_an_array_that_is_not_the_tensor(
    datatype: Datatype, shape: tuple[int, ...], array: Array, message: str
) -> None:
    with pytest.raises(TensorError, match=message):
        Tensor("x", datatype, shape, array)


def test_bfloat16_as_float32_has_the_same_numbers() -> None:
    tensor = bf16(0x3FC0, 0xC000, 0x0000, 0x8000, 0x7F80, 0x0001)

    numbers = tensor.as_float32()

    expected = np.array([1.5, -2, 0, -0.0, np.inf, 2.0**-133], np.float32)
    assert numbers.dtype == np.float32
    assert numbers.tobytes() == expected.tobytes()


def test_bfloat16_without_dimensions_or_elements_converts() -> None:
    scalar = Tensor("x", Datatype.BF16, (), np.array(0x3F80, ">u2"))

    assert isinstance(scalar.as_float32(), np.ndarray)
    assert scalar.as_float32() == np.array(1, np.float32)
    assert bf16().as_float32().shape == (0,)


def test_float32_is_not_copied_as_float32() -> None:
    array = np.zeros(3, np.float32)

    assert Tensor.of("x", array).as_float32() is array


def test_integers_convert_to_float32() -> None:
    numbers = Tensor.of("x", np.array([[1, 2]], np.int64)).as_float32()

    assert numbers.dtype == np.float32
    assert numbers.tolist() == [[1, 2]]


def test_refuses_bytes_as_float32() -> None:
    tensor = Tensor.of("x", np.array([b"1"], object))

    with pytest.raises(TensorError, match="tensor 'x': expected numbers, got BYTES"):
        tensor.as_float32()


@pytest.mark.parametrize(
    ("dims", "elements"),
    [
        pytest.param(33, 1, id="more dimensions than NumPy"),
        pytest.param(1, 2**59 + 1, id="sizes beyond 63 bits"),
    ],
)
def test_refuses_limits_that_numpy_cannot_keep(dims: int, elements: int) -> None:
    with pytest.raises(ValueError, match="expected at most 32 dimensions and 2"):
        Limits(max_dims=dims, max_elements=elements)
