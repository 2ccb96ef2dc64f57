"""Any bytes of an enclave's give a result or one of the documented errors."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.client import calls
from blindai.client.calls import Answer, Call
from blindai.client.model_file import ModelStream, find_model
from blindai.client.results import UploadResponse
from blindai.errors import (
    BlindAIError,
    ConflictError,
    InternalError,
    InvalidRequestError,
    ProtocolError,
    VerificationError,
)
from blindai.protocol import cbor
from blindai.protocol.keyset import configuration_digest

DIGEST = hashlib.sha256(b"onnx").hexdigest()
X = {"name": "x", "datatype": "FP32", "shape": [-1]}
MODEL = {
    "name": "m",
    "version": "3",
    "saved": True,
    "digest": DIGEST,
    "size_bytes": 4,
    "inputs": [X],
    "outputs": [X],
}
RESPONSE = {
    "model_name": "m",
    "model_version": "3",
    "parameters": {"model_digest": DIGEST, "inference_time_ns": 1_500_000_000},
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [1], "data": [2.5]}],
}
ALL: list[Call[Any]] = [
    calls.model("m"),
    calls.models(),
    calls.configuration(bytes(32)),
    calls.upload("m", ModelStream(find_model(b"onnx"), None), 4, None),
    calls.delete("m", None),
    calls.infer("m", ()),
]


def answer(content: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, headers, json.dumps(content).encode())


def uploaded(**changes: object) -> UploadResponse:
    stream = ModelStream(find_model(b"onnx"), None)
    list(stream)
    return calls.upload("m", stream, 4, "mine").result(answer({**MODEL, **changes}))


def test_a_model_is_read() -> None:
    model = calls.model("m").result(answer(MODEL))
    assert (model.name, model.digest, model.size_bytes) == ("m", DIGEST, 4)
    assert (model.version, model.saved, model.unavailable) == (3, True, "")
    assert model.inputs[0].shape == (-1,)


def test_an_upload_is_compared_with_what_was_sent() -> None:
    assert uploaded().digest == DIGEST


def test_an_enclave_that_took_something_else_in_is_not_believed() -> None:
    with pytest.raises(ConflictError, match=f"expected SHA-256 {DIGEST}, got 00"):
        uploaded(digest="00" * 32)


@pytest.mark.parametrize(
    ("changes", "token"),
    [
        pytest.param({}, "mine", id="the one that was sent"),
        pytest.param({"owner_token": "new"}, "new", id="a new one"),
        pytest.param({"owner_token": None}, None, id="none"),
    ],
)
def test_an_upload_has_its_owners_token(
    changes: dict[str, object], token: str | None
) -> None:
    assert uploaded(**changes).owner_token == token


def test_an_owners_token_that_is_no_text_is_refused() -> None:
    with pytest.raises(ProtocolError):
        uploaded(owner_token=7)


def test_a_prediction_is_read() -> None:
    response = calls.infer("m", ()).result(answer(RESPONSE))
    assert response.output[0].as_flat() == [2.5]
    assert (response.model_name, response.inference_time) == ("m", 1.5)


def test_an_answer_of_another_model_than_the_pinned_one_is_refused() -> None:
    call = calls.infer("m", (), model_digest="00" * 32)
    with pytest.raises(ConflictError, match="model: expected SHA-256 00"):
        call.result(answer(RESPONSE))


def test_a_configuration_is_held_to_its_digest() -> None:
    content = cbor.encode({"a": 1})
    call = calls.configuration(configuration_digest(content))
    assert call.result(Answer(200, {}, content)) == {"a": 1}
    with pytest.raises(VerificationError, match="configuration: expected digest"):
        call.result(Answer(200, {}, cbor.encode({"a": 2})))


def test_content_may_be_a_view_of_where_it_was_gathered() -> None:
    model = Answer(200, {}, memoryview(json.dumps(MODEL).encode()))
    assert calls.model("m").result(model).digest == DIGEST
    content = cbor.encode({"a": 1})
    call = calls.configuration(configuration_digest(content))
    assert call.result(Answer(200, {}, memoryview(content))) == {"a": 1}


@pytest.mark.parametrize("content", [cbor.encode([1]), b"\xff"])
def test_an_attested_configuration_that_is_no_map_is_refused(content: bytes) -> None:
    call = calls.configuration(configuration_digest(content))
    with pytest.raises(ProtocolError):
        call.result(Answer(200, {}, content))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"7", id="a number"),
        pytest.param(b"{}", id="empty"),
        pytest.param(
            json.dumps(MODEL).replace('"size_bytes": 4', '"size_bytes": Infinity'),
            id="endless",
        ),
        pytest.param(json.dumps({**MODEL, "inputs": "x"}), id="text for inputs"),
        pytest.param(
            json.dumps({**MODEL, "inputs": [{**X, "datatype": "FP8"}]}), id="datatype"
        ),
    ],
)
def test_an_answer_that_is_no_model_is_refused(content: str | bytes) -> None:
    body = content.encode() if isinstance(content, str) else content
    with pytest.raises(ProtocolError, match=r"GET /v2/models/m: expected the answer"):
        calls.model("m").result(Answer(200, {}, body))


@pytest.mark.parametrize(
    "response",
    [
        pytest.param({**RESPONSE, "parameters": {}}, id="no digest"),
        pytest.param({**RESPONSE, "outputs": [{"name": "y"}]}, id="no tensor"),
        pytest.param({}, id="empty"),
    ],
)
def test_an_answer_that_is_no_prediction_is_refused(response: object) -> None:
    with pytest.raises(ProtocolError):
        calls.infer("m", ()).result(answer(response))


def test_a_header_length_that_is_no_number_is_refused() -> None:
    headers = {"inference-header-content-length": "many"}
    with pytest.raises(ProtocolError):
        calls.infer("m", ()).result(Answer(200, headers, b"{}"))


@pytest.mark.parametrize(
    ("status", "error"), [(404, InvalidRequestError), (500, InternalError)]
)
def test_a_refusal_without_a_problem_is_named_by_its_status(
    status: int, error: type[BlindAIError]
) -> None:
    with pytest.raises(error, match=f"the enclave answered {status}"):
        calls.delete("m", None).result(Answer(status, {}, b"<html>"))


@pytest.mark.parametrize("call", ALL, ids=lambda call: call.method + call.path)
@given(
    status=st.integers(200, 599),
    headers=st.dictionaries(
        st.sampled_from(["content-type", "inference-header-content-length"]),
        st.sampled_from(["application/problem+json", "2", "-1", "x"]),
    ),
    content=st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(list(MODEL)), inner)
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
def test_any_answer_gives_a_result_or_an_error_of_ours(
    call: Call[Any], status: int, headers: dict[str, str], content: bytes
) -> None:
    with suppress(BlindAIError):
        call.result(Answer(status, headers, content))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size_bytes", 10**400),
        ("size_bytes", 1 << 63),
        ("size_bytes", -1),
        ("size_bytes", 4.0),
        ("size_bytes", True),
        ("version", "9" * 19),
        ("version", "-1"),
        ("version", "\u0663"),
        ("name", "\ud800"),
        ("name", 7),
        ("digest", None),
        ("reason", "\udfff"),
        ("inputs", [{**X, "shape": [-2]}]),
        ("inputs", [{**X, "name": "\ud800"}]),
    ],
)
def test_what_no_enclave_of_ours_says_of_a_model_is_refused(
    name: str, value: object
) -> None:
    call = calls.model("m")

    with pytest.raises(ProtocolError):
        call.result(answer({**MODEL, name: value}))
