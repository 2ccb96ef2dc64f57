"""From a command's options to a proof, its salt, and tensors: files are read here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindai.cli import tensor_files
from blindai.cli.exits import CommandError, EvidenceFileError
from blindai.cli.legacy_proof import LegacyProof, is_proof, parse_legacy_proof
from blindai.cli.lookalikes import given_for_proof
from blindai.client.inputs import as_tensors
from blindai.client.proof import Proof, read_file
from blindai.client.results import TensorSpec
from blindai.errors import EvidenceError, TensorError

if TYPE_CHECKING:
    from pathlib import Path

    from blindai.protocol.proof_file import Opening
    from blindai.protocol.tensor import Tensor

_USUAL = (
    "Give a file that `save_to_file` or `blindai predict --proof` wrote, whole and"
    " unchanged."
)


def load_any(path: Path) -> Proof | LegacyProof:
    """A proof of ours, or of the original BlindAI.

    Raises:
        EvidenceFileError: If it is neither.
        ConfigurationError: If the file cannot be read.
    """
    data = read_file(path)
    try:
        return parse_legacy_proof(data) if is_proof(data) else _ours(data)
    except EvidenceError as error:
        raise EvidenceFileError(*_mistaken(path, data, error)) from error


def load(path: Path) -> Proof:
    """A proof of ours.

    Raises:
        CommandError: If it is one of the original BlindAI.
        EvidenceFileError: If it is none.
        ConfigurationError: If the file cannot be read.
    """
    found = load_any(path)
    if isinstance(found, LegacyProof):
        raise CommandError(
            f"{path.name}: expected a proof of this release, got one of the original"
            " BlindAI",
            "Its files can be shown and verified: `blindai proof show`, `verify`.",
        )
    return found


def load_expected(path: Path | None, proof: Proof) -> tuple[Tensor, ...] | None:
    """The inputs of a file, named and typed as the proof's; None where none is named.

    Where the proof file has no salt, nothing is read: nothing can be compared.

    Raises:
        CommandError: If they are not of the names and types that were sent.
        ConfigurationError: If the file cannot be read.
    """
    if path is None:
        return None
    opening = proof.file.opening
    return () if opening is None else load_inputs(path, opening)


def load_inputs(path: Path, opening: Opening) -> tuple[Tensor, ...]:
    """The inputs of a file, named and typed as those of a proof.

    Raises:
        CommandError: If they are not of the names and types that were sent.
        ConfigurationError: If the file cannot be read.
    """
    specs = [
        TensorSpec(each.name, each.datatype, each.shape) for each in opening.inputs
    ]
    try:
        return as_tensors(tensor_files.load_inputs(path), specs)
    except TensorError as error:
        raise CommandError(
            f"{path.name}: {error.message}",
            "See names, types and shapes with `blindai proof show`.",
        ) from error


def _ours(data: bytes) -> Proof:
    proof = Proof.load_from_bytes(data)
    _ = proof.claims  # what cannot be read is no proof
    return proof


def _mistaken(path: Path, data: bytes, error: EvidenceError) -> tuple[str, str]:
    """What was wrong with a file, and what to do."""
    found = given_for_proof(data)
    if found is None:
        return f"{path.name}: {error.message}", _USUAL
    return f"{path.name}: {error.message}; it looks like {found.words}", found.advice
