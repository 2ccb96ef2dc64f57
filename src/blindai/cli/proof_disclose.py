"""What `blindai proof disclose` does: writes a proof that reveals some tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindai.cli import console
from blindai.cli.exits import CommandError
from blindai.cli.proof_input import load
from blindai.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def run(
    path: Path,
    to: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    as_json: bool,
) -> None:
    """Write the disclosure, and say what it reveals.

    Raises:
        CommandError: If it would take the place of the file that has all of them.
        BlindAIError: If the file has not what is to be revealed.
    """
    disclosed = load(path).disclose(inputs=inputs, outputs=outputs)
    if to.exists() and to.samefile(path):
        raise CommandError(
            f"--to: expected another file than {path.name}, got the same",
            "Keep it: what is written has neither its salt nor its other tensors.",
        )
    disclosed.save_to_file(to)
    inputs, outputs = (list(dict.fromkeys(names)) for names in (inputs, outputs))
    if as_json:
        console.print_json({"file": str(to), "inputs": inputs, "outputs": outputs})
        return
    named = printable(", ".join([*inputs, *outputs]))
    console.out().print(f"{to} reveals {named}, and no other tensor", soft_wrap=True)
