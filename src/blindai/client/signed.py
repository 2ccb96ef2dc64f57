"""Answers that were signed: saved, loaded and validated as the original client did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from blindai import proofs
from blindai.client.policies import choose_policy, warn_of_worthless
from blindai.client.proof import write_file
from blindai.errors import ConfigurationError, ProofError
from blindai.protocol.proof_file import Opening, encode_proof_file

if TYPE_CHECKING:
    from datetime import datetime
    from os import PathLike

    from blindai.client.proof import Proof
    from blindai.proofs import Expected, ProofResult
    from blindai.verifier import Policy


class SignedResponse:
    """What answers that may be signed have in common."""

    __slots__ = ()

    proof: Proof | None

    def is_signed(self) -> bool:
        """Whether a proof came with it."""
        return self.proof is not None

    def is_simulation_mode(self) -> bool:
        """Whether the proof's evidence calls itself simulated: it proves nothing.

        Raises:
            ConfigurationError: If it is not signed.
        """
        return self._proof().is_simulation_mode()

    def save_to_file(self, path: str | PathLike[str]) -> None:
        """Write it to a file, with its proof: outputs and salt too, no inputs.

        Raises:
            ConfigurationError: If it is not signed, or the file cannot be written.
        """
        write_file(path, self.as_bytes())

    def as_bytes(self) -> bytes:
        """What `save_to_file` writes.

        Raises:
            ConfigurationError: If it is not signed.
        """
        file = self._proof().file
        opening = file.opening
        if opening is not None:
            bare = tuple(replace(each, tensor=None) for each in opening.inputs)
            opening = Opening(opening.salt, bare, opening.outputs)
        return encode_proof_file(replace(file, opening=opening))

    def _proof(self) -> Proof:
        if self.proof is None:
            raise ConfigurationError("response: expected it signed (sign=True)")
        return self.proof


def validate(  # noqa: PLR0913  one argument a choice of the user's
    proof: Proof | None,
    expected: Expected,
    *,
    policy: Policy | str | PathLike[str] | None,
    simulation: bool,
    at: datetime | None,
    validate_quote: bool,
    enclave_signing_key: bytes | None,
) -> ProofResult:
    """Verify a signed answer; see `PredictResponse.validate`.

    Raises:
        ProofError: If it is not signed, or about something else.
        ConfigurationError: If there is no policy, or a key beside one.
    """
    if proof is None:
        raise ProofError("response: expected it signed, got no proof")
    if not validate_quote:
        if enclave_signing_key is None:
            raise ConfigurationError(
                "validate_quote: expected enclave_signing_key beside False, got none"
            )
        return proofs.verify_with_key(proof.file, enclave_signing_key, expected)
    if enclave_signing_key is not None:
        raise ConfigurationError(
            "enclave_signing_key: expected validate_quote=False beside it, got True"
        )
    chosen = choose_policy(policy, simulation=simulation)
    result = proofs.verify(proof.file, policy=chosen, at=at, expected=expected)
    warn_of_worthless(result)
    return result
