"""Nothing is sealed before the enclave proved itself.

The wire is the attacker here: it sees, changes and swaps what goes by.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

import blindai
from blindai.attester.simulated import SimulatedAttester, SimulatedPlatform
from blindai.client import challenge
from blindai.client.policies import SimulationWarning
from blindai.errors import (
    AppraisalError,
    AttestationError,
    ConfigurationError,
    EvidenceError,
    OverloadedError,
    TransportError,
    VerificationError,
)
from blindai.protocol.attestation import (
    MAX_ATTESTATION_BYTES,
    Attestation,
    Evidence,
    encode_attestation,
    parse_attestation,
)
from blindai.protocol.names import ATTESTATION_PATH, GATEWAY_PATH
from blindai.server.settings import Settings
from blindai.testing import SimulatedEnclave
from blindai.verifier import Policy, SnpPolicy

if TYPE_CHECKING:
    from tests.client.conftest import Answer, To, Wire

pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning"
)
EVIDENCE, SEALED = ("GET", ATTESTATION_PATH), ("POST", GATEWAY_PATH)
RELEASE = Policy(sev_snp=SnpPolicy(measurements=(b"\x01" * 48,)))


def another_report(evidence: Evidence) -> Evidence:
    """Another report under the same signature."""
    return replace(evidence, evidence=bytes(0x2A0) + evidence.evidence[0x2A0:])


def fetch(answer: Answer, nonce: bytes = bytes(32)) -> Attestation:
    """Evidence that somebody else asked for."""
    url = f"http://enclave.test{ATTESTATION_PATH}?nonce={nonce.hex()}"
    return parse_attestation(answer(httpx.Request("GET", url)).content)


def test_evidence_comes_first(wire: Wire) -> None:
    with wire.connect() as client:
        assert wire.seen == [EVIDENCE]
        client.models()
    assert wire.seen == [EVIDENCE, SEALED]


def test_without_entering_evidence_comes_first_too(wire: Wire) -> None:
    wire.connect().models()
    assert wire.seen == [EVIDENCE, SEALED]


def test_every_challenge_is_another(wire: Wire) -> None:
    nonces: list[str] = []
    honest = wire.answer

    def note(request: httpx.Request) -> httpx.Response:
        nonces.append(request.url.params["nonce"])
        return honest(request)

    wire.answer = note
    client = wire.connect()
    client.attest()
    client.attest()
    assert len(set(nonces)) == 2


@pytest.mark.parametrize(
    ("rewrite", "error"),
    [
        pytest.param(lambda _: b"", EvidenceError, id="nothing"),
        pytest.param(lambda _: b"<html>", EvidenceError, id="HTML"),
        pytest.param(lambda body: body[:-1], EvidenceError, id="cut short"),
        pytest.param(lambda body: body + b"\0", EvidenceError, id="longer"),
        pytest.param(
            lambda _: bytes(MAX_ATTESTATION_BYTES + 1), EvidenceError, id="too large"
        ),
        pytest.param(
            lambda body: encode_attestation(
                replace(
                    parse_attestation(body),
                    evidence=another_report(parse_attestation(body).evidence),
                )
            ),
            AttestationError,
            id="another report under the signature",
        ),
    ],
)
def test_evidence_that_was_changed_is_refused_and_nothing_is_sent(
    wire: Wire, rewrite: Callable[[bytes], bytes], error: type[AttestationError]
) -> None:
    wire.rewrite("GET", rewrite)
    with pytest.raises(error), wire.connect():
        pass
    with pytest.raises(error):
        wire.connect().models()
    assert wire.seen == [EVIDENCE, EVIDENCE]
    assert wire.closed


def test_evidence_without_end_is_not_read_to_its_end(wire: Wire) -> None:
    class Endless(httpx.SyncByteStream):
        read = 0

        def __iter__(self) -> Iterator[bytes]:
            while self.read < 1000:
                self.read += 1
                yield bytes(MAX_ATTESTATION_BYTES // 2)

    body = Endless()
    wire.answer = lambda _: httpx.Response(200, stream=body)
    with pytest.raises(EvidenceError, match="evidence: expected at most"):
        wire.connect().attest()
    assert body.read == 3


def test_evidence_that_comes_drop_by_drop_is_not_waited_for(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dripping(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(1000):
                time.sleep(0.01)
                yield b"a"

    monkeypatch.setattr(challenge, "EVIDENCE_S", 0.05)
    wire.answer = lambda _: httpx.Response(200, stream=Dripping())
    with pytest.raises(
        TransportError, match=r"evidence: expected all of it in 0\.05 s"
    ):
        wire.connect().attest()


def test_evidence_from_an_earlier_session_is_refused(wire: Wire) -> None:
    old = encode_attestation(fetch(wire.answer))
    wire.rewrite("GET", lambda _: old)
    with pytest.raises(AppraisalError, match="nonce: expected the one that was sent"):
        wire.connect().models()
    assert wire.seen == [EVIDENCE]


def test_keys_of_a_man_in_the_middle_are_refused(
    to: To, wire: Wire, other_enclave: SimulatedEnclave
) -> None:
    theirs = fetch(to(other_enclave)).keyset
    wire.rewrite(
        "GET",
        lambda body: encode_attestation(
            replace(parse_attestation(body), keyset=theirs)
        ),
    )
    with pytest.raises(VerificationError, match="keyset digest"):
        wire.connect().models()
    assert wire.seen == [EVIDENCE]


def test_keys_and_statement_of_a_man_in_the_middle_are_refused(
    to: To, wire: Wire, other_enclave: SimulatedEnclave
) -> None:
    honest = wire.answer

    def swap(request: httpx.Request) -> httpx.Response:
        theirs = parse_attestation(to(other_enclave)(request).content)
        ours = parse_attestation(honest(request).content)
        mixed = replace(ours, keyset=theirs.keyset, statement=theirs.statement)
        return httpx.Response(200, content=encode_attestation(mixed))

    wire.change("GET", swap)
    with pytest.raises(VerificationError, match="report data"):
        wire.connect().models()
    assert wire.seen == [EVIDENCE]


def test_a_simulated_enclave_is_refused_under_a_release_policy(wire: Wire) -> None:
    with pytest.raises(AppraisalError) as caught, wire.connect(RELEASE):
        pass
    assert caught.value.transcript is not None
    assert wire.seen == [EVIDENCE]


def test_another_measurement_than_the_policys_is_refused(
    pinned: Policy, to: To, wire: Wire
) -> None:
    attester = SimulatedAttester(SimulatedPlatform(measurement=b"\x07" * 48))
    with SimulatedEnclave(attester=attester) as changed:
        wire.answer = to(changed)
        with pytest.raises(AppraisalError, match="measurement"):
            wire.connect(pinned).models()
    assert wire.seen == [EVIDENCE]


def test_without_a_policy_nothing_is_sent(wire: Wire) -> None:
    with pytest.raises(ConfigurationError, match="policy: expected a policy file"):
        blindai.Connection("http://enclave.test", wire=wire)
    assert wire.seen == []


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        pytest.param(429, OverloadedError, "no more right now", id="429"),
        pytest.param(404, TransportError, "expected status 200, got 404", id="404"),
        pytest.param(500, TransportError, "expected status 200, got 500", id="500"),
        pytest.param(302, TransportError, "expected status 200, got 302", id="302"),
        pytest.param(
            200,
            TransportError,
            "expected application/cmw[+]cbor, got 'text/html' from"
            " http://enclave.test/.well-known/.*: is there an enclave",
            id="a page",
        ),
    ],
)
def test_without_evidence_nothing_is_sent(
    wire: Wire, status: int, error: type[Exception], message: str
) -> None:
    wire.answer = lambda _: httpx.Response(status, html="<html>")
    with pytest.raises(error, match=message):
        wire.connect().models()
    assert wire.seen == [EVIDENCE]


@pytest.mark.parametrize(
    "address",
    [
        "ftp://enclave.test",
        "https://",
        "http://[::1",
        "https://enclave.test:port",
        "/path/only",
        "\x00",
        "https://enclave.test/prefix",
        "https://enclave.test/?query",
        "https://enclave.test#fragment",
        "http:/enclave.test",
        "https://enclave.test:0",
        "https://enclave.test:99999",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"address: expected http\(s\)://"):
        blindai.Connection(address, simulation=True)


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="got one with a user's") as caught:
        blindai.Connection("https://me:secret@enclave.test", simulation=True)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["enclave.test", "enclave.test:9923"])
def test_an_address_without_a_scheme_is_https(wire: Wire, address: str) -> None:
    schemes: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        schemes.append(str(request.url.copy_with(raw_path=b"/")))
        return httpx.Response(404)

    wire.answer = note
    client = blindai.Connection(address, simulation=True, wire=wire)
    with pytest.raises(TransportError):
        client.attest()
    assert schemes == [f"https://{address}/"]


def test_the_wire_carries_neither_names_nor_keys_nor_data(
    to: To, wire: Wire, identity: Callable[..., bytes]
) -> None:
    taken: list[bytes] = []

    def note(request: httpx.Request) -> httpx.Response:
        answered = passed_on(request)
        taken.extend((bytes(str(request.url), "ascii"), repr(request.headers).encode()))
        taken.extend((request.content, answered.content))
        taken.append(repr(answered.headers).encode())
        return answered

    with SimulatedEnclave(Settings()) as private:
        passed_on, wire.answer = to(private), note
        client = blindai.Connection(
            "http://enclave.test",
            simulation=True,
            api_key="bai_the-api-key",
            wire=wire,
        )
        token = client.upload_model(identity(), "secret-model").owner_token
        client.predict("secret-model", np.frombuffer(b"PrivateInputData", np.float32))
        client.models()
        client.delete_model("secret-model")
    seen = b"\n".join(taken)
    assert len(taken) == 5 * 5
    for secret in (
        b"bai_the-api-key",
        str(token).encode(),
        b"secret-model",
        b"/v2/",
        b"infer",
        b"PrivateInputData",
        identity(),
        b"DELETE",
        b"authorization",
    ):
        assert not re.search(re.escape(secret), seen, re.IGNORECASE)


def test_each_attestation_of_a_simulation_warns(wire: Wire) -> None:
    client = wire.connect()
    for _ in range(2):
        with pytest.warns(SimulationWarning):
            client.attest()
