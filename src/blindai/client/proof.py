"""A proof in the user's hands: what an enclave signed, in a file that verifies alone.

    response = client.predict("resnet18", image, sign=True)
    response.proof.save_to_file("run.proof")
    ...
    blindai.Proof.load_from_file("run.proof").verify(policy="policy.toml")

docs/proofs.md says what it means and what it does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from blindai import proofs
from blindai.client.policies import choose_policy, warn_of_worthless
from blindai.errors import ConfigurationError, reason
from blindai.protocol import cose
from blindai.protocol import proof as protocol
from blindai.protocol.attestation import SIMULATED_SEV_SNP_REPORT_TYPE
from blindai.protocol.commitments import Side, disclose
from blindai.protocol.proof_file import (
    MAX_FILE_BYTES,
    Described,
    Opening,
    ProofFile,
    encode_proof_file,
    parse_proof_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from os import PathLike

    from blindai.proofs import Expected, ProofResult
    from blindai.protocol.proof import Claims
    from blindai.protocol.tensor import Tensor
    from blindai.verifier import Policy


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """What an enclave signed, and what it takes to verify it.

    One that came with a response was verified as it came. One from a file was not:
    nothing in it is believed before `verify`.

    Attributes:
        file: All of it that is here.
    """

    file: ProofFile

    @classmethod
    def load_from_file(cls, path: str | PathLike[str]) -> Self:
        """Read a proof file; nothing in it is believed for that.

        Raises:
            ConfigurationError: If it cannot be read.
            EvidenceError: If it is no proof file.
        """
        return cls.load_from_bytes(read_file(path))

    @classmethod
    def load_from_bytes(cls, data: bytes) -> Self:
        """As `load_from_file`, from the file's bytes.

        Raises:
            EvidenceError: If they are no proof file's.
        """
        return cls(parse_proof_file(data))

    @property
    def claims(self) -> Claims:
        """What was signed.

        Raises:
            EvidenceError: If it is malformed.
        """
        signed = cose.parse(self.file.proof, protocol.KIND)
        return protocol.parse_claims(signed.payload)

    @property
    def digest(self) -> bytes:
        """By what the enclave's next proof names this one, 32 bytes."""
        return protocol.digest(self.file.proof)

    def is_simulation_mode(self) -> bool:
        """Whether the evidence calls itself simulated: then it proves nothing."""
        kind = self.file.attestation.evidence.media_type
        return kind == SIMULATED_SEV_SNP_REPORT_TYPE

    def as_bytes(self, *, salts: bool = False, tensors: bool = False) -> bytes:
        """The proof file.

        Args:
            salts: Whether it holds the salt, so that whoever has the tensors can hold
                them against it, and whoever guesses them too.
            tensors: Whether it holds the tensors that are here, and the salt.

        Raises:
            ConfigurationError: If there is no salt here.
        """
        if not (salts or tensors):
            return encode_proof_file(replace(self.file, opening=None))
        opening = self._opening()
        if not tensors:
            opening = Opening(
                opening.salt, _bare(opening.inputs), _bare(opening.outputs)
            )
        return encode_proof_file(replace(self.file, opening=opening))

    def save_to_file(
        self, path: str | PathLike[str], *, salts: bool = False, tensors: bool = False
    ) -> None:
        """Write the proof file; see `as_bytes`.

        Raises:
            ConfigurationError: If it cannot be written, or there is no salt here.
        """
        write_file(path, self.as_bytes(salts=salts, tensors=tensors))

    def disclose(
        self, *, inputs: Sequence[str] = (), outputs: Sequence[str] = ()
    ) -> Proof:
        """A proof that reveals these tensors, and shows that they belong to it.

        It has no salt, so it says of the others only how many there are.

        Args:
            inputs: Names of inputs.
            outputs: Names of outputs.

        Raises:
            ConfigurationError: If salt or tensors are not here, or none is named.
            ProofError: If a tensor was changed since.
        """
        if not (inputs or outputs):
            raise ConfigurationError("disclose: expected names of tensors, got none")
        opening = self._opening()
        disclosures = tuple(
            found
            for side, described, names in (
                (Side.INPUT, opening.inputs, inputs),
                (Side.OUTPUT, opening.outputs, outputs),
            )
            for found in _disclosures(opening.salt, side, described, names)
        )
        file = replace(self.file, opening=None, disclosures=disclosures)
        proofs.require_disclosures(file)
        return Proof(file)

    def verify(
        self,
        *,
        policy: Policy | str | PathLike[str] | None = None,
        simulation: bool = False,
        at: datetime | None = None,
        expected: Expected | None = None,
    ) -> ProofResult:
        """Verify it offline.

        Args:
            policy: Which enclaves to accept: a policy or a policy file; BLINDAI_POLICY
                if not given.
            simulation: Accept a simulated enclave, which proves nothing.
            at: For when, with a time zone; as of the proof's own date if not given.
            expected: What it has to be about.

        Raises:
            ConfigurationError: If there is no policy.
            EvidenceError: If something is malformed.
            ProofError: If it is not authentic, or about something else.
            AttestationError: If the policy does not accept the enclave.
        """
        result = proofs.verify(
            self.file,
            policy=choose_policy(policy, simulation=simulation),
            at=at,
            expected=expected or proofs.ANYTHING,
        )
        warn_of_worthless(result)
        return result

    def _opening(self) -> Opening:
        if self.file.opening is None:
            raise ConfigurationError(
                "proof: expected it with its salt (save_to_file(..., salts=True) or"
                " tensors=True), got it without"
            )
        return self.file.opening


def _bare(described: Iterable[Described]) -> tuple[Described, ...]:
    return tuple(replace(each, tensor=None) for each in described)


def _disclosures(
    salt: bytes, side: Side, described: Sequence[Described], names: Sequence[str]
) -> Iterable[proofs.Disclosure]:
    """The tensors of one side that are named, opened.

    Raises:
        ConfigurationError: If one is not here.
    """
    tensors: list[Tensor] = [each.tensor for each in described if each.tensor]
    for name in dict.fromkeys(names):
        whole = len(tensors) == len(described)
        found = disclose(salt, side, tensors, name) if whole else None
        if found is None:
            here = ", ".join(each.name for each in tensors) if whole else "none"
            raise ConfigurationError(
                f"disclose: expected one of the tensors that are here ({here}),"
                f" got {name!r}"
            )
        yield found


def read_file(path: str | PathLike[str]) -> bytes:
    """A file's bytes, one more than the limit at most.

    Raises:
        ConfigurationError: If it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"proof {path}: cannot be read: {reason(error)}"
        ) from error


def write_file(path: str | PathLike[str], data: bytes) -> None:
    """Write a file.

    Raises:
        ConfigurationError: If it cannot be written.
    """
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise ConfigurationError(
            f"proof {path}: cannot be written: {reason(error)}"
        ) from error
