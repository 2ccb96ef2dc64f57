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
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from blindai import verifier
from blindai.errors import (
    AttestationError,
    EvidenceError,
    ProofError,
    VerificationError,
)
from blindai.protocol import cose, keyset
from blindai.protocol.attestation import encode_attestation
from blindai.protocol.commitments import Side, commit
from blindai.protocol.proof import KIND, Purpose, parse_claims
from blindai.transcript import Check, Status, Transcript
from blindai.verifier.appraisal import decide
from blindai.verifier.procedure import Procedure, judge, unevaluated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from blindai.protocol.attestation import Endorsement
    from blindai.protocol.commitments import Commitment, Disclosure
    from blindai.protocol.keyset import Keyset
    from blindai.protocol.proof import Claims, Run
    from blindai.protocol.proof_file import Described, Opening, ProofFile
    from blindai.protocol.tensor import Tensor
    from blindai.verifier import AttestationResult, Policy

SOURCE: Final = "blindai docs/proofs.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the reader already knows, and wants the proof to be about.

    Attributes:
        purpose: A run or an upload; either if None.
        model_name: What the model was called; anything if None.
        model_digest: SHA-256 of its file, 32 bytes; any if None.
        inputs: All that went in; whatever it was if None.
        outputs: All that came out; whatever it was if None.
        nonce: What was sent with an upload, 32 bytes; anything if None.
    """

    purpose: Purpose | None = None
    model_name: str | None = None
    model_digest: bytes | None = None
    inputs: Sequence[Tensor] | None = field(default=None, repr=False)
    outputs: Sequence[Tensor] | None = field(default=None, repr=False)
    nonce: bytes | None = field(default=None, repr=False)


ANYTHING: Final = Expected()


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
    _require_contents(file, claims, expected, procedure)
    as_of = at or min(claims.issued_at, attested.not_after)
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
        claims=claims, attestation=result, transcript=transcript, as_of=as_of
    )


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
    _require_contents(file, claims, expected, procedure)
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
    )


def believe(
    proof: bytes, attested: Keyset, digest: bytes, procedure: Procedure
) -> Claims:
    """Steps 1 and 2: what a keyset's proof key signed.

    Args:
        proof: The COSE_Sign1.
        attested: The keyset; whether an enclave has it is another question.
        digest: The keyset's, 32 bytes.
        procedure: Where the transcript is written.

    Raises:
        EvidenceError: If the proof is malformed.
        ProofError: If it is not signed by this keyset's key, or names another.
    """
    try:
        signed = cose.parse(proof, KIND)
        _verify_signature(signed, attested.proof_key, procedure)
        claims = parse_claims(signed.payload)
    except EvidenceError as error:
        error.transcript = procedure.give_up(error)
        raise
    _require(
        procedure,
        "proof keyset",
        holds=hmac.compare_digest(claims.keyset_digest, digest),
        expected=f"this one, {digest.hex()}",
        actual=claims.keyset_digest.hex(),
    )
    configured = attested.config_digest
    _require(
        procedure,
        "proof configuration",
        holds=hmac.compare_digest(claims.config_digest, configured),
        expected=f"the keyset's, {configured.hex()}",
        actual=claims.config_digest.hex(),
    )
    _require(
        procedure,
        "proof time",
        holds=claims.issued_at >= attested.not_before,
        expected=f"from {attested.not_before.isoformat()}, by the host's clock",
        actual=claims.issued_at.isoformat(),
    )
    return claims


def require_expected(
    claims: Claims, salt: bytes | None, expected: Expected, procedure: Procedure
) -> None:
    """Step 3, for what the reader expects: the proof is about that.

    Args:
        claims: What was signed.
        salt: Of the request, 32 bytes; None where it is not known.
        expected: What it has to be about.
        procedure: Where the transcript is written.

    Raises:
        ProofError: If it is about something else.
    """
    if expected.purpose is not None:
        _require(
            procedure,
            "proof purpose",
            holds=claims.purpose is expected.purpose,
            expected=expected.purpose.value,
            actual=claims.purpose.value,
        )
    if expected.model_name is not None:
        _require(
            procedure,
            "proof model name",
            holds=claims.model.name == expected.model_name,
            expected=ascii(expected.model_name),
            actual=ascii(claims.model.name),
        )
    if expected.model_digest is not None:
        _require(
            procedure,
            "proof model digest",
            holds=hmac.compare_digest(claims.model.digest, expected.model_digest),
            expected=expected.model_digest.hex(),
            actual=claims.model.digest.hex(),
        )
    if expected.nonce is not None:
        _require(
            procedure,
            "proof nonce",
            holds=hmac.compare_digest(claims.nonce or b"", expected.nonce),
            expected="the one that was sent",
            actual=(claims.nonce or b"").hex() or "none",
        )
    if claims.run is not None:
        _require_side(procedure, Side.INPUT, claims.run, salt, expected.inputs)
        _require_side(procedure, Side.OUTPUT, claims.run, salt, expected.outputs)


def require_disclosures(file: ProofFile) -> None:
    """Whether what a file discloses is what its proof commits to; nothing else.

    Raises:
        EvidenceError: If the proof is malformed.
        ProofError: If a tensor is none of those.
    """
    procedure = Procedure()
    claims = parse_claims(cose.parse(file.proof, KIND).payload)
    for each in file.disclosures:
        _require_disclosed(each, claims, procedure)


def _keyset(file: ProofFile, procedure: Procedure) -> Keyset:
    try:
        return keyset.parse_keyset(file.attestation.keyset)
    except EvidenceError as error:
        error.transcript = procedure.give_up(error)
        raise


def _verify_signature(signed: cose.Signed, key: bytes, procedure: Procedure) -> None:
    try:
        signed.verify(key)
    except VerificationError:
        holds = False
    else:
        holds = True
    _require(
        procedure,
        "proof signature",
        holds=holds,
        expected=f"Ed25519, by the keyset's proof key {key.hex()}",
        actual="that" if holds else "of another key, or over other claims",
    )


def _require_contents(
    file: ProofFile, claims: Claims, expected: Expected, procedure: Procedure
) -> None:
    """Step 3: what is expected, what is in the file, and what is disclosed.

    Raises:
        ProofError: If something is not what the proof is about.
    """
    opening = file.opening
    if opening is not None:
        expected = replace(
            expected,
            inputs=_whole(opening.inputs, expected.inputs),
            outputs=_whole(opening.outputs, expected.outputs),
        )
    _require_kept(opening, claims, expected, procedure)
    salt = None if opening is None else opening.salt
    require_expected(claims, salt, expected, procedure)
    for each in file.disclosures:
        _require_disclosed(each, claims, procedure)


def _whole(
    described: Sequence[Described], expected: Sequence[Tensor] | None
) -> Sequence[Tensor] | None:
    """What to compare: what the reader has, or what the file has if it has all."""
    if expected is not None:
        return expected
    kept = [each.tensor for each in described if each.tensor is not None]
    return kept if kept and len(kept) == len(described) else None


def _require_kept(
    opening: Opening | None, claims: Claims, expected: Expected, procedure: Procedure
) -> None:
    """Where the reader brings tensors of a side, those in the file have to hold too.

    Raises:
        ProofError: If they do not.
    """
    if opening is None or claims.run is None:
        return
    for side, described, brought in (
        (Side.INPUT, opening.inputs, expected.inputs),
        (Side.OUTPUT, opening.outputs, expected.outputs),
    ):
        kept = _whole(described, None)
        if kept is not None and kept is not brought and brought is not None:
            _require_side(procedure, side, claims.run, opening.salt, kept)


def _require_side(
    procedure: Procedure,
    side: Side,
    run: Run,
    salt: bytes | None,
    tensors: Sequence[Tensor] | None,
) -> None:
    name = "proof inputs" if side is Side.INPUT else "proof outputs"
    committed = run.inputs if side is Side.INPUT else run.outputs
    if salt is None or tensors is None:
        procedure.note(_not_compared(name, committed, tensors))
        return
    found = commit(salt, side, tensors)
    _require(
        procedure,
        name,
        holds=found == committed,
        expected=_words(committed),
        actual=_words(found),
    )


def _not_compared(
    name: str, committed: Commitment, tensors: Sequence[Tensor] | None
) -> Check:
    """A line that says why tensors were not held against the commitment to them."""
    return unevaluated(
        name,
        reason="none are there to compare"
        if tensors is None
        else "without the request's salt nothing can be compared",
        actual=_words(committed),
        source=SOURCE,
        required=tensors is not None,
    )


def _require_disclosed(
    disclosure: Disclosure, claims: Claims, procedure: Procedure
) -> None:
    run = claims.run
    word = "input" if disclosure.side is Side.INPUT else "output"
    committed = None
    if run is not None:
        committed = run.inputs if disclosure.side is Side.INPUT else run.outputs
    holds = committed is not None and disclosure.opens(committed)
    _require(
        procedure,
        f"disclosed {word}",
        holds=holds,
        expected=_words(committed) if committed else "a run of a model",
        actual=f"{disclosure.tensor.name!a}, {'one' if holds else 'none'} of them",
    )


def _words(commitment: Commitment) -> str:
    return f"{commitment.count} under {commitment.root.hex()}"


def _require(
    procedure: Procedure, name: str, *, holds: bool, expected: str, actual: str
) -> None:
    line = judge(name, holds=holds, expected=expected, actual=actual, source=SOURCE)
    procedure.note(line)
    if line.status is Status.FAILED:
        raise ProofError(str(line), transcript=procedure.transcript)


def _joined(procedure: Procedure, transcript: Transcript | None) -> Transcript:
    return procedure.transcript + (transcript.checks if transcript else ())
