"""Lines of a proof's transcript: the first that does not hold refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.errors import ProofError
from blindai.transcript import Transcript
from blindai.verifier.procedure import judge

if TYPE_CHECKING:
    from blindai.verifier.procedure import Procedure

SOURCE: Final = "blindai docs/proofs.md"


def require(
    procedure: Procedure | None, name: str, *, holds: bool, expected: str, actual: str
) -> None:
    """Go on only if something holds, and write a line about it.

    Args:
        procedure: Where the transcript is written; None where nobody wants it, as with
            each answer that comes: writing takes longer than comparing.
        name: What is looked at.
        holds: Whether it is as it has to be.
        expected: How it has to be.
        actual: How it is.

    Raises:
        ProofError: If it does not hold, with the transcript up to this line.
    """
    if holds and procedure is None:
        return
    line = judge(name, holds=holds, expected=expected, actual=actual, source=SOURCE)
    if procedure is not None:
        procedure.note(line)
    if not line.holds:
        lines = Transcript((line,)) if procedure is None else procedure.transcript
        raise ProofError(str(line), transcript=lines)
