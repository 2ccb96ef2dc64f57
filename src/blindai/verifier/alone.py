"""Evidence alone: believed and appraised, though it binds no keyset of ours.

    result = verify_evidence(evidence, policy=Baseline(), nonce=None, now=now)

For whoever has evidence in a file, of an enclave that need not be blindai's. What comes
out says what was found and nothing more: only `verification.verify` makes the result
with which a session can be opened.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.protocol.attestation import NVIDIA_GPU_TYPE
from blindai.transcript import Status
from blindai.verifier import nvidia
from blindai.verifier.appraisal import POLICY_SOURCE, decide, kind_of_tee
from blindai.verifier.baseline import Baseline
from blindai.verifier.claims import Claims
from blindai.verifier.nvidia.claims import Gpus
from blindai.verifier.nvidia.evidence import parse_evidence
from blindai.verifier.nvidia.policy import GpuPolicy
from blindai.verifier.nvidia.spdm import parse_exchange
from blindai.verifier.procedure import Procedure, judge, unevaluated
from blindai.verifier.result import TOKEN, VerifiedClaims
from blindai.verifier.verification import Tee, anchors_for, tee_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from blindai.protocol.attestation import Evidence
    from blindai.transcript import Check, Transcript
    from blindai.verifier.policy import Policy
    from blindai.verifier.roots import Anchors

NONCE_SOURCE = "RFC 9334 10, Freshness"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceResult:
    """Evidence that was believed and accepted.

    Attributes:
        verified: What it says.
        transcript: Each check, in order.
        verified_at: The `now` for which all of this holds.
        pinned: Whether a policy decided; False where there was a baseline only.
    """

    verified: VerifiedClaims
    transcript: Transcript = field(repr=False)
    verified_at: datetime
    pinned: bool


def verify_evidence(
    evidence: Evidence,
    *,
    policy: Policy | Baseline,
    nonce: bytes | None,
    now: datetime,
) -> EvidenceResult:
    """Verify evidence and hold it against a policy, or a baseline.

    1. The evidence is authentic (the TEE's own procedure).
    2. The TEE is one that is accepted, and so are machine and image.
    3. The evidence has the nonce, if there is one.

    Args:
        evidence: What the hardware signed, with what vendors say about it.
        policy: What is accepted. What a baseline does not pin is not evaluated, and
            stands in nobody's way.
        nonce: What the evidence has to have been made for, or None if that does not
            matter.
        now: For when to verify, with a time zone.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If the evidence is not authentic.
        AppraisalError: If it is authentic, but not accepted; all reasons are there.
        ValueError: If `now` has no time zone, or `nonce` is empty.
    """
    if now.utcoffset() is None:
        raise ValueError("now: expected a time with a time zone")
    if nonce == b"":
        raise ValueError("nonce: expected at least one byte")
    pinned = not isinstance(policy, Baseline)
    accepted = policy.policy if isinstance(policy, Baseline) else policy
    procedure = Procedure()
    verified = believe(evidence, procedure, now, accepted)
    tee = _tee_of(evidence)
    lines = (
        *tee.appraise(verified, accepted),
        _nonce(verified.claims, nonce),
    )
    checks = lines if pinned else tuple(_left_open(lines))
    transcript = procedure.transcript + checks
    decide(transcript)
    return EvidenceResult(
        verified=verified, transcript=transcript, verified_at=now, pinned=pinned
    )


def believe(
    evidence: Evidence, procedure: Procedure, now: datetime, policy: Policy
) -> VerifiedClaims:
    """Step 1 alone: what authentic evidence says, whoever may want it.

    Args:
        evidence: What the hardware signed, with what vendors say about it.
        procedure: Where the transcript is written.
        now: For when to verify, with a time zone.
        policy: Says which roots count.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If the evidence is not authentic.
    """
    try:
        tee = _tee_of(evidence)
        return tee.verify(evidence, procedure, now, anchors_for(evidence, policy))
    except EvidenceError as error:
        error.transcript = procedure.give_up(error)
        raise


def _tee_of(evidence: Evidence) -> Tee:
    """The kind of TEE, or GPUs, whose lines begin with whether it is accepted at all.

    Raises:
        EvidenceError: If it is none that is known.
    """
    if evidence.media_type == NVIDIA_GPU_TYPE:
        return _GPUS
    tee = tee_of(evidence.media_type)

    def appraise(verified: VerifiedClaims, policy: Policy) -> Iterator[Check]:
        yield from kind_of_tee(verified, policy)
        yield from tee.appraise(verified, policy)

    return Tee(tee.verify, appraise)


def _verify_gpus(
    evidence: Evidence, procedure: Procedure, now: datetime, anchors: Anchors
) -> VerifiedClaims:
    """GPUs by themselves: all of them answer the nonce that the first was asked with.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If a step of NVIDIA's procedure does not hold.
    """
    first, *_ = parse_evidence(evidence.evidence)
    nonce = parse_exchange(first.exchange).nonce
    gpus = nvidia.verify(evidence.evidence, nonce, procedure, now, anchors)
    claims = Claims(
        tee="nvidia-gpu",
        measurement=gpus[0].fwid,
        report_data=nonce,
        debug=False,
        details=Gpus(gpus),
        nonce=nonce,
    )
    roots = sorted((gpu.root for gpu in gpus), key=lambda root: not root.simulated)
    return VerifiedClaims(claims=claims, root=roots[0], token=TOKEN)


def _appraise_gpus(verified: VerifiedClaims, policy: Policy) -> Iterator[Check]:
    accepted = policy.nvidia_gpu
    yield judge(
        "kind of TEE",
        holds=accepted is not None,
        expected="a policy with [nvidia-gpu]",
        actual="one with it" if accepted else "one without",
        source=POLICY_SOURCE,
    )
    gpus = verified.claims.of(Gpus).gpus
    yield from nvidia.appraise(gpus, accepted or GpuPolicy())


_GPUS: Final = Tee(_verify_gpus, _appraise_gpus)


def _left_open(lines: tuple[Check, ...]) -> Iterator[Check]:
    """The lines, of which those that were not evaluated stand in nobody's way."""
    for line in lines:
        unknown = line.status is Status.NOT_EVALUATED
        yield replace(line, required=False) if unknown else line


def _nonce(claims: Claims, nonce: bytes | None) -> Check:
    """Step 3: in the evidence's own field, or in what the attester bound.

    Report data is as long as the hardware has it; a shorter nonce fills it up with
    zeros.
    """
    there = claims.report_data if claims.nonce is None else claims.nonce
    what = "report data" if claims.nonce is None else "its nonce"
    if nonce is None:
        return unevaluated(
            "nonce",
            reason="none was given to compare",
            actual=f"{what}: {there.hex() or 'empty'}",
            source=NONCE_SOURCE,
        )
    expected = nonce.ljust(len(there), b"\x00")
    return judge(
        "nonce",
        holds=hmac.compare_digest(there, expected),
        expected=f"{what}: {expected.hex()}",
        actual=there.hex() or "empty",
        source=NONCE_SOURCE,
    )
