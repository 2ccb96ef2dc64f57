"""What a proof is about: the tensors beside it, and what its reader expects."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from blindai.errors import VerificationError
from blindai.proofs.lines import SOURCE, require
from blindai.protocol import cose
from blindai.protocol.commitments import Side, commit
from blindai.protocol.proof import KIND, parse_claims
from blindai.verifier.procedure import Procedure, unevaluated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.protocol.commitments import Commitment, Disclosure
    from blindai.protocol.proof import Claims, Purpose, Run
    from blindai.protocol.proof_file import Described, Opening, ProofFile
    from blindai.protocol.tensor import Tensor
    from blindai.transcript import Check


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
        require(
            procedure,
            "proof purpose",
            holds=claims.purpose is expected.purpose,
            expected=expected.purpose.value,
            actual=claims.purpose.value,
        )
    if expected.model_name is not None:
        require(
            procedure,
            "proof model name",
            holds=claims.model.name == expected.model_name,
            expected=ascii(expected.model_name),
            actual=ascii(claims.model.name),
        )
    if expected.model_digest is not None:
        require(
            procedure,
            "proof model digest",
            holds=hmac.compare_digest(claims.model.digest, expected.model_digest),
            expected=expected.model_digest.hex(),
            actual=claims.model.digest.hex(),
        )
    if expected.nonce is not None:
        require(
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


def require_contents(
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
    require(
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
    name = f"disclosed {disclosure.side.name.lower()}"
    tensor = f"{disclosure.tensor.name!a}"
    if claims.run is None:
        require(
            procedure, name, holds=False, expected="none of an upload", actual=tensor
        )
        return
    run = claims.run
    committed = run.inputs if disclosure.side is Side.INPUT else run.outputs
    try:
        disclosure.verify(committed)
    except VerificationError:
        holds = False
    else:
        holds = True
    require(
        procedure,
        name,
        holds=holds,
        expected=f"one of {_words(committed)}",
        actual=f"{tensor}, {'one' if holds else 'none'} of them",
    )


def _words(commitment: Commitment) -> str:
    return f"{commitment.count} under {commitment.root.hex()}"
