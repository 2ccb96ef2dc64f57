"""Made-up hardware: it counts where a policy names its root, and only there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509

from blindai.attester.simulated import SimulatedPlatform
from blindai.errors import AppraisalError, VerificationError
from blindai.protocol.attestation import (
    SEV_SNP_REPORT_TYPE,
    encode_attestation,
    parse_attestation,
)
from blindai.testing import SimulatedEvidence
from blindai.testing.vendors.pki import digest_of
from blindai.verifier import AttestationResult, InsecureRoot, Policy, SnpPolicy

Accept = Callable[..., AttestationResult]
NONCE = bytes(range(32))
HONEST = SimulatedEvidence(SimulatedPlatform())
PARTS = parse_attestation(HONEST.attestation(NONCE))
GENUINE_NAME = replace(PARTS.evidence, media_type=SEV_SNP_REPORT_TYPE)
COLLECTION = encode_attestation(replace(PARTS, evidence=GENUINE_NAME))
*_, ARK = x509.load_pem_x509_certificates(PARTS.evidence.endorsements[0].content)
MADE_UP = InsecureRoot(vendor="AMD", sha256=digest_of(ARK), product="Genoa")
RELEASE = Policy(
    sev_snp=SnpPolicy(measurements=(HONEST.platform.measurement,)),
)


def test_a_release_policy_refuses_it(accept: Accept) -> None:
    with pytest.raises(VerificationError, match="root certificate: expected ARK"):
        accept(COLLECTION, RELEASE)


def test_a_policy_that_names_its_root_accepts_it_as_simulated(accept: Accept) -> None:
    policy = Policy.parse(
        f"""
        version = 1
        [[insecure_roots]]
        vendor = "AMD"
        product = "Genoa"
        sha256 = "{MADE_UP.sha256.hex()}"
        [sev-snp]
        measurements = ["{HONEST.platform.measurement.hex()}"]
        """
    )

    result = accept(COLLECTION, policy)

    assert policy == replace(RELEASE, insecure_roots=(MADE_UP,))
    assert result.simulated
    (line,) = (c for c in result.transcript.checks if c.name == "simulated TEE")
    assert line.actual == "made-up hardware, by the policy"


def test_its_measurement_still_has_to_be_the_pinned_one(accept: Accept) -> None:
    other = SnpPolicy(measurements=(b"x" * 48,))
    policy = Policy(sev_snp=other, insecure_roots=(MADE_UP,))

    with pytest.raises(AppraisalError, match="measurement: expected 7878"):
        accept(COLLECTION, policy)


def test_a_root_of_another_vendor_does_not_stand_behind_it(accept: Accept) -> None:
    intel = replace(MADE_UP, vendor="Intel")

    with pytest.raises(VerificationError, match="root certificate: expected ARK"):
        accept(COLLECTION, replace(RELEASE, insecure_roots=(intel,)))
