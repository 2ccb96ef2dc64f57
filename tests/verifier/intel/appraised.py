"""Policies and attestations for Intel's TEEs, with what most tests share."""

from __future__ import annotations

from tests.verifier.intel.made_up import (
    ENCLAVE,
    INTEL,
    TRUST_DOMAIN,
)

from blindai.protocol import keyset
from blindai.protocol.attestation import Attestation, encode_attestation
from blindai.protocol.keyset import Purpose, Statement
from blindai.testing import NOW, simulated_keyset
from blindai.testing.vendors.intel import Enclave, Intel, TrustDomain
from blindai.verifier import (
    AttestationResult,
    InsecureRoot,
    PlatformPolicy,
    Policy,
    SgxPolicy,
    TdxPolicy,
    verify,
)

NONCE = bytes(range(32))
ROOT = InsecureRoot(vendor="Intel", sha256=INTEL.root_digest)
Body = Enclave | TrustDomain
ENCLAVE_PIN = {"mr_enclave": (ENCLAVE.mr_enclave,)}
TD_PIN = {"mr_td": (TRUST_DOMAIN.mr_td,), "rtmr1": (TRUST_DOMAIN.rtmr[1],)}
OTHER_32, OTHER_48 = b"o" * 32, b"o" * 48


def sgx(**changes: object) -> Policy:
    values = ENCLAVE_PIN | changes
    return Policy(sgx=SgxPolicy(**values), insecure_roots=(ROOT,))  # type: ignore[arg-type]  # one of many


def tdx(**changes: object) -> Policy:
    values = TD_PIN | changes
    return Policy(tdx=TdxPolicy(**values), insecure_roots=(ROOT,))  # type: ignore[arg-type]  # one of many


def on(**changes: object) -> Policy:
    """A policy for enclaves that accepts something else of the machine."""
    return sgx(platform=PlatformPolicy(**changes))  # type: ignore[arg-type]  # one of many


def attestation(body: Body, made_by: Intel = INTEL) -> bytes:
    keys = simulated_keyset().encode()
    statement = Statement(Purpose.ATTESTATION, keyset.digest(keys), NONCE).encode()
    binding = keyset.bind(Statement(Purpose.ATTESTATION, keyset.digest(keys), NONCE))
    return encode_attestation(
        Attestation(
            keyset=keys,
            statement=statement,
            evidence=made_by.evidence(body, binding.report_data),
        )
    )


def accept(body: Body, policy: Policy, made_by: Intel = INTEL) -> AttestationResult:
    return verify(attestation(body, made_by), nonce=NONCE, policy=policy, now=NOW)
