"""What is asked is decided without a network: flows, driven by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from blindai.client.calls import Call
from blindai.client.dialogue import Ask, Asking, Dialogue, Prediction
from blindai.client.results import ModelInfo, TensorSpec
from blindai.errors import TensorError
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
