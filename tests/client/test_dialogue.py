"""What is asked is decided without a network: flows, driven by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from blindai.client.calls import Call
from blindai.client.dialogue import Ask, Asking, Dialogue, Prediction
from blindai.client.results import ModelInfo, TensorSpec
from blindai.errors import ConfigurationError, TensorError
from blindai.protocol.datatypes import Datatype

X = TensorSpec("x", Datatype.FP32, (-1,))
MODEL = ModelInfo(name="m", digest="00" * 32, size_bytes=1, inputs=(X,), outputs=(X,))
WIDER = dataclasses.replace(
    MODEL, inputs=(dataclasses.replace(X, datatype=Datatype.FP64),)
)
ASKED_SPEC, ASKED_INFER = ("GET", "/v2/models/m"), ("POST", "/v2/models/m/infer")


def asked(ask: Ask[Any]) -> tuple[str, str]:
    return ask.call.method, ask.call.path


def finish(flow: Asking[Any], value: object) -> object:
    with pytest.raises(StopIteration) as stop:
        flow.send(value)
    return stop.value.value


def knowing(model: ModelInfo) -> Dialogue:
    """A dialogue that has asked what a model takes."""
    dialogue = Dialogue(None, 60)
    flow = dialogue.predict("m", Prediction(inputs=[1.0]))
    next(flow)
    flow.send(model)
    finish(flow, "answer")
    return dialogue


def test_what_a_model_takes_is_asked_once() -> None:
    dialogue = Dialogue(None, 60)
    first = dialogue.predict("m", Prediction(inputs=[1.0]))
    assert asked(next(first)) == ASKED_SPEC
    assert asked(first.send(MODEL)) == ASKED_INFER
    assert finish(first, "answer") == "answer"
    second = dialogue.predict("m", Prediction(inputs=[1.0]))
    assert asked(next(second)) == ASKED_INFER
    assert finish(second, "another") == "another"


def test_inputs_that_do_not_fit_are_held_against_the_model_as_it_is_now() -> None:
    flow = knowing(WIDER).predict("m", Prediction(inputs=[1.0], dtype="FP32"))
    assert asked(next(flow)) == ASKED_SPEC
    assert asked(flow.send(MODEL)) == ASKED_INFER


def test_inputs_that_still_do_not_fit_are_refused() -> None:
    flow = knowing(MODEL).predict("m", Prediction(inputs=[1.0]))
    next(flow)
    assert asked(flow.throw(TensorError("expected another"))) == ASKED_SPEC
    flow.send(MODEL)
    with pytest.raises(TensorError, match="again"):
        flow.throw(TensorError("again"))


def test_two_threads_may_find_the_same_model_replaced() -> None:
    dialogue = knowing(MODEL)
    flows = [dialogue.predict("m", Prediction(inputs=[1.0])) for _ in range(2)]
    for flow in flows:
        next(flow)
    again = [flow.throw(TensorError("expected another")) for flow in flows]
    assert [asked(ask) for ask in again] == [ASKED_SPEC, ASKED_SPEC]


def test_what_was_deleted_is_forgotten() -> None:
    dialogue = knowing(MODEL)
    deletion = dialogue.delete("m", None)
    next(deletion)
    finish(deletion, None)
    flow = dialogue.predict("m", Prediction(inputs=[1.0]))
    assert asked(next(flow)) == ASKED_SPEC


def test_a_call_that_may_take_long_waits_long_enough() -> None:
    flow = knowing(MODEL).predict("m", Prediction(inputs=[1.0], timeout_s=100))
    timeouts = next(flow).request.timeouts
    assert (timeouts["read"], timeouts["connect"]) == (105, 60)


def test_no_token_and_no_value_is_in_a_repr() -> None:
    ask = next(Dialogue("bai_key", 60).delete("m", "owner-token"))
    assert "token" not in repr(ask)
    assert "bai_key" not in repr(ask)
    assert "1234" not in repr(Prediction(inputs=[1234]))
    assert isinstance(ask.call, Call)


@pytest.mark.parametrize("name", ["", "a/b", "\ud800", None, b"m"])
def test_what_no_path_can_name_is_no_models_name(name: Any) -> None:  # noqa: ANN401  any object
    dialogue = Dialogue(None, 60)
    for asking in (
        dialogue.predict(name, Prediction(inputs=[1.0])),
        dialogue.delete(name, None),
    ):
        with pytest.raises(ConfigurationError, match="model_name: expected text"):
            next(asking)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, 1e9, "3", None])
def test_what_is_no_time_to_wait_is_refused(seconds: Any) -> None:  # noqa: ANN401  any object
    with pytest.raises(ConfigurationError, match="timeout: expected seconds, above 0"):
        Dialogue(None, seconds)


def test_what_is_no_time_for_a_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at most 1000000, got inf"):
        Prediction(inputs=[1.0], timeout_s=math.inf)
    half: Any = np.float32(0.5)
    assert Prediction(inputs=[1.0], timeout_s=half).timeout_s == 0.5


@pytest.mark.parametrize("key", ["bai_secret\n", " bai_secret", "bai_s\xe9cret", b"k"])
def test_an_api_key_that_cannot_travel_is_refused_and_not_shown(
    key: Any,  # noqa: ANN401  any object
) -> None:
    with pytest.raises(ConfigurationError, match=r"api_key .*line break") as caught:
        Dialogue(key, 60)
    assert "cret" not in str(caught.value)


def test_an_owner_token_that_cannot_travel_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="owner_token: expected printable"):
        next(Dialogue(None, 60).delete("m", "token\n"))


def test_a_digest_may_be_in_upper_case() -> None:
    model = dataclasses.replace(MODEL, digest="ab" * 32)
    flow = Dialogue(None, 60).predict(
        "m", Prediction(inputs=[1.0], model_digest="AB" * 32)
    )
    assert asked(next(flow)) == ASKED_SPEC
    assert asked(flow.send(model)) == ASKED_INFER


@pytest.mark.parametrize("digest", ["", "ab", "zz" * 32, b"\xab" * 32])
def test_a_digest_that_is_none_is_refused(digest: Any) -> None:  # noqa: ANN401  any object
    with pytest.raises(ConfigurationError, match="model_digest: expected 64"):
        Prediction(inputs=[1.0], model_digest=digest)


def test_one_string_is_no_tuple_of_outputs() -> None:
    with pytest.raises(ConfigurationError, match=r"got a string: \('label',\)"):
        Prediction(inputs=[1.0], outputs="label")  # type: ignore[arg-type]  # the point
