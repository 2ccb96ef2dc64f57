"""Verifying a proof: from what one holds, down to the hardware's root.

1. The proof is signed by the keyset's proof key (`believe`).
2. It names this keyset and its configuration, and a time at which the keyset counted.
3. Tensors that are there, and what the reader expects, are what it commits to.
4. The keyset is an enclave's that the reader's policy accepts (`verifier.verify`), as
   of the proof's own date or another.

Nothing is believed before the last step; the steps before it only compare bytes.
"""

from __future__ import annotations

import hmac
from dataclasses import InitVar, dataclass, field, replace
from typing import TYPE_CHECKING, Final

from blindai import verifier
from blindai.errors import (
    AttestationError,
    EvidenceError,
    VerificationError,
)
from blindai.proofs.contents import ANYTHING, require_contents
from blindai.proofs.lines import SOURCE, require
from blindai.protocol import cose, keyset
from blindai.protocol.attestation import encode_attestation
from blindai.protocol.proof import KIND, parse_claims
from blindai.verifier.appraisal import decide
from blindai.verifier.procedure import Procedure, unevaluated

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.proofs.contents import Expected
    from blindai.protocol.attestation import Endorsement
    from blindai.protocol.keyset import Keyset
    from blindai.protocol.proof import Claims
    from blindai.protocol.proof_file import ProofFile
    from blindai.transcript import Transcript
    from blindai.verifier import AttestationResult, Policy

_TOKEN: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofResult:
    """A proof that holds.

    Attributes:
        claims: What the enclave signed.
        attestation: Why it is believed to be one; None where the reader trusted a key
            instead (`verify_with_key`).
        transcript: Each check, in order.
        as_of: For when all of it holds.
    """

    claims: Claims
    attestation: AttestationResult | None
    transcript: Transcript = field(repr=False)
    as_of: datetime
    token: InitVar[object]

    def __post_init__(self, token: object) -> None:
        """Only this module makes it, as only the verifier makes its results.

        Raises:
            TypeError: If something else does.
        """
        if token is not _TOKEN:
            raise TypeError("only blindai.proofs makes this; call proofs.verify()")

    @property
    def simulated(self) -> bool:
        """Whether the enclave was none: its keys are public, and it proves nothing."""
        return self.attestation is not None and self.attestation.simulated


def verify(
    file: ProofFile,
    *,
    policy: Policy,
    at: datetime | None = None,
    expected: Expected = ANYTHING,
    endorsements: tuple[Endorsement, ...] = (),
) -> ProofResult:
    """Verify a proof under a policy.

    Args:
        file: The proof, and what goes with it.
        policy: Which enclaves the reader accepts.
        at: For when to verify, with a time zone; as of the proof's own date if None.
        expected: What the reader knows already.
        endorsements: What the reader has itself, in place of what says the same in the
            file.

    Raises:
        EvidenceError: If something is malformed.
        ProofError: If the proof, or what is beside it, is not authentic, or is about
            something else.
        AttestationError: If the policy does not accept the enclave, as
            `verifier.verify` raises it.
        UncheckedError: If something is expected that this file cannot show.
    """
    procedure = Procedure()
    attested = _keyset(file, procedure)
    digest = keyset.digest(file.attestation.keyset)
    claims = believe(file.proof, attested, digest, procedure)
    require_contents(file, claims, expected, procedure)
    as_of = at or _own_date(claims, attested)
    try:
        result = verifier.verify(
            encode_attestation(file.attestation),
            nonce=file.nonce,
            policy=policy,
            now=as_of,
            endorsements=endorsements,
        )
    except AttestationError as error:
        error.transcript = _joined(procedure, error.transcript)
        raise
    transcript = _joined(procedure, result.transcript)
    decide(transcript)
    return ProofResult(
        claims=claims,
        attestation=result,
        transcript=transcript,
        as_of=as_of,
        token=_TOKEN,
    )


