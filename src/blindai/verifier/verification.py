"""The one way to trust an enclave: bytes, a challenge and a policy in, a result out."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from blindai.errors import EvidenceError
from blindai.protocol import keyset
from blindai.protocol.attestation import (
    AZURE_SNP_TYPE,
    AZURE_TDX_TYPE,
    NITRO_DOCUMENT_TYPE,
    SEV_SNP_REPORT_TYPE,
    SGX_QUOTE_TYPE,
    SIMULATED_SEV_SNP_REPORT_TYPE,
    TDX_QUOTE_TYPE,
    TPM_QUOTE_TYPE,
    Attestation,
    Endorsement,
    Evidence,
    parse_attestation,
)
from blindai.protocol.keyset import NONCE_BYTES, REPORT_DATA_BYTES, Purpose
from blindai.verifier import intel, nitro, nvidia, roots, snp, tpm
from blindai.verifier.appraisal import POLICY_SOURCE, Bound, Challenge, appraise
from blindai.verifier.endorsed import bring
from blindai.verifier.procedure import KEYSET_SOURCE, Procedure, unevaluated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from blindai.transcript import Check
    from blindai.verifier.nvidia.claims import GpuClaims
    from blindai.verifier.policy import Policy
    from blindai.verifier.result import AttestationResult, VerifiedClaims
    from blindai.verifier.roots import Anchors


@dataclass(frozen=True, slots=True)
class Tee:
    """What there is to know about a kind of TEE.

    Attributes:
        verify: Makes its claims verified, or raises.
        appraise: Writes the lines that only this TEE has.
    """

    verify: Callable[[Evidence, Procedure, datetime, Anchors], VerifiedClaims]
    appraise: Callable[[VerifiedClaims, Policy], Iterator[Check]]


_AZURE_SNP = tpm.Azure(tpm.AZURE_SNP, SEV_SNP_REPORT_TYPE, snp.verify, snp.appraise)
_AZURE_TDX = tpm.Azure(
    tpm.AZURE_TDX, TDX_QUOTE_TYPE, intel.verify_tdx, intel.appraise_tdx
)
TEES: Mapping[str, Tee] = MappingProxyType(
    {
        SEV_SNP_REPORT_TYPE: Tee(snp.verify, snp.appraise),
        SIMULATED_SEV_SNP_REPORT_TYPE: Tee(snp.verify, snp.appraise),
        SGX_QUOTE_TYPE: Tee(intel.verify_sgx, intel.appraise_sgx),
        TDX_QUOTE_TYPE: Tee(intel.verify_tdx, intel.appraise_tdx),
        NITRO_DOCUMENT_TYPE: Tee(nitro.verify, nitro.appraise),
        TPM_QUOTE_TYPE: Tee(tpm.verify, tpm.appraise),
        AZURE_SNP_TYPE: Tee(_AZURE_SNP.verify, _AZURE_SNP.appraise),
        AZURE_TDX_TYPE: Tee(_AZURE_TDX.verify, _AZURE_TDX.appraise),
    }
)


def tee_of(media_type: str) -> Tee:
    """The kind of TEE that evidence of a media type is from.

    Raises:
        EvidenceError: If there is none.
    """
    tee = TEES.get(media_type)
    if tee is None:
        raise EvidenceError(f"evidence: expected one of {', '.join(TEES)}, got another")
    return tee


def verify(
    collection: bytes,
    *,
    nonce: bytes | None,
    policy: Policy,
    now: datetime,
    purpose: Purpose = Purpose.ATTESTATION,
    endorsements: tuple[Endorsement, ...] = (),
) -> AttestationResult:
    """Verify an attestation and hold it against a policy.

    1. The collection and its parts are well formed.
    2. The evidence is authentic (the TEE's own procedure).
    3. It binds the statement, and the statement binds the keyset and the evidence of
       GPUs that came along: this one, or none.
    4. The GPUs, if the policy asks for them, are authentic, and answered for it too.
    5. All of it is what the policy accepts, and answers this challenge.

    Args:
        collection: The CMW collection, as fetched.
        nonce: The 32 random bytes that were sent, or None if none were; then the
            policy has to allow evidence by its age.
        policy: What is accepted.
        now: For when to verify, with a time zone.
        purpose: What the evidence has to be for.
        endorsements: What the relying party has itself, in place of what says the same
            among those that came with the evidence.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If the evidence is not authentic.
        AppraisalError: If it is authentic, but not accepted; all reasons are there.
        ValueError: If `now` has no time zone, or `nonce` is not 32 bytes.
    """
    if now.utcoffset() is None:
        raise ValueError("now: expected a time with a time zone")
    if nonce is not None and len(nonce) != NONCE_BYTES:
        raise ValueError(f"nonce: expected {NONCE_BYTES} bytes, got {len(nonce)}")
    challenge = Challenge(nonce=nonce, purpose=purpose, now=now, policy=policy)
    procedure = Procedure()
    try:
        attestation = parse_attestation(collection)
        evidence = attestation.evidence
        whole = bring(evidence.endorsements, endorsements)
        evidence = replace(evidence, endorsements=whole)
        return _verify(replace(attestation, evidence=evidence), challenge, procedure)
    except EvidenceError as error:
        error.transcript = procedure.give_up(error)
        raise


def _verify(
    attestation: Attestation, challenge: Challenge, procedure: Procedure
) -> AttestationResult:
    tee = tee_of(attestation.evidence.media_type)
    bound = Bound(
        keyset.parse_keyset(attestation.keyset),
        keyset.parse_statement(attestation.statement),
    )
    anchors = anchors_for(attestation.evidence, challenge.policy)
    verified = tee.verify(attestation.evidence, procedure, challenge.now, anchors)
    _verify_binding(procedure, verified, bound, attestation)
    gpus = _verify_gpus(procedure, attestation.gpu, bound, challenge)
    bound = replace(bound, gpus=gpus)
    return appraise(verified, bound, challenge, procedure.transcript, tee.appraise)


def anchors_for(evidence: Evidence, policy: Policy) -> Anchors:
    """The roots that count for evidence: the simulated one for it, and only for it."""
    simulated = evidence.media_type == SIMULATED_SEV_SNP_REPORT_TYPE
    return roots.SIMULATION if simulated else policy.anchors


def _verify_binding(
    procedure: Procedure,
    verified: VerifiedClaims,
    bound: Bound,
    attestation: Attestation,
) -> None:
    """Step 3: from what the hardware signed to the keys, and to the GPUs' evidence.

    Raises:
        VerificationError: If the evidence binds another statement or another nonce, or
            the statement another keyset or other evidence of GPUs.
    """
    report_data = verified.claims.report_data
    binding = keyset.bind(bound.statement)
    whole = len(report_data) == REPORT_DATA_BYTES
    expected = binding.report_data if whole else binding.digest
    procedure.require(
        "report data",
        holds=hmac.compare_digest(report_data, expected),
        expected=f"SHA-256 of the statement, {expected.hex()}",
        actual=report_data.hex(),
        source=KEYSET_SOURCE,
    )
    if verified.claims.nonce is not None:
        _verify_nonce(procedure, verified.claims.nonce, bound.statement.nonce)
    digest = keyset.digest(attestation.keyset)
    procedure.require(
        "keyset digest",
        holds=hmac.compare_digest(bound.statement.keyset_digest, digest),
        expected=f"the keyset's, {digest.hex()}",
        actual=bound.statement.keyset_digest.hex(),
        source=KEYSET_SOURCE,
    )
    named, came = bound.statement.gpu_digest, keyset.gpu_digest(attestation.gpu)
    if named or came:
        _verify_gpu_digest(procedure, named, came)


def _verify_gpu_digest(
    procedure: Procedure, named: bytes | None, came: bytes | None
) -> None:
    """Where GPUs are named or have come, they are the ones that the enclave asked.

    Without this, anybody could have another GPU answer a nonce that is no secret.

    Raises:
        VerificationError: If the statement names other evidence, or none.
    """
    procedure.require(
        "GPU evidence digest",
        holds=hmac.compare_digest(named or b"", came or b""),
        expected=f"the statement's, {named.hex()}" if named else "no GPU evidence",
        actual=came.hex() if came else "no GPU evidence",
        source=KEYSET_SOURCE,
    )


def _verify_gpus(
    procedure: Procedure, evidence: bytes, bound: Bound, challenge: Challenge
) -> tuple[GpuClaims, ...]:
    """Step 4: the GPUs that the statement names, where the policy asks for them.

    Raises:
        EvidenceError: If their evidence is malformed.
        VerificationError: If it is not authentic, or binds another statement.
    """
    policy = challenge.policy
    if not evidence:
        return ()
    if policy.nvidia_gpu is None:
        procedure.note(
            unevaluated(
                "GPUs",
                reason="the policy has no table [nvidia-gpu]",
                actual=f"{len(evidence)} bytes of evidence",
                source=POLICY_SOURCE,
            )
        )
        return ()
    nonce = keyset.gpu_nonce(bound.statement)
    return nvidia.verify(evidence, nonce, procedure, challenge.now, policy.anchors)


def _verify_nonce(procedure: Procedure, nonce: bytes, expected: bytes | None) -> None:
    """Where evidence has a field of its own for the nonce, it is the statement's.

    Raises:
        VerificationError: If it is another.
    """
    procedure.require(
        "nonce of the evidence",
        holds=hmac.compare_digest(nonce, expected or b""),
        expected="the statement's" if expected else "none",
        actual=nonce.hex(),
        source=KEYSET_SOURCE,
    )
