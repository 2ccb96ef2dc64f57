"""Evidence of a made-up Intel, and the verifier's entry with what most tests share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from blindai.protocol.attestation import Evidence
from blindai.testing import NOW
from blindai.testing.vendors.intel import Enclave, Intel, TrustDomain, evidence_of
from blindai.testing.vendors.intel_parts import SGX, TDX
from blindai.verifier import VerifiedClaims, intel, roots
from blindai.verifier.procedure import Procedure

INTEL = Intel()
ANCHORS = roots.Anchors(
    (
        roots.Root(
            name="made-up root",
            vendor=roots.INTEL,
            simulated=True,
            digest=INTEL.root_digest,
        ),
    )
)
Change = Callable[[dict[str, Any]], dict[str, Any]]
ENCLAVE = Enclave()
TRUST_DOMAIN = TrustDomain()
OLDER_TRUST_DOMAIN = TrustDomain(newer=False)


def verify(
    evidence: Evidence, now: datetime = NOW, anchors: roots.Anchors = ANCHORS
) -> tuple[VerifiedClaims, Procedure]:
    """Verify evidence of either TEE, and show the procedure."""
    procedure = Procedure()
    is_sgx = evidence.media_type.endswith("sgx-quote")
    entry = intel.verify_sgx if is_sgx else intel.verify_tdx
    return entry(evidence, procedure, now, anchors), procedure


def changed(**changes: object) -> Intel:
    """The same Intel, with some things changed."""
    return replace(INTEL, **changes)  # type: ignore[arg-type]  # one of many


def with_parts(
    body: Enclave | TrustDomain = TRUST_DOMAIN,
    version: int = 5,
    made_by: Intel = INTEL,
    **parts: object,
) -> Evidence:
    """Evidence whose quote has some parts put in place of its own."""
    tee = SGX if isinstance(body, Enclave) else TDX
    made = made_by.quote_parts(body, bytes(64), version)
    quote = replace(made, **parts)  # type: ignore[arg-type]  # one of many
    return evidence_of(tee, quote.encode(), made_by.collateral(tee))


def with_collateral(
    members: Mapping[str, str], body: Enclave | TrustDomain = TRUST_DOMAIN
) -> Evidence:
    """Evidence whose collateral has some members put in place of its own."""
    tee = SGX if isinstance(body, Enclave) else TDX
    return evidence_of(tee, INTEL.quote(body), INTEL.collateral(tee) | dict(members))


def statement(**changes: object) -> Change:
    """A change of members of one of Intel's statements."""
    return lambda members: members | changes


def level(**changes: object) -> Change:
    """A change of a statement's first level."""

    def change(members: dict[str, Any]) -> dict[str, Any]:
        first, *others = members["tcbLevels"]
        return members | {"tcbLevels": [first | changes, *others]}

    return change


def module(**changes: object) -> Change:
    """A change of the TDX modules' only line."""

    def change(members: dict[str, Any]) -> dict[str, Any]:
        (line,) = members["tdxModuleIdentities"]
        return members | {"tdxModuleIdentities": [line | changes]}

    return change
