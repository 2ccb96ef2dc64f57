"""Proofs as they come with answers: verified at once, and kept with what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindai import proofs
from blindai.client.proof import Proof
from blindai.errors import ProofError
from blindai.proofs import Expected
from blindai.protocol import byte_field
from blindai.protocol.commitments import SALT_BYTES
from blindai.protocol.names import PROOF_HEADER, PROOF_SALT_HEADER, PROVE_HEADER
from blindai.protocol.proof import Purpose
from blindai.protocol.proof_file import Described, Opening, ProofFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from blindai.client.session import Session
    from blindai.protocol.tensor import Tensor


def asking(salt: bytes | None) -> dict[str, str]:
    """The fields that ask for a proof; none where there is no salt."""
    return {} if salt is None else {PROVE_HEADER: byte_field.encode(salt)}


def prediction_proof(
    headers: Mapping[str, str],
    session: Session | None,
    salt: bytes | None,
    *,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    model_digest: str,
) -> Proof | None:
    """The proof of a run; None where none was asked for and none came.

    Args:
        headers: Of the answer, by lower-case name.
        session: What the request was sealed to.
        salt: What asked for it, 32 bytes; None if nothing did.
        inputs: What was sent.
        outputs: What came back.
        model_digest: What ran, as the answer says, 64 hexadecimal digits.

    Raises:
        ProofError: If it is missing, or of something else.
        EvidenceError: If it is malformed.
        ProtocolError: If a field is.
    """
    found = _proof(headers, session, asked=salt is not None)
    if found is None:
        return None
    proof, session = found
    if salt is None:
        text = headers.get(PROOF_SALT_HEADER, "")
        salt = byte_field.parse(text, PROOF_SALT_HEADER, SALT_BYTES)
    expected = Expected(
        purpose=Purpose.PREDICT,
        model_digest=bytes.fromhex(model_digest),
        inputs=inputs,
        outputs=outputs,
    )
    _verify(proof, session, salt, expected)
    opening = Opening(
        salt,
        tuple(Described.of(each, whole=True) for each in inputs),
        tuple(Described.of(each, whole=True) for each in outputs),
    )
    return _keep(proof, session, opening)


def upload_proof(
    headers: Mapping[str, str],
    session: Session | None,
    nonce: bytes | None,
    *,
    model_name: str,
    model_digest: str,
) -> Proof | None:
    """The proof of an upload; as `prediction_proof`.

    Raises:
        ProofError: If it is missing, or of something else.
        EvidenceError: If it is malformed.
        ProtocolError: If the field is.
    """
    found = _proof(headers, session, asked=nonce is not None)
    if found is None:
        return None
    proof, session = found
    expected = Expected(
        purpose=Purpose.UPLOAD,
        model_name=model_name,
        model_digest=bytes.fromhex(model_digest),
        nonce=nonce,
    )
    _verify(proof, session, None, expected)
    return _keep(proof, session, None)


def _proof(
    headers: Mapping[str, str], session: Session | None, *, asked: bool
) -> tuple[bytes, Session] | None:
    text = headers.get(PROOF_HEADER)
    if text is None or session is None:
        if asked:
            raise ProofError("proof: expected one with the answer, got none")
        return None
    return byte_field.parse(text, PROOF_HEADER), session


def _verify(
    proof: bytes, session: Session, salt: bytes | None, expected: Expected
) -> None:
    """Hold a proof to the keyset that was verified, and to what was sent and came."""
    result = session.result
    claims = proofs.believe(proof, result.keyset, result.statement.keyset_digest)
    proofs.require_expected(claims, salt, expected)


def _keep(proof: bytes, session: Session, opening: Opening | None) -> Proof:
    return Proof(
        ProofFile(
            proof=proof,
            attestation=session.attestation,
            nonce=session.result.statement.nonce,
            opening=opening,
        )
    )
