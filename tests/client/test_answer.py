"""An enclave's answer, for whoever wants to look at it themselves."""

from __future__ import annotations

import pytest

from blindai.client.answer import fetch_answer
from blindai.errors import ConfigurationError, TransportError
from blindai.protocol.attestation import parse_attestation
from blindai.protocol.keyset import parse_statement
from blindai.testing import SimulatedEnclave


def test_each_answer_is_to_a_nonce_of_its_own() -> None:
    with SimulatedEnclave() as enclave:
        first, second = fetch_answer(enclave.url), fetch_answer(enclave.url)

    statement = parse_statement(parse_attestation(first.collection).statement)
    assert statement.nonce == first.nonce
    assert first.nonce != second.nonce
    assert first.nonce is not None
    assert first.nonce.hex() not in repr(first)


def test_without_a_challenge_there_is_no_nonce() -> None:
    with SimulatedEnclave() as enclave:
        answer = fetch_answer(enclave.url, challenge=False)

    assert answer.nonce is None
    assert parse_statement(parse_attestation(answer.collection).statement).nonce is None


def test_nobody_there_is_the_networks_fault() -> None:
    with pytest.raises(TransportError, match="network: "):
        fetch_answer("http://127.0.0.1:1")


def test_an_address_that_is_none_is_the_callers() -> None:
    with pytest.raises(ConfigurationError, match="address: expected"):
        fetch_answer("ftp://enclave")
