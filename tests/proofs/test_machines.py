"""Proofs of made-up machines of each kind: they verify offline, and are small."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.models import linear

from blindai import proofs
from blindai.client.proof import Proof
from blindai.errors import AttestationError
from blindai.testing import SimulatedEnclave
from blindai.testing.machines import MACHINES
from blindai.verifier import Policy

ROW = np.ones((1, 4), np.float32)
MAX_BYTES = 16 * 1024  # of a simulated enclave, or of one on SEV-SNP
TEES = ("sev-snp", "tdx", "sgx", "nitro")


def proof_of(enclave: SimulatedEnclave, policy: Policy) -> Proof:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # made-up hardware is warned of
        with enclave.connect(simulation=False, policy=policy) as client:
            client.upload_model(linear(), "linear")
            proof = client.predict("linear", ROW, sign=True).proof
    assert proof is not None
    return proof


@pytest.mark.parametrize("tee", TEES)
def test_a_proof_of_each_tee_verifies_offline(tee: str) -> None:
    enclave, policy = on(tee)
    with enclave:
        data = proof_of(enclave, policy).as_bytes()

    result = proofs.verify(Proof.load_from_bytes(data).file, policy=policy)

    assert result.attestation is not None
    with pytest.raises(AttestationError):
        proofs.verify(
            Proof.load_from_bytes(data).file, policy=replace(policy, insecure_roots=())
        )


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: (SimulatedEnclave(), Policy.for_simulation()), id="none"),
        pytest.param(lambda: on("sev-snp"), id="SEV-SNP"),
    ],
)
def test_a_proof_file_is_small(
    make: Callable[[], tuple[SimulatedEnclave, Policy]],
) -> None:
    enclave, policy = make()
    with enclave:
        size = len(proof_of(enclave, policy).as_bytes())

    assert size <= MAX_BYTES


def on(tee: str) -> tuple[SimulatedEnclave, Policy]:
    machine = MACHINES[tee]({})
    return SimulatedEnclave(attester=machine.attester), Policy.parse(machine.policy)
