"""What a proof is about: the tensors beside it, and what its reader expects."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from blindai.errors import UncheckedError, VerificationError
from blindai.proofs.lines import SOURCE, require
from blindai.protocol import cose
from blindai.protocol.commitments import Side, commit
from blindai.protocol.proof import KIND, parse_claims
from blindai.transcript import Transcript
from blindai.verifier.procedure import Procedure, unevaluated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.protocol.commitments import Commitment, Disclosure
    from blindai.protocol.proof import Claims, Purpose
    from blindai.protocol.proof_file import Described, ProofFile
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
    claims: Claims,
    salt: bytes | None,
    expected: Expected,
    procedure: Procedure | None = None,
) -> None:
    """Step 3, for what the reader expects: the proof is about that.

    Args:
        claims: What was signed.
        salt: Of the request, 32 bytes; None where it is not known.
        expected: What it has to be about.
        procedure: Where the transcript is written, if anybody wants it.

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
    _require_side(procedure, Side.INPUT, claims, salt, expected.inputs)
    _require_side(procedure, Side.OUTPUT, claims, salt, expected.outputs)


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
    salt = None
    if opening is not None:
        if claims.run is None:
            found = f"an opening beside {claims.purpose.value}"
            require(
                procedure, "proof opening", holds=False, expected="a run", actual=found
            )
        salt = opening.salt
        inputs, outputs = _whole(opening.inputs), _whole(opening.outputs)
        if expected.inputs is None:
            expected = replace(expected, inputs=inputs)
        elif inputs is not None:
            _require_side(procedure, Side.INPUT, claims, salt, inputs)
        if expected.outputs is None:
            expected = replace(expected, outputs=outputs)
        elif outputs is not None:
            _require_side(procedure, Side.OUTPUT, claims, salt, outputs)
    require_expected(claims, salt, expected, procedure)
    for each in file.disclosures:
        _require_disclosed(each, claims, procedure)


def _whole(described: Sequence[Described]) -> Sequence[Tensor] | None:
    """The tensors of a side that a file has; None where it has not their elements."""
    kept = [each.tensor for each in described if each.tensor is not None]
    return kept if len(kept) == len(described) else None  # none of none is all


def _require_side(
    procedure: Procedure | None,
    side: Side,
    claims: Claims,
    salt: bytes | None,
    tensors: Sequence[Tensor] | None,
) -> None:
    """Hold tensors of a side against the commitment to them, where there are any.

    Raises:
        ProofError: If the commitment is to others, or an upload has none.
        UncheckedError: If that cannot be told, and nobody wants the transcript.
    """
    name = f"proof {side.name.lower()}s"
    committed = _committed(claims, side)
    if committed is None:
        if tensors is not None:
            found = f"tensors beside {claims.purpose.value}"
            require(procedure, name, holds=False, expected="a run", actual=found)
        return
    if salt is None or tensors is None:
        line = _not_compared(name, committed, tensors)
        if procedure is not None:
            procedure.note(line)
        elif not line.holds:
            raise UncheckedError(Transcript((line,)))
        return
    made = commit(salt, side, tensors)
    require(
        procedure,
        name,
        holds=made == committed,
        expected=_words(committed),
        actual=_words(made),
    )


def _committed(claims: Claims, side: Side) -> Commitment | None:
    """The commitment to the tensors of a side; an upload has none."""
    if claims.run is None:
        return None
    return claims.run.inputs if side is Side.INPUT else claims.run.outputs


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
    committed = _committed(claims, disclosure.side)
    holds = committed is not None and _opens(disclosure, committed)
    require(
        procedure,
        f"disclosed {disclosure.side.name.lower()}",
        holds=holds,
        expected=f"one of {_words(committed)}" if committed else "a run",
        actual=f"{disclosure.tensor.name!a}, {'one' if holds else 'none'} of them",
    )


def _opens(disclosure: Disclosure, committed: Commitment) -> bool:
    try:
        disclosure.verify(committed)
    except VerificationError:
        return False
    return True


def _words(commitment: Commitment) -> str:
    return f"{commitment.count} under {commitment.root.hex()}"
