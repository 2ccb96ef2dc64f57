"""The verifier's entries, with the arguments that most tests share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from blindai.protocol.attestation import (
    PEM_CHAIN_TYPE,
    SEV_SNP_REPORT_TYPE,
    Endorsement,
    Evidence,
)
from blindai.testing import NOW
from blindai.verifier import AttestationResult, Policy, roots, snp, verify
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import VerifiedClaims

NONCE = bytes(range(32))
SIMULATION = Policy.for_simulation()


@pytest.fixture(scope="session")
def accept() -> Callable[..., AttestationResult]:
    """Verify and appraise a collection, by default as its simulation is accepted."""

    def run(
        collection: bytes,
        policy: Policy = SIMULATION,
        nonce: bytes | None = NONCE,
        now: datetime = NOW,
    ) -> AttestationResult:
        return verify(collection, nonce=nonce, policy=policy, now=now)

    return run


@pytest.fixture(scope="session")
def verify_snp() -> Callable[..., tuple[VerifiedClaims, Procedure]]:
    """Verify an SEV-SNP report with its chain, and show the procedure."""

    def run(
        report: bytes,
        chain: bytes,
        now: datetime = NOW,
        anchors: roots.Anchors = roots.SIMULATION,
    ) -> tuple[VerifiedClaims, Procedure]:
        procedure = Procedure()
        evidence = Evidence(
            media_type=SEV_SNP_REPORT_TYPE,
            evidence=report,
            endorsements=(Endorsement(PEM_CHAIN_TYPE, chain),),
        )
        return snp.verify(evidence, procedure, now, anchors), procedure

    return run
