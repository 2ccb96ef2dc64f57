"""Whether a genuine enclave is one that the relying party accepts, and meant for it.

Appraisal writes all its lines, in the order of the procedure, and then decides: the
error of a refusal names every line that does not hold.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindai.errors import AppraisalError, UncheckedError
from blindai.transcript import Status
from blindai.verifier import nvidia
from blindai.verifier.procedure import KEYSET_SOURCE, current, judge, pinned
from blindai.verifier.result import TOKEN, AttestationResult
from blindai.verifier.roots import SIMULATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from blindai.protocol.keyset import Keyset, Purpose, Statement
    from blindai.transcript import Check, Transcript
    from blindai.verifier.nvidia.claims import GpuClaims
    from blindai.verifier.policy import Policy
    from blindai.verifier.result import VerifiedClaims
    from blindai.verifier.roots import Root

POLICY_SOURCE = "blindai design: appraisal policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What the relying party asks for.

    Attributes:
        nonce: Its 32 random bytes, or None if the policy's age has to do.
        purpose: What the evidence has to be for.
        now: For when to decide, with a time zone.
        policy: What it accepts.
    """

    nonce: bytes | None = field(repr=False)
    purpose: Purpose
    now: datetime
    policy: Policy


@dataclass(frozen=True, slots=True)
class Bound:
    """What the evidence binds, authentic because the hardware signed its digest.

    Attributes:
        keyset: The enclave's keys.
        statement: What binds them.
        gpus: What the GPUs that the statement names say of themselves.
    """

    keyset: Keyset
    statement: Statement
    gpus: tuple[GpuClaims, ...] = ()


def appraise(
    verified: VerifiedClaims,
    bound: Bound,
    challenge: Challenge,
    verification: Transcript,
    tee_lines: Callable[[VerifiedClaims, Policy], Iterator[Check]],
) -> AttestationResult:
    """Hold a genuine enclave against the policy.

    1. The TEE is one that the policy accepts, simulated or not.
    2. Machine and image are what it accepts (`tee_lines`).
    3. So are the GPUs, if it asks for them.
    4. The statement answers this challenge.
    5. The keyset is valid, and of a configuration and release that it accepts.

    Args:
        verified: What the enclave's evidence says.
        bound: What the evidence binds.
        challenge: What the relying party asks for.
        verification: The transcript so far.
        tee_lines: The lines that only this TEE has.

    Raises:
        AppraisalError: If any line fails.
        UncheckedError: If none fails, but a required one was not evaluated.
    """
    policy = challenge.policy
    lines = (
        *kind_of_tee(verified, policy),
        *tee_lines(verified, policy),
        *_gpus(bound.gpus, policy),
        *_statement(bound, challenge),
        *_keyset(bound.keyset, challenge),
    )
    transcript = verification + lines
    decide(transcript)
    return AttestationResult(
        claims=verified.claims,
        keyset=bound.keyset,
        statement=bound.statement,
        gpus=bound.gpus,
        transcript=transcript,
        verified_at=challenge.now,
        policy=policy,
        simulated=any(root.simulated for root in _roots(verified, bound)),
        token=TOKEN,
    )


def decide(transcript: Transcript) -> None:
    """Refuse where a line stands in the way.

    Raises:
        AppraisalError: If any line fails.
        UncheckedError: If none fails, but a required one was not evaluated.
    """
    refusals = transcript.refusals
    if any(check.status is Status.FAILED for check in refusals):
        raise AppraisalError(transcript)
    if refusals:
        raise UncheckedError(transcript)


def kind_of_tee(verified: VerifiedClaims, policy: Policy) -> Iterator[Check]:
    """Whether this kind of TEE, simulated or not, is one that the policy accepts."""
    root, tee = verified.root, verified.claims.tee
    simulation = root in SIMULATION.roots
    accepted = policy.insecure_accept_simulation
    yield judge(
        "simulated TEE",
        holds=accepted or not simulation,
        expected="genuine hardware" + (" or the simulation" if accepted else ""),
        actual=_kind(root),
        source=POLICY_SOURCE,
    )
    yield judge(
        "kind of TEE",
        holds=simulation or policy.accepts(tee),
        expected=" or ".join(policy.tees) or "the simulation only",
        actual=f"simulated {tee}" if simulation else tee,
        source=POLICY_SOURCE,
    )


def _gpus(gpus: tuple[GpuClaims, ...], policy: Policy) -> Iterator[Check]:
    if policy.nvidia_gpu is not None:
        yield from nvidia.appraise(gpus, policy.nvidia_gpu)


def _roots(verified: VerifiedClaims, bound: Bound) -> tuple[Root, ...]:
    """All roots that the result rests on."""
    return (verified.root, *(gpu.root for gpu in bound.gpus))


def _kind(root: Root) -> str:
    if root in SIMULATION.roots:
        return "the openly insecure simulation"
    return "made-up hardware, by the policy" if root.simulated else "genuine hardware"


def _statement(bound: Bound, challenge: Challenge) -> Iterator[Check]:
    yield judge(
        "purpose",
        holds=bound.statement.purpose is challenge.purpose,
        expected=challenge.purpose.value,
        actual=bound.statement.purpose.value,
        source=KEYSET_SOURCE,
    )
    yield _freshness(bound, challenge)


def _freshness(bound: Bound, challenge: Challenge) -> Check:
    """The nonce dates the evidence; without one, the keyset's first second does."""
    if challenge.nonce is not None:
        holds = hmac.compare_digest(bound.statement.nonce or b"", challenge.nonce)
        return judge(
            "nonce",
            holds=holds,
            expected="the one that was sent",
            actual="that" if holds else "another or none",
            source=KEYSET_SOURCE,
        )
    limit = challenge.policy.evidence.max_age_s
    age = challenge.now - bound.keyset.not_before
    return judge(
        "age of the keyset",
        holds=limit is not None and age.total_seconds() <= limit,
        expected="a nonce instead" if limit is None else f"at most {limit} s",
        actual=f"{int(age.total_seconds())} s and no nonce",
        source=POLICY_SOURCE,
    )


def _keyset(keyset: Keyset, challenge: Challenge) -> Iterator[Check]:
    yield current(
        "keyset validity",
        first=keyset.not_before,
        last=keyset.not_after,
        now=challenge.now,
        source=KEYSET_SOURCE,
    )
    accepted = challenge.policy.enclave
    pins = tuple(pin.hex() for pin in accepted.config_digests)
    digest = keyset.config_digest.hex()
    yield pinned("configuration digest", pins, digest, source=KEYSET_SOURCE)
    builds, build = tuple(map(ascii, accepted.builds)), ascii(keyset.build)
    yield pinned("build", builds, build, source=KEYSET_SOURCE)
