"""What `blindai proof disclose` does: writes a proof that reveals some tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindai.cli import console
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
        BlindAIError: If the file has not what is to be revealed.
    """
    disclosed = load(path).disclose(inputs=inputs, outputs=outputs)
    disclosed.save_to_file(to)
    if as_json:
        console.print_json(
            {"file": str(to), "inputs": list(inputs), "outputs": list(outputs)}
        )
        return
    named = printable(", ".join([*inputs, *outputs]))
    console.out().print(f"{to} reveals {named}, and no other tensor", soft_wrap=True)
