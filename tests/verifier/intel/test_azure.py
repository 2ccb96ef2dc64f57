"""Azure's trust domains: Intel's procedure below, a virtual TPM above."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.vectors import FOLDER, needs_vectors
from tests.verifier.tpm.test_vectors import TDX

from blindai.protocol.attestation import (
    AZURE_TDX_TYPE,
    INTEL_COLLATERAL_TYPE,
    Endorsement,
    Evidence,
)
from blindai.verifier import TdxClaims, roots
from blindai.verifier.procedure import Procedure
from blindai.verifier.tpm.claims import AzureClaims
from blindai.verifier.verification import tee_of

COLLATERAL = "automata_tdx_00806f050000_2025-10_collateral.json"


@needs_vectors
def test_a_genuine_one_is_verified_up_to_intel_s_root() -> None:
    collateral = (FOLDER / "tdx" / COLLATERAL).read_bytes()
    evidence = Evidence(
        media_type=AZURE_TDX_TYPE,
        evidence=TDX.sent().encode(),
        endorsements=(Endorsement(INTEL_COLLATERAL_TYPE, collateral),),
    )
    verify = tee_of(AZURE_TDX_TYPE).verify
    now = datetime(2025, 10, 25, tzinfo=UTC)

    verified = verify(evidence, Procedure(), now, roots.PINNED)

    hardware = verified.claims.of(AzureClaims).hardware.of(TdxClaims)
    assert verified.root == roots.INTEL_SGX
    assert hardware.platform.tcb_status == "OutOfDate"
    assert not any(map(any, hardware.rtmr))
