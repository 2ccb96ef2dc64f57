"""What a model is asked and answers, against a whole enclave."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto

import blindai
from blindai.errors import (
    ConflictError,
    DeadlineError,
    InvalidRequestError,
    NotFoundError,
    TensorError,
)
from blindai.testing import SimulatedEnclave

ONES = np.ones(3, np.float32)
KINDS = {
    TensorProto.BOOL: np.array([True, False]),
    TensorProto.UINT8: np.array([0, 255], np.uint8),
    TensorProto.UINT16: np.array([0, 65535], np.uint16),
    TensorProto.UINT32: np.array([0, 2**32 - 1], np.uint32),
    TensorProto.UINT64: np.array([0, 2**64 - 1], np.uint64),
    TensorProto.INT8: np.array([-128, 127], np.int8),
    TensorProto.INT16: np.array([-(2**15), 2**15 - 1], np.int16),
    TensorProto.INT32: np.array([-(2**31), 2**31 - 1], np.int32),
    TensorProto.INT64: np.array([-(2**63), 2**63 - 1], np.int64),
    TensorProto.FLOAT16: np.array([1.5, -65504], np.float16),
    TensorProto.FLOAT: np.array([1.5, -3.4e38], np.float32),
    TensorProto.DOUBLE: np.array([1.5, -1.7e308], np.float64),
    TensorProto.STRING: np.array([b"one", "zwö".encode()], object),
}


@pytest.mark.parametrize(("kind", "array"), KINDS.items())
def test_an_array_of_each_type_goes_there_and_back(
    client: blindai.Connection,
    identity: Callable[..., bytes],
    name: str,
    kind: int,
    array: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
) -> None:
    client.upload_model(identity(kind), name)
    (output,) = client.predict(name, array).output
    assert output.as_numpy().tolist() == array.tolist()
    assert output.as_flat() == array.tolist()
    assert (output.dtype, output.shape) == (array.dtype, array.shape)


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("zwö", ["zwö"]),
        ("zwö".encode(), ["zwö"]),
        (["one", b"two"], ["one", "two"]),
        (np.array(["one", "zwö"]), ["one", "zwö"]),
        (["", "a\0b", "\U0001f600"], ["", "a\0b", "\U0001f600"]),
    ],
)
def test_text_goes_there_and_back(
    client: blindai.Connection,
    identity: Callable[..., bytes],
    name: str,
    text: object,
    texts: list[str],
) -> None:
    client.upload_model(identity(TensorProto.STRING), name)
    assert client.predict(name, text).output[0].as_texts() == texts


def test_a_files_bytes_go_to_a_model_that_takes_numbers(
    client: blindai.Connection, identity: Callable[..., bytes], name: str
) -> None:
    client.upload_model(identity(TensorProto.UINT8), name)
    assert client.predict(name, b"\x89PNG").output[0].as_flat() == [*b"\x89PNG"]


def test_bits_of_bf16_go_there_and_come_back_as_numbers(
    client: blindai.Connection, identity: Callable[..., bytes], name: str
) -> None:
    client.upload_model(identity(TensorProto.BFLOAT16), name)
    (output,) = client.predict(name, np.array([0x3F80, 0xC000], np.uint16)).output
    assert output.as_flat() == [1.0, -2.0]
    assert output.dtype == np.float32


@pytest.mark.parametrize(
    "tensors",
    [
        pytest.param([1.0, 2.0], id="list"),
        pytest.param(np.array([1, 2], ">f4"), id="the other byte order"),
        pytest.param(np.array([1, 0, 2, 0], np.float32)[::2], id="strided"),
        pytest.param({"x": [1.0, 2.0]}, id="by name"),
        pytest.param([np.array([1, 2], np.float32)], id="list of one array"),
    ],
)
def test_one_input_comes_in_many_forms(
    client: blindai.Connection, model: str, tensors: object
) -> None:
    assert client.predict(model, tensors).output[0].as_flat() == [1.0, 2.0]


def test_a_flat_list_with_dtype_and_shape_is_reshaped(
    client: blindai.Connection, identity: Callable[..., bytes], name: str
) -> None:
    client.upload_model(identity(rank=2), name)
    (output,) = client.predict(name, [1, 2, 3, 4], "FP32", (2, 2)).output
    assert output.as_numpy().tolist() == [[1, 2], [3, 4]]


def test_a_scalar_goes_there_and_back(
    client: blindai.Connection, identity: Callable[..., bytes], name: str
) -> None:
    client.upload_model(identity(rank=0), name)
    (output,) = client.predict(name, 2.5).output
    assert (output.shape, output.as_flat()) == ((), [2.5])


@pytest.mark.parametrize(
    "tensors",
    [
        pytest.param([ONES * 3, ONES], id="in order"),
        pytest.param({"b": ONES, "a": ONES * 3}, id="by name"),
    ],
)
def test_several_inputs_and_outputs_keep_their_names(
    client: blindai.Connection, pair: str, tensors: object
) -> None:
    response = client.predict(pair, tensors)
    assert [each.name for each in response.output] == ["sum", "difference"]
    assert response.outputs["sum"].as_flat() == [4, 4, 4]
    assert response.outputs["difference"].as_flat() == [2, 2, 2]


def test_only_the_outputs_asked_for_come_back(
    client: blindai.Connection, pair: str
) -> None:
    response = client.predict(pair, [ONES, ONES], outputs=("difference",))
    assert list(response.outputs) == ["difference"]


def test_an_output_that_there_is_not_is_refused(
    client: blindai.Connection, pair: str
) -> None:
    with pytest.raises(TensorError, match=r"outputs: expected 'difference', 'sum'"):
        client.predict(pair, [ONES, ONES], outputs=("product",))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        pytest.param([ONES], r"expected 2 \(a, b\), got 1", id="too few"),
        pytest.param({"a": ONES}, "expected 'a', 'b', got 'a'", id="one is missing"),
        pytest.param({"a": ONES, "c": ONES}, "expected a, b, got c", id="unknown"),
        pytest.param(
            [ONES, np.ones(3)], r"input 'b': expected FP32 .* got FP64", id="dtype"
        ),
        pytest.param(
            [ONES, np.ones((1, 3), np.float32)],
            "input 'b': expected 1 dimensions, got 2",
            id="dimensions",
        ),
        pytest.param(
            [ONES, np.ones(4, np.float32)],
            r"input 'b', dimension 0 \(n\): expected 3, got 4",
            id="size",
        ),
    ],
)
def test_inputs_that_are_not_the_models_are_refused_by_what_was_expected(
    client: blindai.Connection, pair: str, tensors: object, message: str
) -> None:
    with pytest.raises(TensorError, match=message):
        client.predict(pair, tensors)


def test_the_answer_says_which_model_ran_and_for_how_long(
    client: blindai.Connection, identity: Callable[..., bytes], model: str
) -> None:
    response = client.predict(model, ONES)
    assert response.model_name == model
    assert response.model_digest == hashlib.sha256(identity()).hexdigest()
    assert 0 < response.inference_time < 5


def test_the_values_are_not_in_the_repr(client: blindai.Connection, model: str) -> None:
    response = client.predict(model, [123456.0])
    assert "123456" not in repr(response)
    assert "Tensor('y', FP32, (1,))" in repr(response)


def test_a_pinned_model_runs(
    client: blindai.Connection, identity: Callable[..., bytes], model: str
) -> None:
    digest = hashlib.sha256(identity()).hexdigest()
    assert client.predict(model, ONES, model_digest=digest).model_digest == digest


def test_a_model_that_is_not_the_pinned_one_does_not_run(
    client: blindai.Connection, model: str
) -> None:
    with pytest.raises(ConflictError, match="model digest: expected 0000"):
        client.predict(model, ONES, model_digest="00" * 32)


def test_a_request_that_takes_too_long_is_given_up(
    client: blindai.Connection, model: str
) -> None:
    with pytest.raises(DeadlineError):
        client.predict(model, ONES, timeout=1e-6)


def test_a_request_within_its_time_is_answered(
    client: blindai.Connection, model: str
) -> None:
    assert client.predict(model, ONES, timeout=30).output[0].as_flat() == [1, 1, 1]


def test_a_model_that_there_is_not_is_not_found(
    client: blindai.Connection, name: str
) -> None:
    with pytest.raises(NotFoundError):
        client.predict(name, ONES)


def test_a_model_replaced_behind_the_clients_back_is_looked_at_again(
    enclave: SimulatedEnclave,
    client: blindai.Connection,
    identity: Callable[..., bytes],
    arithmetic: bytes,
    model: str,
) -> None:
    token = client.upload_model(identity(), model).owner_token
    with enclave.connect() as watcher:
        watcher.predict(model, ONES)
        client.delete_model(model, owner_token=token)
        client.upload_model(arithmetic, model)
        response = watcher.predict(model, [ONES, ONES])
        assert response.outputs["sum"].as_flat() == [2, 2, 2]


def test_a_models_name_may_need_quoting(client: blindai.Connection) -> None:
    with pytest.raises((NotFoundError, InvalidRequestError)):
        client.predict("..?b c#d", ONES)


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 300_000, 3_000_000])
def test_an_answer_of_any_size_is_what_was_sent(
    client: blindai.Connection, identity: Callable[..., bytes], name: str, size: int
) -> None:
    client.upload_model(identity(TensorProto.UINT8), name)
    array = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    (output,) = client.predict(name, array).output
    assert np.array_equal(output.as_numpy(), array)
    assert not output.as_numpy().flags.writeable
