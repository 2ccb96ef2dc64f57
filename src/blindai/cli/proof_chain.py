"""What `blindai proof chain` does: verifies proofs, and puts them in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from blindai import proofs
from blindai.cli import console
from blindai.cli.exits import Exit
from blindai.cli.proof_input import load
from blindai.cli.proof_words import warn_of_worthless
from blindai.errors import AttestationError
from blindai.proofs import Chain, Link, ProofResult
from blindai.protocol import keyset
from blindai.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from blindai.verifier import Policy


def run(files: tuple[Path, ...], policy: Policy, *, as_json: bool) -> None:
    """Verify proofs, and print what is missing and what contradicts itself.

    Raises:
        BlindAIError: If a proof is not accepted.
        Exit: If something is missing, contradicts itself or is there twice.
    """
    found = [_verify(path, policy) for path in files]
    warn_of_worthless(result for _, result in found)
    chains = proofs.judge_chain(link for link, _ in found)
    if as_json:
        console.print_json([_fields(chain) for chain in chains])
    else:
        for chain in chains:
            _print(chain)
    code = max(map(_exit, chains), default=Exit.OK)
    if code:
        raise typer.Exit(code)


def _verify(path: Path, policy: Policy) -> tuple[Link, ProofResult]:
    proof = load(path)
    try:
        result = proofs.verify(proof.file, policy=policy)
    except AttestationError as error:
        error.message = f"{path.name}: {error.message}"
        raise
    link = Link(
        label=str(path),
        instance=keyset.parse_keyset(proof.file.attestation.keyset).instance,
        sequence=result.claims.sequence,
        digest=proof.digest,
        previous=result.claims.previous,
    )
    return link, result


def _exit(chain: Chain) -> Exit:
    """The worst that was found: a fork, then a repeat, then a gap."""
    if chain.forks:
        return Exit.FORK
    if chain.repeats:
        return Exit.REPEAT
    return Exit.GAP if chain.gaps else Exit.OK


def _verdict(chain: Chain) -> str:
    return {Exit.OK: "whole", Exit.GAP: "gaps", Exit.REPEAT: "repeats"}.get(
        _exit(chain), "fork"
    )


def _fields(chain: Chain) -> dict[str, object]:
    return {
        "instance": chain.instance.hex(),
        "verdict": _verdict(chain),
        "exit_code": int(_exit(chain)),
        "proofs": [
            {"sequence": link.sequence, "file": link.label, "digest": link.digest.hex()}
            for link in chain.links
        ],
        "gaps": [list(gap) for gap in chain.gaps],
        "forks": [list(fork) for fork in chain.forks],
        "repeats": [list(repeat) for repeat in chain.repeats],
    }


def _print(chain: Chain) -> None:
    screen = console.out()
    screen.print(f"instance {chain.instance.hex()}", style="bold")
    for link in chain.links:
        screen.print(f"{link.sequence:>6}  {printable(link.label)}", soft_wrap=True)
    for first, last in chain.gaps:
        missing = str(first) if first == last else f"{first} to {last}"
        screen.print(f"missing: {missing}", style="bold yellow")
    for one, other in chain.forks:
        words = f"contradict each other: {printable(one)} and {printable(other)}"
        screen.print(words, style="bold red", soft_wrap=True)
    for one, other in chain.repeats:
        words = f"the same proof: {printable(one)} and {printable(other)}"
        screen.print(words, style="bold yellow", soft_wrap=True)
    whole = _exit(chain) is Exit.OK
    screen.print(f"{_verdict(chain)}\n", style="bold green" if whole else "bold red")
