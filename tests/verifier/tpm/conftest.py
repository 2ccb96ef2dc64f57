"""Made-up machines with a TPM, and the verifier's procedures for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from blindai.protocol.attestation import Evidence
from blindai.protocol.keyset import Binding
from blindai.testing import NOW
from blindai.testing.vendors.pki import digest_of
from blindai.testing.vendors.tpm import google_root
from blindai.verifier import roots
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import VerifiedClaims
from blindai.verifier.verification import tee_of

BINDING = Binding(bytes(range(32)), None)
ANCHORS = roots.Anchors(
    (
        roots.Root(
            name="made up",
            vendor=roots.GOOGLE,
            simulated=True,
            digest=digest_of(google_root().certificate),
        ),
        *roots.SIMULATION.roots,
    )
)

Verify = Callable[..., tuple[VerifiedClaims, Procedure]]


@pytest.fixture(scope="session")
def verify() -> Verify:
    """Verify evidence under the made-up roots, and show the procedure."""

    def run(
        evidence: Evidence, now: datetime = NOW, anchors: roots.Anchors = ANCHORS
    ) -> tuple[VerifiedClaims, Procedure]:
        procedure = Procedure()
        tee = tee_of(evidence.media_type)
        return tee.verify(evidence, procedure, now, anchors), procedure

    return run


@pytest.fixture(scope="session")
def binding() -> Binding:
    """What tests bind."""
    return BINDING
