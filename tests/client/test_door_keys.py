"""Keys that the enclave does not hold any more are attested again, once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

import blindai
from blindai.attester.simulated import SimulatedAttester, SimulatedPlatform
from blindai.errors import AppraisalError, TransportError, UnknownKeyError
from blindai.protocol.names import ATTESTATION_PATH, GATEWAY_PATH
from blindai.testing import SimulatedEnclave
from blindai.verifier import Policy

if TYPE_CHECKING:
    from tests.client.conftest import To, Wire

pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning"
)
EVIDENCE, SEALED = ("GET", ATTESTATION_PATH), ("POST", GATEWAY_PATH)


def test_after_a_restart_the_enclave_is_attested_once_more(
    to: To, wire: Wire, other_enclave: SimulatedEnclave
) -> None:
    with wire.connect() as client:
        client.models()
        wire.answer = to(other_enclave)
        wire.seen.clear()
        client.models()
        client.models()
    assert wire.seen == [SEALED, EVIDENCE, SEALED, SEALED]


def test_after_a_restart_an_upload_is_sealed_anew(
    to: To,
    wire: Wire,
    other_enclave: SimulatedEnclave,
    identity: Callable[..., bytes],
    name: str,
) -> None:
    with wire.connect() as client:
        wire.answer = to(other_enclave)
        client.upload_model(identity(), name)
        assert client.predict(name, [1.0]).output[0].as_flat() == [1.0]


def test_after_a_restart_the_policy_is_the_same(
    pinned: Policy, to: To, wire: Wire
) -> None:
    attester = SimulatedAttester(SimulatedPlatform(measurement=b"\x07" * 48))
    with (
        SimulatedEnclave(attester=attester) as changed,
        wire.connect(pinned) as client,
    ):
        wire.answer = to(changed)
        with pytest.raises(AppraisalError, match="measurement"):
            client.models()
    assert wire.seen == [EVIDENCE, SEALED, EVIDENCE]


def test_a_request_is_not_sent_again_while_the_enclave_has_the_same_keys(
    wire: Wire,
) -> None:
    wire.change("POST", lambda _: httpx.Response(400))
    with wire.connect() as client, pytest.raises(UnknownKeyError):
        client.models()
    assert wire.seen == [EVIDENCE, SEALED, EVIDENCE]


def test_a_body_that_is_read_only_once_is_not_sent_twice(wire: Wire) -> None:
    wire.change("POST", lambda _: httpx.Response(400))
    transport = blindai.SealedTransport("http://e.test", simulation=True, wire=wire)
    with (
        httpx.Client(transport=transport) as client,
        pytest.raises(TransportError, match="its body can be read only once"),
    ):
        client.put("http://e.test/x", content=iter([b"a", b"b"]))
    assert wire.seen == [EVIDENCE, SEALED]


def test_many_threads_attest_a_restarted_enclave_once(
    to: To, wire: Wire, other_enclave: SimulatedEnclave
) -> None:
    ready = threading.Barrier(8)
    refuse = to(other_enclave)

    def all_at_once(request: httpx.Request) -> httpx.Response:
        answered = refuse(request)
        ready.wait(10)
        wire.answer = refuse
        return answered

    with wire.connect() as client:
        wire.answer = all_at_once
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: client.models(), range(8)))
    assert wire.seen.count(EVIDENCE) == 2


def test_a_late_refusal_does_not_undo_what_another_request_attested(
    to: To, wire: Wire, other_enclave: SimulatedEnclave
) -> None:
    restarted = to(other_enclave)

    def while_another_is_quicker(request: httpx.Request) -> httpx.Response:
        wire.answer = restarted
        client.models()
        return restarted(request)

    with wire.connect() as client:
        wire.answer = while_another_is_quicker
        client.models()
    quicker = [SEALED, EVIDENCE, SEALED]
    assert wire.seen == [EVIDENCE, SEALED, *quicker, SEALED]


def test_many_first_requests_attest_once(wire: Wire) -> None:
    client = wire.connect()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.models(), range(8)))
    assert wire.seen.count(EVIDENCE) == 1


def test_one_that_fails_to_attest_does_not_keep_the_others_waiting(wire: Wire) -> None:
    wire.answer = lambda _: httpx.Response(500)
    client = wire.connect()
    for _ in range(2):
        with pytest.raises(TransportError):
            client.models()