def own_date(file: ProofFile) -> datetime:
    """The date that a proof has of itself; nobody vouches for it yet.

    Keys open requests for a while after clients stop sealing to them, so it may be
    later than the keyset's last second; that one counts then.

    Raises:
        EvidenceError: If something is malformed.
    """
    claims = parse_claims(cose.parse(file.proof, KIND).payload)
    return _own_date(claims, keyset.parse_keyset(file.attestation.keyset))


def _own_date(claims: Claims, attested: Keyset) -> datetime:
    return min(claims.issued_at, attested.not_after)


def verify_with_key(
    file: ProofFile, key: bytes, expected: Expected = ANYTHING
) -> ProofResult:
    """Verify a proof by a proof key that the reader trusts already.

    Args:
        file: The proof; its evidence is not looked at.
        key: The enclave's Ed25519 public key, 32 bytes.
        expected: What the reader knows already.

    Raises:
        EvidenceError: If something is malformed.
        ProofError: If the key did not sign the proof, or it is about something else.
        UncheckedError: If something is expected that this file cannot show.
    """
    procedure = Procedure()
    attested = replace(_keyset(file, procedure), proof_key=key)
    digest = keyset.digest(file.attestation.keyset)
    claims = believe(file.proof, attested, digest, procedure)
    require_contents(file, claims, expected, procedure)
    procedure.note(
        unevaluated(
            "enclave",
            reason="the proof key was trusted instead",
            actual=key.hex(),
            source=SOURCE,
        )
    )
    decide(procedure.transcript)
    return ProofResult(
        claims=claims,
        attestation=None,
        transcript=procedure.transcript,
        as_of=claims.issued_at,
        token=_TOKEN,
    )


def believe(
    proof: bytes, attested: Keyset, digest: bytes, procedure: Procedure | None = None
) -> Claims:
    """Steps 1 and 2: what a keyset's proof key signed.

    Args:
        proof: The COSE_Sign1.
        attested: The keyset; whether an enclave has it is another question.
        digest: The keyset's, 32 bytes.
        procedure: Where the transcript is written, if anybody wants it.

    Raises:
        EvidenceError: If the proof is malformed.
        ProofError: If it is not signed by this keyset's key, or names another.
    """
    try:
        signed = cose.parse(proof, KIND)
        _verify_signature(signed, attested.proof_key, procedure)
        claims = parse_claims(signed.payload)
    except EvidenceError as error:
        error.transcript = (procedure or Procedure()).give_up(error)
        raise
    require(
        procedure,
        "proof keyset",
        holds=hmac.compare_digest(claims.keyset_digest, digest),
        expected=f"this one, {digest.hex()}",
        actual=claims.keyset_digest.hex(),
    )
    configured = attested.config_digest
    require(
        procedure,
        "proof configuration",
        holds=hmac.compare_digest(claims.config_digest, configured),
        expected=f"the keyset's, {configured.hex()}",
        actual=claims.config_digest.hex(),
    )
    require(
        procedure,
        "proof time",
        holds=claims.issued_at >= attested.not_before,
        expected=f"from {attested.not_before.isoformat()}, by the host's clock",
        actual=claims.issued_at.isoformat(),
    )
    return claims


def _keyset(file: ProofFile, procedure: Procedure) -> Keyset:
    try:
        return keyset.parse_keyset(file.attestation.keyset)
    except EvidenceError as error:
        error.transcript = procedure.give_up(error)
        raise


def _verify_signature(
    signed: cose.Signed, key: bytes, procedure: Procedure | None
) -> None:
    try:
        signed.verify(key)
    except VerificationError:
        holds = False
    else:
        holds = True
    require(
        procedure,
        "proof signature",
        holds=holds,
        expected=f"Ed25519, by the keyset's proof key {key.hex()}",
        actual="that" if holds else "of another key, or over other claims",
    )


def _joined(procedure: Procedure, transcript: Transcript | None) -> Transcript:
    return procedure.transcript + (transcript.checks if transcript else ())
