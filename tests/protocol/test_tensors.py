"""Inference requests and responses, whole."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import TensorError
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensors import (
    Body,
    InferRequest,
    InferResponse,
    Limits,
    RequestedOutput,
    Tensor,
    encode_request,
    encode_response,
    parse_request,
    parse_response,
)

IMAGE = Tensor.of("image", np.arange(24, dtype=np.float32).reshape(1, 4, 6))
TEXT = Tensor.of("text", np.array([b"a", b"bc"], object))
HALF = Tensor("half", Datatype.BF16, (2,), np.array([0x3F80, 0], np.uint16))
REQUEST = InferRequest(
    inputs=(IMAGE, TEXT),
    outputs=(
        RequestedOutput("scores", binary=True, parameters={"classification": 2}),
        RequestedOutput("label", binary=False),
        RequestedOutput("rest"),
    ),
    id="42",
    parameters={"priority": 1, "binary_data_output": True, "t": 0.5, "s": "é"},
)


def joined(body: Body) -> bytes:
    return b"".join(body.buffers)


def head(body: Body) -> Any:  # noqa: ANN401 - JSON
    return json.loads(joined(body)[: body.header_length])


def values(tensors: tuple[Tensor, ...]) -> list[tuple[str, str, list[object]]]:
    return [(each.name, each.datatype, each.array.tolist()) for each in tensors]


@pytest.mark.parametrize("binary", [True, False])
def test_a_request_is_read_as_it_was_written(*, binary: bool) -> None:
    body = encode_request(REQUEST, binary=binary)

    again = parse_request(joined(body), body.header_length)

    assert values(again.inputs) == values(REQUEST.inputs)
    assert again.outputs == REQUEST.outputs
    assert again.id == "42"
    assert again.parameters == REQUEST.parameters


@pytest.mark.parametrize("binary", [set(), {"image"}, {"image", "text"}])
def test_a_response_is_read_as_it_was_written(binary: set[str]) -> None:
    response = InferResponse(
        model_name="m",
        model_version="3",
        id="42",
        outputs=(TEXT, IMAGE),
        parameters={"sequence": 1},
    )

    body = encode_response(response, binary_outputs=binary.__contains__)
    again = parse_response(joined(body), body.header_length)

    assert values(again.outputs) == values(response.outputs)
    assert (again.model_name, again.model_version, again.id) == ("m", "3", "42")
    assert again.parameters == {"sequence": 1}


def test_what_is_not_there_is_not_written() -> None:
    request = encode_request(InferRequest(inputs=()))
    response = encode_response(InferResponse(model_name="m"), binary_outputs=bool)

    assert request.buffers == [b'{"inputs":[]}']
    assert response.buffers == [b'{"model_name":"m","outputs":[]}']
    assert parse_request(b'{"inputs":[]}').id is None
    assert parse_response(joined(response)).model_version is None


def test_a_body_of_json_alone_has_no_header_length() -> None:
    body = encode_request(InferRequest(inputs=(TEXT,)), binary=False)

    assert body.header_length is None
    assert head(body) == {
        "inputs": [
            {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "bc"]}
        ]
    }


def test_binary_data_stands_behind_the_json() -> None:
    body = encode_request(REQUEST)

    assert head(body)["inputs"] == [
        {
            "name": "image",
            "shape": [1, 4, 6],
            "datatype": "FP32",
            "parameters": {"binary_data_size": 96},
        },
        {
            "name": "text",
            "shape": [2],
            "datatype": "BYTES",
            "parameters": {"binary_data_size": 11},
        },
    ]
    assert head(body)["outputs"] == [
        {"name": "scores", "parameters": {"classification": 2, "binary_data": True}},
        {"name": "label", "parameters": {"binary_data": False}},
        {"name": "rest"},
    ]
    assert joined(body)[body.header_length :] == (
        IMAGE.array.tobytes() + b"\1\0\0\0a\2\0\0\0bc"
    )
    assert body.content_length == len(joined(body))


@pytest.mark.parametrize("name", ["a", "ab", "abc", "abcdefgh"])
def test_binary_data_begins_at_a_multiple_of_8_bytes(name: str) -> None:
    body = encode_request(InferRequest(inputs=(Tensor.of(name, IMAGE.array),)))

    assert body.header_length is not None
    assert body.header_length % 8 == 0
    assert len(body.buffers[0]) == body.header_length


def test_an_empty_tensor_may_be_the_only_binary_data() -> None:
    empty = Tensor.of("x", np.zeros((0, 3), np.float32))

    body = encode_request(InferRequest(inputs=(empty,)))

    assert body.header_length == body.content_length
    (again,) = parse_request(joined(body), body.header_length).inputs
    assert again.shape == (0, 3)


def test_a_written_body_shows_the_arrays_themselves() -> None:
    body = encode_request(InferRequest(inputs=(IMAGE,)))

    assert np.shares_memory(np.frombuffer(body.buffers[1], np.uint8), IMAGE.array)


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_read_request_shows_the_body_itself_and_cannot_change_it(
    kind: type[bytes | bytearray],
) -> None:
    written = encode_request(InferRequest(inputs=(IMAGE, HALF)))
    body = kind(joined(written))

    request = parse_request(memoryview(body), written.header_length)

    received = np.frombuffer(body, np.uint8)
    for tensor in request.inputs:
        assert np.shares_memory(tensor.array, received)
        assert not tensor.array.flags.writeable


@pytest.mark.parametrize("cut", [0, 1, 100, -1, None], ids=str)
def test_a_body_may_come_in_pieces(cut: int | None) -> None:
    written = encode_request(InferRequest(inputs=(IMAGE, HALF)))
    body = joined(written)
    at = written.header_length if cut is None else cut
    pieces = [bytearray(body[:at]), bytearray(body[at:])]

    (image, half) = parse_request(pieces, written.header_length).inputs

    assert np.array_equal(image.array, IMAGE.array)
    assert np.array_equal(half.array, HALF.array)
    shown = np.shares_memory(image.array, np.frombuffer(pieces[1], np.uint8))
    assert shown == (cut is None), "not joined where the pieces are JSON and tensors"
    assert not image.array.flags.writeable


def test_a_body_may_be_no_piece_at_all() -> None:
    with pytest.raises(TensorError, match="JSON"):
        parse_request([])


def test_a_body_does_not_show_its_values() -> None:
    body = encode_request(InferRequest(inputs=(TEXT,)), binary=False)

    assert "text" not in repr(body)


@pytest.mark.parametrize(
    ("parameters", "output", "binary"),
    [
        ({}, None, False),
        ({}, RequestedOutput("x"), False),
        ({}, RequestedOutput("x", binary=True), True),
        ({}, RequestedOutput("y", binary=True), False),
        ({"binary_data_output": True}, None, True),
        ({"binary_data_output": True}, RequestedOutput("x"), True),
        ({"binary_data_output": True}, RequestedOutput("x", binary=False), False),
        ({"binary_data_output": True}, RequestedOutput("y", binary=False), True),
        ({"binary_data_output": False}, None, False),
    ],
)
def test_an_output_is_binary_where_it_or_the_request_says_so(
    parameters: dict[str, bool], output: RequestedOutput | None, *, binary: bool
) -> None:
    outputs = tuple(filter(None, [output]))
    request = InferRequest(inputs=(), outputs=outputs, parameters=parameters)

    assert request.wants_binary("x") is binary


def test_refuses_bfloat16_in_json() -> None:
    with pytest.raises(TensorError, match="inputs 'half': expected binary data"):
        encode_request(InferRequest(inputs=(HALF,)), binary=False)
    with pytest.raises(TensorError, match="outputs 'half': expected binary data"):
        encode_response(
            InferResponse(model_name="m", outputs=(HALF,)),
            binary_outputs=lambda _name: False,
        )


def test_refuses_the_same_name_twice() -> None:
    tensor = {"name": "x", "shape": [0], "datatype": "INT8", "data": []}
    twice = [tensor, tensor]

    with pytest.raises(TensorError, match="inputs: expected each name once, got 'x'"):
        parse_request(json.dumps({"inputs": twice}).encode())
    with pytest.raises(TensorError, match="outputs: expected each name once, got 'x'"):
        parse_request(json.dumps({"inputs": [], "outputs": twice}).encode())
    with pytest.raises(TensorError, match="outputs: expected each name once, got 'x'"):
        parse_response(json.dumps({"model_name": "m", "outputs": twice}).encode())


@pytest.mark.parametrize(
    ("output", "message"),
    [
        pytest.param(1, r"outputs\[0\]: expected an object, got an integer", id="1"),
        pytest.param({}, r"outputs\[0\] name: expected a string", id="no name"),
        pytest.param(
            {"name": "y", "parameters": {"binary_data": 1}},
            r"outputs\[0\] binary_data: expected a boolean, got an integer",
            id="flag",
        ),
    ],
)
def test_refuses_a_requested_output(output: object, message: str) -> None:
    body = json.dumps({"inputs": [], "outputs": [output]}).encode()

    with pytest.raises(TensorError, match=message):
        parse_request(body)


def test_refuses_more_requested_outputs_than_the_limit() -> None:
    body = b'{"inputs":[],"outputs":[{"name":"a"},{"name":"b"}]}'

    with pytest.raises(TensorError, match="outputs: expected at most 1, got 2"):
        parse_request(body, None, Limits(max_tensors=1))


def test_refuses_a_response_without_a_model() -> None:
    with pytest.raises(TensorError, match="response model_name: expected a string"):
        parse_response(b'{"outputs":[]}')


@pytest.mark.parametrize("length", [-1, 14, 2**70])
def test_refuses_a_header_length_outside_the_body(length: int) -> None:
    with pytest.raises(TensorError, match=r"Length: expected at most the body's 13 b"):
        parse_request(b'{"inputs":[]}', length)


@pytest.mark.parametrize(
    ("length", "limits"),
    [
        pytest.param(None, Limits(max_json_bytes=12), id="JSON alone"),
        pytest.param(13, Limits(max_header_bytes=12), id="before binary data"),
    ],
)
def test_refuses_more_json_than_the_limit(length: int | None, limits: Limits) -> None:
    with pytest.raises(TensorError, match="JSON: expected at most 12 bytes, got 13"):
        parse_request(b'{"inputs":[]}', length, limits)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
    ),
    max_leaves=8,
)
ENTRY = st.fixed_dictionaries(
    {"name": st.text(max_size=2) | JSON},
    optional={
        "shape": st.lists(st.integers(0, 3), max_size=3) | JSON,
        "datatype": st.sampled_from(Datatype) | JSON,
        "data": st.lists(st.integers() | st.floats() | st.booleans() | JSON) | JSON,
        "parameters": JSON
        | st.fixed_dictionaries({"binary_data_size": st.integers(-1, 40) | JSON}),
    },
)
BODY = st.fixed_dictionaries(
    {
        "model_name": st.just("m"),
        "inputs": st.lists(ENTRY, max_size=3) | JSON,
        "outputs": st.lists(ENTRY, max_size=3) | JSON,
    },
    optional={"id": JSON, "parameters": JSON},
)


def gives_a_value_or_the_documented_error(body: bytes, length: int | None) -> bool:
    for parse in (parse_request, parse_response):
        try:
            parse(body, length)
        except TensorError as error:
            assert ": expected " in error.message  # noqa: PT017 - either will do
    return True


@given(st.binary(), st.none() | st.integers())
def test_any_bytes_give_a_value_or_the_documented_error(
    body: bytes, length: int | None
) -> None:
    assert gives_a_value_or_the_documented_error(body, length)


@given(BODY, st.binary(max_size=40))
def test_any_json_gives_a_value_or_the_documented_error(
    fields: dict[str, object], rest: bytes
) -> None:
    header = json.dumps(fields).encode()

    assert gives_a_value_or_the_documented_error(header + rest, len(header))


@given(st.data())
def test_any_change_of_a_body_gives_a_value_or_the_documented_error(
    data: st.DataObject,
) -> None:
    written = encode_request(REQUEST)
    body = bytearray(joined(written))
    where = data.draw(st.integers(0, len(body) - 1))
    body[where : where + data.draw(st.integers(0, 3))] = data.draw(st.binary())

    assert gives_a_value_or_the_documented_error(bytes(body), written.header_length)
