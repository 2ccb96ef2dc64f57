"""Problem details: what the enclave raises is what the client raises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai import errors
from blindai.errors import BlindAIError, InternalError, InvalidRequestError
from blindai.protocol import problems
from blindai.protocol.problems import DATE, MAX_BYTES, MEDIA_TYPE, encode, parse

TAG = "tag:blindai,2026:problem/"


def subtree(cls: type[BlindAIError]) -> Iterator[type[BlindAIError]]:
    """A class of the error tree and all below it."""
    yield cls
    for below in cls.__subclasses__():
        yield from subtree(below)


def named(cls: type[BlindAIError]) -> list[type[BlindAIError]]:
    """All classes of the tree below `cls`."""
    return [each for each in subtree(cls) if each.__module__ == errors.__name__][1:]


CROSSING = [
    *named(errors.RequestError),
    errors.SealingError,
    errors.BinaryHttpError,
    errors.TensorError,
]


@pytest.mark.parametrize("cls", CROSSING)
def test_an_error_crosses_with_its_class_message_and_request(
    cls: type[BlindAIError],
) -> None:
    problem = encode(cls("shape: expected (1,), got (2,)"), "r-1")
    error = parse(problem.status, MEDIA_TYPE, problem.content)
    assert type(error) is cls
    assert error.message == "shape: expected (1,), got (2,)"
    assert error.request_id == "r-1"


@pytest.mark.parametrize(
    ("error", "uri", "title", "status"),
    [
        (errors.StaleRequestError(""), DATE, "date", 400),
        (errors.ReplayedRequestError(""), TAG + "replayed", "replayed", 400),
        (errors.SealingError(""), TAG + "not-opened", "not opened", 400),
        (
            errors.BinaryHttpError(""),
            TAG + "malformed-message",
            "malformed message",
            400,
        ),
        (errors.TensorError(""), TAG + "invalid-tensor", "invalid tensor", 400),
        (errors.ModelRefusedError(""), TAG + "model-refused", "model refused", 422),
        (InvalidRequestError(""), TAG + "invalid-request", "invalid request", 400),
        (errors.UnauthenticatedError(""), TAG + "unauthenticated", None, 401),
        (errors.ForbiddenError(""), TAG + "forbidden", "forbidden", 403),
        (errors.NotFoundError(""), TAG + "not-found", "not found", 404),
        (errors.ConflictError(""), TAG + "conflict", "conflict", 409),
        (errors.TooLargeError(""), TAG + "too-large", "too large", 413),
        (errors.OverloadedError(""), TAG + "overloaded", "overloaded", 429),
        (errors.DeadlineError(""), TAG + "deadline-passed", "deadline passed", 504),
        (InternalError(""), TAG + "internal", "internal", 500),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_problem_says_what_rfc_9457_asks(
    error: BlindAIError, uri: str, title: str | None, status: int
) -> None:
    problem = encode(error, "r-1")
    assert problem.status == status
    assert json.loads(problem.content) == {
        "type": uri,
        "title": title or "unauthenticated",
        "status": status,
        "detail": "",
        "request_id": "r-1",
    }


def test_registered_types_have_their_registered_names() -> None:
    registry = "https://iana.org/assignments/http-problem-types#"
    assert (registry + "date", registry + "ohttp-key") == (DATE, problems.OHTTP_KEY)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("secret"),
        KeyError("secret"),
        BlindAIError("secret"),
        errors.RequestError("secret"),
        errors.ConfigurationError("secret"),
        errors.TransportError("secret"),
        errors.ProtocolError("secret"),
        errors.EvidenceError("secret"),
        errors.VerificationError("secret"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_unknown_to_the_table_crosses_without_a_word(
    error: Exception,
) -> None:
    problem = encode(error, "r-1")
    assert problem.status == 500
    assert b"secret" not in problem.content
    crossed = parse(problem.status, MEDIA_TYPE, problem.content)
    assert type(crossed) is InternalError
    assert crossed.message == "the enclave failed to answer"
    assert crossed.request_id == "r-1"


def test_an_error_below_one_of_the_table_crosses_as_that() -> None:
    problem = encode(errors.UnknownKeyError("key id: unknown"), "r-1")
    error = parse(problem.status, MEDIA_TYPE, problem.content)
    assert type(error) is errors.SealingError


# Answers that are not ours.

NOT_FOUND = {"type": TAG + "not-found", "detail": "no model a", "request_id": "r"}


def content(**changes: Any) -> bytes:  # noqa: ANN401  any JSON value
    return json.dumps(NOT_FOUND | changes).encode()


@pytest.mark.parametrize(
    "media_type", [MEDIA_TYPE, MEDIA_TYPE + "; charset=utf-8", f" {MEDIA_TYPE} ;a=b"]
)
def test_parameters_of_the_media_type_do_not_matter(media_type: str) -> None:
    assert type(parse(404, media_type, content())) is errors.NotFoundError


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, InvalidRequestError),
        (404, InvalidRequestError),
        (499, InvalidRequestError),
        (500, InternalError),
        (503, InternalError),
    ],
)
@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        pytest.param("application/json", content(), id="another media type"),
        pytest.param("", content(), id="no media type"),
        pytest.param(MEDIA_TYPE, b"", id="nothing"),
        pytest.param(MEDIA_TYPE, b"\xff", id="no text"),
        pytest.param(MEDIA_TYPE, b"<html>", id="no JSON"),
        pytest.param(MEDIA_TYPE, b"[]", id="no object"),
        pytest.param(MEDIA_TYPE, b"[" * 60000, id="deep"),
        pytest.param(MEDIA_TYPE, b"1" * 5000, id="long number"),
        pytest.param(MEDIA_TYPE, content(pad="a" * MAX_BYTES), id="too large"),
    ],
)
def test_an_answer_that_is_no_problem_names_its_status(
    status: int, cls: type[BlindAIError], media_type: str, data: bytes
) -> None:
    error = parse(status, media_type, data)
    assert type(error) is cls
    assert error.message == f"the enclave answered {status}"
    assert error.request_id is None


def test_the_largest_problem_is_read() -> None:
    largest = content(pad="").replace(
        b'"pad"', b" " * (MAX_BYTES - len(content(pad=""))) + b'"pad"'
    )
    assert len(largest) == MAX_BYTES == 65536
    assert type(parse(404, MEDIA_TYPE, largest)) is errors.NotFoundError
    assert type(parse(404, MEDIA_TYPE, largest + b" ")) is InvalidRequestError


@pytest.mark.parametrize("uri", ["about:blank", TAG + "new", None, 1, [], {}])
def test_a_problem_of_another_type_is_known_by_its_status(uri: object) -> None:
    error = parse(404, MEDIA_TYPE, content(type=uri))
    assert type(error) is InvalidRequestError
    assert error.message == "no model a"


@pytest.mark.parametrize("value", [None, 1, [], {}, True])
def test_details_that_are_no_text_are_left_out(value: object) -> None:
    error = parse(404, MEDIA_TYPE, content(detail=value, request_id=value))
    assert error.message == "the enclave answered 404"
    assert error.request_id is None


def test_a_problem_need_not_have_a_detail() -> None:
    error = parse(404, MEDIA_TYPE, json.dumps({"type": TAG + "not-found"}).encode())
    assert type(error) is errors.NotFoundError
    assert error.message == "the enclave answered 404"


@given(st.integers(400, 599), st.binary(max_size=200))
def test_any_bytes_give_an_error(status: int, data: bytes) -> None:
    assert isinstance(parse(status, MEDIA_TYPE, data), BlindAIError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*NOT_FOUND]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.integers(400, 599), st.text(max_size=40), JSON)
def test_any_json_gives_an_error(status: int, media_type: str, value: object) -> None:
    data = json.dumps(value).encode()
    assert isinstance(parse(status, MEDIA_TYPE, data), BlindAIError)
    assert isinstance(parse(status, media_type, data), BlindAIError)
