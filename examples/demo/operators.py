"""Who runs the machine: one who is honest, and five who are not.

    with reach(Operator.MIDDLE, enclave) as address:
        ...  # whoever asks there for evidence gets what this operator answers

The dishonest ones are real to a client: they speak the protocol, and what they answer
was signed by the simulated hardware, where they could have had it signed. None of them
can run a model: a client that is worth anything sends them nothing to run.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, cast

import httpx

from blindai.attester.simulated_report import GUEST_POLICY, SimulatedPlatform
from blindai.protocol import keyset, ohttp
from blindai.protocol.attestation import (
    MEDIA_TYPE,
    Attestation,
    encode_attestation,
    parse_attestation,
)
from blindai.protocol.kem import Kem, generate
from blindai.protocol.names import ATTESTATION_PATH
from blindai.testing import SimulatedEvidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from blindai.protocol.keyset import Keyset

    Address = tuple[str, int]
    Answer = Callable[["Evidence", bytes], bytes]

_TIMEOUT_S = 30.0
_DEBUG = 1 << 19  # AMD 56860, 4.3: the host may read and write the guest's memory
_OLD_NONCE = hashlib.sha256(b"somebody else's visit").digest()


class Operator(StrEnum):
    """Who runs the machine; its value is how the page calls it."""

    HONEST = "An honest operator"
    REBUILT = "One who rebuilt the server, to write down questions"
    RECONFIGURED = "One who swapped the model or the settings"
    DEBUG = "One who started the enclave in debug mode"
    MIDDLE = "A man in the middle, with keys of his own"
    REPLAYED = "One who shows somebody else's proof"

    @property
    def story(self) -> str:
        """What he does, and why he is found out."""
        return _STORIES[self]


_STORIES = {
    Operator.HONEST: (
        "Runs the very program, settings and model that this page was told to expect."
        " He still sees every byte that goes by."
    ),
    Operator.REBUILT: (
        "Another program is another measurement, and the processor signs what it"
        " measured: not what the operator would like it to say."
    ),
    Operator.RECONFIGURED: (
        "The program is right. But its settings, with the model's SHA-256 among them,"
        " have a digest, and the proof holds it."
    ),
    Operator.DEBUG: (
        "The right program, in an enclave whose memory he may read. The processor"
        " writes that into the proof."
    ),
    Operator.MIDDLE: (
        "Passes on the true enclave's proof and puts his own keys beside it, to open"
        " what you seal and pass it on. The proof names other keys."
    ),
    Operator.REPLAYED: (
        "A true proof of the true enclave, made for another visit. Yours has to hold"
        " the random number that you sent a moment ago."
    ),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the honest enclave says of itself to whoever asks.

    Attributes:
        address: Where it listens.
    """

    address: Address

    def ask(self, nonce: bytes) -> Attestation:
        """Its evidence for a nonce.

        Raises:
            httpx.HTTPError: If it does not answer.
        """
        host, port = self.address
        url = f"http://{host}:{port}{ATTESTATION_PATH}"
        with httpx.Client(trust_env=False, timeout=_TIMEOUT_S) as http:
            answered = http.get(url, params={"nonce": nonce.hex()}).raise_for_status()
        return parse_attestation(answered.content)

    def own_keys(self) -> Keyset:
        """A keyset like the enclave's, whose private keys the operator has."""
        key = ohttp.GatewayKey(1, generate(Kem.X_WING))
        own = ohttp.encode_key_configs((key.config,))
        genuine = keyset.parse_keyset(self.ask(_OLD_NONCE).keyset)
        return replace(genuine, ohttp_keys=own)


def _on(platform: SimulatedPlatform, enclave: Evidence, nonce: bytes) -> bytes:
    """An enclave of his own on a platform."""
    own = enclave.own_keys()
    return SimulatedEvidence(platform=platform, keyset=own).attestation(nonce)


def _reconfigured(enclave: Evidence, nonce: bytes) -> bytes:
    digest = hashlib.sha256(b"another model, other settings").digest()
    own = replace(enclave.own_keys(), config_digest=digest)
    return SimulatedEvidence(keyset=own).attestation(nonce)


def _middle(enclave: Evidence, nonce: bytes) -> bytes:
    """Evidence of the enclave for this nonce, with the statement about his keys."""
    genuine, own = enclave.ask(nonce), enclave.own_keys().encode()
    stated = keyset.parse_statement(genuine.statement)
    stated = replace(stated, keyset_digest=keyset.digest(own))
    return encode_attestation(replace(genuine, keyset=own, statement=stated.encode()))


def _replayed(enclave: Evidence, nonce: bytes) -> bytes:
    del nonce
    return encode_attestation(enclave.ask(_OLD_NONCE))


_REBUILT = hashlib.sha384(b"a server that writes down questions").digest()
_ANSWERS: dict[Operator, Answer] = {
    Operator.REBUILT: partial(_on, SimulatedPlatform(measurement=_REBUILT)),
    Operator.RECONFIGURED: _reconfigured,
    Operator.DEBUG: partial(_on, SimulatedPlatform(guest_policy=GUEST_POLICY | _DEBUG)),
    Operator.MIDDLE: _middle,
    Operator.REPLAYED: _replayed,
}


@contextlib.contextmanager
def reach(operator: Operator, enclave: Address) -> Iterator[Address]:
    """Where a client reaches this operator's enclave, until the context ends.

    Args:
        operator: Who.
        enclave: Where the honest enclave listens.
    """
    if operator is Operator.HONEST:
        yield enclave
        return
    with _Front(_ANSWERS[operator], Evidence(enclave)) as front:
        thread = threading.Thread(
            target=front.serve_forever, kwargs={"poll_interval": 0.05}
        )
        thread.start()
        try:
            yield "127.0.0.1", front.server_port
        finally:
            front.shutdown()
            thread.join()


class _Front(ThreadingHTTPServer):
    """Answers whoever asks for evidence as its operator likes."""

    def __init__(self, answer: Answer, enclave: Evidence) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = partial(answer, enclave)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with evidence; 502 where the enclave behind does not answer."""
        front = cast("_Front", self.server)
        _, _, nonce = self.path.partition("nonce=")
        try:
            evidence = front.answer(bytes.fromhex(nonce))
        except httpx.HTTPError:
            self.send_error(HTTPStatus.BAD_GATEWAY)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("content-type", MEDIA_TYPE)
        self.send_header("content-length", str(len(evidence)))
        self.end_headers()
        self.wfile.write(evidence)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        """Say nothing."""
