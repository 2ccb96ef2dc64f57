"""One question, from what is typed to what is known afterwards; no page is needed.

    for exchange in service.ask("Who wrote Hamlet?", Operator.HONEST):
        ...  # what is known so far

All of it goes through a relay that writes down every byte: the operator's place.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import httpx
from examples.demo.operators import reach

from blindai.attester.simulated_report import default_measurement
from blindai.cli.demo_relay import Relay
from blindai.cli.demo_search import Secret
from blindai.client.connection import Connection
from blindai.errors import AttestationError, BlindAIError
from blindai.protocol.names import ATTESTATION_PATH
from blindai.verifier import EnclavePolicy, Policy, SnpPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from examples.demo.operators import Operator

    from blindai.cli.demo_relay import Capture
    from blindai.transcript import Transcript

MAX_CHARACTERS = 1000
MAX_TOKENS = 120
GLIMPSE_BYTES = 80
VISIBLE = ATTESTATION_PATH.encode()
"""Crosses in the clear, whoever answers: finding it shows that the search works."""
_TIMEOUT_S = 300.0


class QuestionError(BlindAIError):
    """What was typed cannot be asked."""

    next_step = "Type a question, or pick one of the examples."


@dataclass(frozen=True, slots=True)
class Found:
    """Something that was searched for in all bytes that the operator saw.

    Attributes:
        label: What.
        count: How often it is there; None if it is too short to search for.
        secret: Whether it must not be there.
    """

    label: str
    count: int | None
    secret: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the operator saw.

    Attributes:
        requests: The outer requests, and how many of each.
        sent_bytes: To the enclave.
        received_bytes: Back.
        clear: All that was sent, in words, where none of it was sealed.
        glimpse: A piece of the last sealed request; empty where there was none.
        searched: What was searched for.
    """

    requests: tuple[tuple[str, int], ...]
    sent_bytes: int
    received_bytes: int
    clear: str
    glimpse: bytes
    searched: tuple[Found, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, opened.

    Attributes:
        text: The model's words.
        tokens: How many it made.
        took_s: From sealing the question to the opened answer.
        inference_s: How long the model ran, as the enclave measured it.
    """

    text: str = field(repr=False)
    tokens: int
    took_s: float
    inference_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What is known of one question so far.

    Attributes:
        question: What was asked.
        operator: Who runs the machine.
        transcript: What was checked; None before, and where there was nothing to check.
        attest_s: How long it took to fetch and check the evidence.
        failure: Why it ended early.
        sight: What the operator saw, once it ended.
        answer: What came back.
    """

    question: str = field(repr=False)
    operator: Operator
    transcript: Transcript | None = None
    attest_s: float = 0.0
    failure: BlindAIError | None = None
    sight: Sight | None = None
    answer: Answer | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self.sight is not None


@dataclass(frozen=True, slots=True)
class Service:
    """An enclave with a language model, and what is expected of it.

    Attributes:
        address: Where it listens.
        model: What it calls the model: a question and `max_tokens` in, a text out.
        policy: What is accepted.
    """

    address: tuple[str, int]
    model: str
    policy: Policy

    def ask(self, question: str, operator: Operator) -> Iterator[Exchange]:
        """Ask; gives what is known, whenever more is known.

        What goes wrong is in the last exchange; only what cannot be asked is raised.

        Raises:
            QuestionError: If it is empty, too long, or no text.
        """
        known = Exchange(question=read_question(question), operator=operator)
        yield known
        with (
            reach(operator, self.address) as place,
            Relay(*place) as relay,
            contextlib.closing(self._connect(relay.url)) as connection,
        ):
            started = time.monotonic()
            try:
                checked = connection.attest().transcript
                attest_s = time.monotonic() - started
                known = replace(known, transcript=checked, attest_s=attest_s)
                yield known
                known = replace(known, answer=self._predict(connection, known.question))
            except BlindAIError as error:
                if isinstance(error, AttestationError):
                    attest_s = time.monotonic() - started
                    known = replace(
                        known, transcript=error.transcript, attest_s=attest_s
                    )
                known = replace(known, failure=error)
            yield replace(known, sight=_look(relay.capture, known))

    def _connect(self, url: str) -> Connection:
        return Connection(
            url,
            policy=self.policy,
            timeout=_TIMEOUT_S,
            remember_stores=False,
            wire=httpx.HTTPTransport(),  # never through the environment's proxy
        )

    def _predict(self, connection: Connection, question: str) -> Answer:
        given = {"question": [question], "max_tokens": [MAX_TOKENS]}
        started = time.monotonic()
        response = connection.predict(self.model, given)
        took_s = time.monotonic() - started
        answer, tokens = response.output
        return Answer(
            text=answer.as_text(),
            tokens=tokens.as_numpy().size,
            took_s=took_s,
            inference_s=response.inference_time,
        )


def expected(config_digest: bytes) -> Policy:
    """The policy that accepts one program with one configuration, simulated.

    Args:
        config_digest: Of the configuration with the model in it, 32 bytes.
    """
    return Policy(
        insecure_accept_simulation=True,
        sev_snp=SnpPolicy(measurements=(default_measurement(),)),
        enclave=EnclavePolicy(config_digests=(config_digest,)),
    )


def read_question(typed: str) -> str:
    """What was typed, without the space around it.

    Raises:
        QuestionError: If it is empty, too long, or no text.
    """
    question = typed.strip()
    if not question:
        raise QuestionError("question: expected a few words, got none")
    if len(question) > MAX_CHARACTERS:
        raise QuestionError(
            f"question: expected at most {MAX_CHARACTERS} characters,"
            f" got {len(question)}"
        )
    try:
        question.encode()
    except UnicodeEncodeError:
        raise QuestionError(
            "question: expected Unicode text, got half a character"
        ) from None
    return question


def _look(capture: Capture, known: Exchange) -> Sight:
    """Search all that the operator wrote down."""
    secrets = [Secret("your question", known.question.encode())]
    if known.answer is not None:
        secrets.append(Secret("the answer", known.answer.text.encode()))
    secrets.append(Secret("the path that runs a model", b"/v2/models"))
    searched = [
        Found(each.label, capture.count(each.needle) if each.searchable else None)
        for each in secrets
    ]
    control = Found(VISIBLE.decode(), capture.count(VISIBLE), secret=False)
    requests = capture.requests()
    sealed = any(each.startswith("POST ") for each in requests)
    clear = b"".join(capture.sent).decode("latin-1")
    return Sight(
        requests=tuple(requests.items()),
        sent_bytes=capture.sent_bytes,
        received_bytes=capture.received_bytes,
        clear="" if sealed else clear,
        glimpse=capture.glimpse(GLIMPSE_BYTES) if sealed else b"",
        searched=(*searched, control),
    )
