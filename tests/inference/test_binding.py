"""How a request's tensors meet a model's declaration."""

from __future__ import annotations

import numpy as np
import pytest

from blindai.errors import TensorError
from blindai.inference import binding
from blindai.inference.model import ModelSpec, TensorSpec
from blindai.protocol.datatypes import Array, Datatype
from blindai.protocol.tensor import Tensor

SPEC = ModelSpec(
    inputs=(
        TensorSpec("image", Datatype.FP32, ("batch", 3, None)),
        TensorSpec("mask", Datatype.BOOL, ("batch",)),
        TensorSpec("any", Datatype.INT64, None),
    ),
    outputs=(
        TensorSpec("scores", Datatype.FP32, ("batch",)),
        TensorSpec("labels", Datatype.BYTES, ("batch",)),
    ),
)
IMAGE = Tensor.of("image", np.zeros((2, 3, 5), np.float32))
MASK = Tensor.of("mask", np.zeros(2, np.bool_))
ANY = Tensor.of("any", np.zeros((1, 2, 3, 4), np.int64))


def test_tensors_that_fit_are_accepted_in_any_order() -> None:
    binding.require_inputs(SPEC, [ANY, MASK, IMAGE])


def image(*shape: int) -> Tensor:
    return Tensor.of("image", np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        pytest.param(
            [IMAGE, MASK],
            "inputs: expected 'any', 'image', 'mask', got 'image', 'mask'",
            id="one missing",
        ),
        pytest.param([], "inputs: expected .*, got none", id="all missing"),
        pytest.param(
            [IMAGE, MASK, ANY, Tensor.of("more", MASK.array)],
            "got 'any', 'image', 'mask', 'more'",
            id="one unknown",
        ),
        pytest.param(
            [IMAGE, MASK, ANY, ANY], "got 'any', 'any', 'image', 'mask'", id="one twice"
        ),
        pytest.param(
            [Tensor.of("image", np.zeros((2, 3, 5))), MASK, ANY],
            "input 'image': expected FP32, got FP64",
            id="another datatype",
        ),
        pytest.param(
            [image(2, 3), MASK, ANY],
            "input 'image': expected 3 dimensions, got 2",
            id="another rank",
        ),
        pytest.param(
            [image(2, 4, 5), MASK, ANY],
            r"input 'image', dimension 1 \(3\): expected 3, got 4",
            id="another fixed size",
        ),
        pytest.param(
            [image(1, 3, 5), MASK, ANY],
            r"input 'mask', dimension 0 \(batch\): expected 1, got 2",
            id="one symbol, two sizes",
        ),
    ],
)
def test_refuses(tensors: list[Tensor], message: str) -> None:
    with pytest.raises(TensorError, match=message):
        binding.require_inputs(SPEC, tensors)


def test_a_request_without_outputs_gets_all() -> None:
    assert binding.select_outputs(SPEC, ()) == SPEC.outputs


def test_outputs_come_once_and_in_the_order_asked_for() -> None:
    names = [spec.name for spec in binding.select_outputs(SPEC, ["labels", "scores"])]

    assert names == ["labels", "scores"]
    assert binding.select_outputs(SPEC, ["labels", "labels"]) == SPEC.outputs[1:]


def test_refuses_an_unknown_output() -> None:
    with pytest.raises(TensorError, match="expected 'labels', 'scores', got 'other'"):
        binding.select_outputs(SPEC, ["scores", "other"])


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.arange(6, dtype=">f4").reshape(2, 3), id="big-endian"),
        pytest.param(np.arange(6, dtype="<f4").reshape(3, 2).T, id="Fortran order"),
        pytest.param(
            np.frombuffer(b"x" + np.arange(6, dtype="<f4").tobytes(), "<f4", 6, 1),
            id="unaligned",
        ),
        pytest.param(np.array(5, "<f4"), id="no dimensions"),
    ],
)
def test_the_runtime_gets_aligned_native_arrays(array: Array) -> None:
    fed = binding.feed([Tensor.of("x", array)])["x"]

    assert fed.dtype == np.dtype("<f4")
    assert fed.flags.c_contiguous
    assert fed.flags.aligned
    np.testing.assert_array_equal(fed, array)
    assert fed.shape == array.shape


def test_what_is_aligned_is_not_copied() -> None:
    array = np.arange(6, dtype=np.float32)

    assert np.shares_memory(binding.feed([Tensor.of("x", array)])["x"], array)


@pytest.mark.parametrize("shape", [(2, 1), (2,), (1, 2)])
def test_bytes_become_text_and_text_becomes_bytes(shape: tuple[int, ...]) -> None:
    texts = np.array([b"a\x00b", "é".encode()], np.object_).reshape(shape)
    spec = TensorSpec("x", Datatype.BYTES, None)

    fed = binding.feed([Tensor.of("x", texts)])["x"]
    back = binding.tensor(spec, fed)

    assert fed.tolist() == np.array(["a\x00b", "é"], np.object_).reshape(shape).tolist()
    assert back.array.tolist() == texts.tolist()
    assert back.shape == shape


def test_one_text_without_dimensions_stays_so() -> None:
    fed = binding.feed([Tensor.of("x", np.array(b"a", np.object_))])["x"]

    assert (fed.shape, fed.item()) == ((), "a")


def test_refuses_bytes_that_are_not_utf8_and_does_not_say_them() -> None:
    secret = Tensor.of("x", np.array([b"secret\xff"], np.object_))

    with pytest.raises(TensorError, match="input 'x': expected UTF-8") as caught:
        binding.feed([secret])

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_numbers_keep_the_declared_name_and_datatype() -> None:
    spec = TensorSpec("y", Datatype.BF16, None)
    bits = np.array([0x3F80], np.uint16)

    tensor = binding.tensor(spec, bits)

    assert (tensor.name, tensor.datatype, tensor.array) == ("y", Datatype.BF16, bits)
