"""Lines of a proof's transcript: the first that does not hold refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.errors import ProofError
from blindai.verifier.procedure import judge

if TYPE_CHECKING:
    from blindai.verifier.procedure import Procedure

SOURCE: Final = "blindai docs/proofs.md"


def require(
    procedure: Procedure, name: str, *, holds: bool, expected: str, actual: str
) -> None:
    """Write a line, and go on only if it holds.

    Raises:
        ProofError: If it does not, with the transcript up to this line.
    """
    line = judge(name, holds=holds, expected=expected, actual=actual, source=SOURCE)
    procedure.note(line)
    if not line.holds:
        raise ProofError(str(line), transcript=procedure.transcript)
