"""The demo page's own logic: what is asked, who answers, what each of them saw."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import httpx
import pytest
from examples.demo import shown
from examples.demo.asking import (
    MAX_CHARACTERS,
    MAX_TOKENS,
    VISIBLE,
    Exchange,
    Found,
    QuestionError,
    Service,
    Sight,
    expected,
    read_question,
)
from examples.demo.operators import Operator
from examples.demo.parrot import parrot

from blindai.errors import AttestationError, TransportError
from blindai.server.settings import Settings
from blindai.testing import SimulatedEnclave

if TYPE_CHECKING:
    from blindai.transcript import Check

pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning"
)
QUESTION = "What is <b>hypertension</b>?"
DISHONEST = {
    Operator.REBUILT: "measurement",
    Operator.RECONFIGURED: "configuration digest",
    Operator.DEBUG: "debug mode",
    Operator.MIDDLE: "report data",
    Operator.REPLAYED: "nonce",
}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with SimulatedEnclave() as enclave:
        with enclave.connect() as client:
            client.upload_model(parrot(), "parrot")
        yield at(enclave.url)


def at(url: str) -> Service:
    place = httpx.URL(url)
    assert place.port is not None
    return Service((place.host, place.port), "parrot", expected(Settings().digest))


def last(service: Service, operator: Operator, question: str = QUESTION) -> Exchange:
    *_, known = service.ask(question, operator)
    return known


def seen(known: Exchange) -> Sight:
    assert known.sight is not None
    return known.sight


def counts(known: Exchange) -> dict[str, int | None]:
    return {each.label: each.count for each in seen(known).searched}


def test_an_honest_operator_brings_the_answer_and_sees_nothing_of_it(
    service: Service,
) -> None:
    known = last(service, Operator.HONEST)
    sight = seen(known)

    assert known.answer is not None
    assert known.answer.text == f"You asked: {QUESTION}"
    assert 0 < known.answer.inference_s < known.answer.took_s
    assert dict(sight.requests)["POST /.well-known/ohttp-gateway"] >= 1
    assert len(sight.glimpse) == 80
    assert not sight.clear
    assert counts(known) == {
        "your question": 0,
        "the answer": 0,
        "the path that runs a model": 0,
        VISIBLE.decode(): 1,
    }


def test_what_is_known_grows_in_the_order_of_the_steps(service: Service) -> None:
    begun, attested, ended = service.ask(QUESTION, Operator.HONEST)

    assert begun.transcript is None
    assert attested.transcript is not None
    assert attested.answer is None
    assert ended.answer is not None
    assert [each.ended for each in (begun, attested, ended)] == [False, False, True]


@pytest.mark.parametrize("operator", Operator)
def test_what_is_shown_says_whose_it_is_wherever_the_switch_is(
    operator: Operator,
) -> None:
    known = Exchange(question=QUESTION, operator=operator)

    assert escape(operator.value) in shown.strip(known)
    assert escape(operator.value) not in shown.strip(None)


@pytest.mark.parametrize(("operator", "check"), DISHONEST.items())
def test_a_dishonest_operator_is_refused_by_one_check_and_gets_nothing(
    service: Service, operator: Operator, check: str
) -> None:
    known = last(service, operator)
    sight = seen(known)

    assert isinstance(known.failure, AttestationError)
    assert known.transcript is not None
    assert [each.name for each in known.transcript.refusals] == [check]
    assert known.answer is None
    assert [name for name, _ in sight.requests] == [f"GET {VISIBLE.decode()}"]
    assert re.fullmatch(
        r"GET /\S+\?nonce=[0-9a-f]{64} HTTP/1\.1\r\nHost: \S+\r\n\r\n", sight.clear
    )
    assert counts(known)["your question"] == 0


def test_every_operator_but_the_honest_one_is_refused_by_another_check() -> None:
    assert set(DISHONEST) == set(Operator) - {Operator.HONEST}
    assert set(DISHONEST.values()) <= set(shown.TOLD)
    assert len(set(DISHONEST.values())) == len(DISHONEST)
    assert all(each.story for each in Operator)


@pytest.mark.parametrize(
    ("operator", "message"),
    [(Operator.HONEST, "network: .*"), (Operator.MIDDLE, ".* got 502 from .*")],
)
def test_a_server_that_is_gone_is_told(operator: Operator, message: str) -> None:
    with SimulatedEnclave() as enclave:
        service = at(enclave.url)

    known = last(service, operator)

    assert isinstance(known.failure, TransportError)
    assert re.fullmatch(message, known.failure.message)
    assert known.answer is None
    assert "The enclave cannot be reached" in shown.answer(known)
    assert "Check the address and the network" in shown.answer(known)
    assert 'data-state="bad"' in shown.proof(known)


def test_a_model_that_refuses_is_told(service: Service) -> None:
    known = last(replace(service, model="nobody"), Operator.HONEST)

    assert known.transcript is not None
    assert "List what is there" in shown.answer(known)
    assert 'data-state="good"' in shown.proof(known)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        pytest.param("", "expected a few words, got none", id="empty"),
        pytest.param(" \n\t", "expected a few words, got none", id="space"),
        pytest.param("a" * 1001, "at most 1000 characters, got 1001", id="long"),
        pytest.param("a\ud800b", "expected Unicode text", id="surrogate"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_begins(
    service: Service, typed: str, message: str
) -> None:
    with pytest.raises(QuestionError, match=message):
        next(iter(service.ask(typed, Operator.HONEST)))


def test_the_longest_question_is_one() -> None:
    question = "é" * MAX_CHARACTERS

    assert read_question(f"  {question}\n") == question


def test_a_question_too_short_to_search_for_is_not_said_to_be_absent(
    service: Service,
) -> None:
    known = last(service, Operator.HONEST, "Hi")

    assert counts(known)["your question"] is None
    assert "your question: too short to search for" in shown.sight(known)


def test_what_was_typed_and_answered_is_escaped(service: Service) -> None:
    known = last(service, Operator.HONEST)
    page = "".join(each(known) for each in STEPS)

    assert "<b>hypertension</b>" not in page
    assert "You asked: What is &lt;b&gt;hypertension&lt;/b&gt;?" in page


def test_a_refusal_is_shown_where_it_belongs(service: Service) -> None:
    known = last(service, Operator.DEBUG)

    assert "Refused. Nothing was sent but a random number." in shown.proof(known)
    assert "debug mode: expected off, got on" in shown.proof(known)
    assert "All that ever left this machine" in shown.sight(known)
    assert "Your question never left this machine." in shown.answer(known)
    assert "sent nothing" in shown.strip(known)


def test_checks_that_were_not_reached_are_not_shown_as_passed(service: Service) -> None:
    proof = shown.proof(last(service, Operator.MIDDLE))

    assert proof.count("not looked at any more") == 4
    assert proof.count('<li class="bd-good">') == 1


def test_the_whole_transcript_is_on_the_page(service: Service) -> None:
    known = last(service, Operator.REBUILT)
    assert known.transcript is not None
    refused: tuple[Check, ...] = known.transcript.refusals

    proof = shown.proof(known)

    assert "1 refused" in proof
    assert "do: Another program, or another release." in proof
    assert [each.name for each in refused] == ["measurement"]


def test_a_leak_would_be_shown_in_red(service: Service) -> None:
    known = last(service, Operator.HONEST)
    leak = Found("your question", 2)
    leaked = replace(known, sight=replace(seen(known), searched=(leak,)))
    control = Found("the control", 1, secret=False)
    leaked_too = replace(known, sight=replace(seen(known), searched=(leak, control)))

    assert 'data-state="bad"' in shown.sight(leaked)
    assert "your question: there, 2 times" in shown.sight(leaked_too)
    assert "This must not happen" in shown.sight(leaked_too)


def test_an_answer_that_was_cut_says_so(service: Service) -> None:
    known = last(service, Operator.HONEST)
    assert known.answer is not None
    cut = replace(known, answer=replace(known.answer, tokens=MAX_TOKENS))

    assert ", cut there" in shown.answer(cut)
    assert ", cut there" not in shown.answer(known)


def test_nothing_is_claimed_before_it_is_known(service: Service) -> None:
    begun, attested, _ = service.ask(QUESTION, Operator.HONEST)
    idle = "".join(each(None) for each in STEPS)

    assert 'data-state="good"' not in idle
    assert "bd-good" not in "".join(each(begun) for each in STEPS)
    assert 'data-state="good"' in shown.proof(attested)
    assert 'data-state="busy"' in shown.answer(attested)


def test_bytes_are_shown_as_people_who_look_at_wires_see_them() -> None:
    dump = shown.hexdump(b"<a>\x00\xffsix seven")

    assert "3c 61 3e 00 ff 73 69 78" in dump
    assert "&lt;a&gt;..six" in dump


STEPS = shown.strip, shown.proof, shown.sight, shown.answer
