"""The tensors of a body: JSON entries, and the binary data behind them."""

import json

import numpy as np
import pytest

from blindai.errors import TensorError
from blindai.protocol.tensors import InferRequest, Limits, parse_request

ENTRY = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}


def read(*entries: object, rest: bytes = b"", limits: Limits | None = None) -> object:
    header = json.dumps({"inputs": entries}).encode()
    return parse_request(header + rest, len(header), limits or Limits())


def entry(**changes: object) -> dict[str, object]:
    return ENTRY | changes


def raw(size: object, **changes: object) -> dict[str, object]:
    fields = entry(parameters={"binary_data_size": size}, **changes)
    del fields["data"]
    return fields


def test_binary_data_stands_in_the_order_of_the_entries() -> None:
    header = json.dumps(
        {
            "model_name": "ignored",
            "inputs": [
                raw(4, name="a", shape=[1]),
                entry(name="b", extra=None, parameters={"content_type": "np"}),
                raw(0, name="c", shape=[3, 0]),
                raw(6, name="d", shape=[], datatype="BYTES"),
            ],
        }
    ).encode()

    request = parse_request(header + b"\0\0\x80\x3f\2\0\0\0ok", len(header))

    a, b, c, d = (tensor.array for tensor in request.inputs)
    assert a.tolist() == [1.0]
    assert b.tolist() == [1.0, 2.0]
    assert c.shape == (3, 0)
    assert d == np.array(b"ok", object)


def test_the_largest_empty_tensor_within_the_limit_is_read() -> None:
    request = read(raw(0, shape=[0, 2**31], datatype="FP64"))

    assert isinstance(request, InferRequest)
    assert request.inputs[0].array.shape == (0, 2**31)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param(
            entry(datatype="fp32"),
            "inputs 'x' datatype: expected one of BOOL, .*, BYTES, got 'fp32'",
            id="unknown datatype",
        ),
        pytest.param(entry(datatype=1), "datatype: expected a string", id="datatype 1"),
        pytest.param(entry(shape=2), "shape: expected an array, got an int", id="2"),
        pytest.param(entry(shape=[-1]), "shape: expected integers of 0 or", id="-1"),
        pytest.param(entry(shape=[2.0]), "shape: expected integers of 0", id="2.0"),
        pytest.param(entry(shape=[True, 2]), "shape: expected integers of", id="true"),
        pytest.param(entry(shape=["2"]), "shape: expected integers of 0", id="text"),
        pytest.param(
            entry(shape=[1] * 16 + [2]),
            "shape: expected at most 16 dimensions, got 17",
            id="dimensions",
        ),
        pytest.param(
            entry(shape=[2**31 + 1]),
            "inputs 'x' shape: expected at most 2147483648 elements, got more",
            id="elements",
        ),
        pytest.param(entry(shape=[2**40, 2**40]), "expected at most", id="overflow"),
        pytest.param(entry(shape=[2**40, 0, 2**40]), "at most", id="overflow and 0"),
        pytest.param(entry(shape=[10**4000] * 9), "at most", id="many digits"),
        pytest.param(
            entry(parameters={"binary_data_size": 8}),
            "inputs 'x': expected data or binary_data_size, got both",
            id="both",
        ),
        pytest.param(
            {"name": "x", "shape": [2], "datatype": "FP32"},
            "inputs 'x': expected data or binary_data_size, got neither",
            id="neither",
        ),
        pytest.param(
            {
                "name": "x",
                "shape": [2],
                "datatype": "FP32",
                "parameters": {"shared_memory_region": "r"},
            },
            "expected data or binary_data_size, got neither",
            id="shared memory",
        ),
        pytest.param(raw(-8), "binary_data_size: expected an integer", id="size -8"),
        pytest.param(raw(8.0), "binary_data_size: expected an integer", id="size 8.0"),
        pytest.param(
            raw(size=True, shape=[1], datatype="INT8"),
            "binary_data_size: expected an integer",
            id="size true",
        ),
        pytest.param(raw("8"), "binary_data_size: expected an int", id="size text"),
        pytest.param(
            raw(9),
            "inputs 'x' binary_data_size: expected at most the 8 bytes left, got more",
            id="more than is left",
        ),
        pytest.param(
            raw(4), "binary_data_size: expected 8 bytes for its shape, got 4", id="less"
        ),
        pytest.param(
            raw(4, shape=[1]),
            "inputs: expected no bytes behind the last tensor, got 4",
            id="bytes behind",
        ),
        pytest.param(entry(), "expected no bytes behind .*, got 8", id="only JSON"),
        pytest.param([], r"inputs\[0\]: expected an object, got an array", id="array"),
        pytest.param(
            entry(parameters=[]), r"inputs 'x' parameters: .* object", id="parameters"
        ),
    ],
)
def test_refuses(fields: object, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        read(fields, rest=bytes(8))


def test_sizes_must_add_up() -> None:
    with pytest.raises(TensorError, match=r"inputs 'y' .* at most the 4 bytes left"):
        read(raw(8), raw(8, name="y"), rest=bytes(12))


def test_refuses_binary_data_without_a_header_length() -> None:
    body = json.dumps({"inputs": [raw(8)]}).encode()

    with pytest.raises(TensorError, match="at most the 0 bytes left, got more"):
        parse_request(body, None)


def test_the_limits_are_the_callers() -> None:
    limits = Limits(max_tensors=1, max_dims=2, max_elements=2)

    read(entry(shape=[1, 2]), limits=limits)
    with pytest.raises(TensorError, match="inputs: expected at most 1, got 2"):
        read(entry(), entry(name="y"), limits=limits)
    with pytest.raises(TensorError, match="at most 2 dimensions, got 3"):
        read(entry(shape=[1, 1, 2]), limits=limits)
    with pytest.raises(TensorError, match="at most 2 elements, got more"):
        read(entry(shape=[3], data=[1, 2, 3]), limits=limits)


def test_strings_have_a_limit_of_their_own() -> None:
    body = b'{"inputs":[{"name":"x","datatype":"BYTES","shape":[3],"data":["","",""]}]}'

    with pytest.raises(TensorError, match="expected at most 2 strings, got 3"):
        parse_request(body, None, Limits(max_strings=2))


def test_strings_of_all_tensors_count_together() -> None:
    one = '{"name":"%s","datatype":"BYTES","shape":[2],"data":["",""]}'
    body = f'{{"inputs":[{one % "x"},{one % "y"}]}}'.encode()

    assert len(parse_request(body, None, Limits(max_strings=4)).inputs) == 2
    with pytest.raises(TensorError, match="inputs: expected at most 3 strings, got 4"):
        parse_request(body, None, Limits(max_strings=3))
