"""What `blindai proof show` does: a proof in words, without believing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from blindai.cli import console, words
from blindai.cli.evidence_files import tee_of
from blindai.cli.legacy_proof import LegacyProof
from blindai.cli.proof_input import load_any
from blindai.cli.proof_words import claims_json, claims_rows, describe
from blindai.client.output import Tensor
from blindai.protocol import keyset
from blindai.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from blindai.client.proof import Proof
    from blindai.protocol.proof import Claims
    from blindai.protocol.proof_file import Described

UNBELIEVED = "Nothing below was verified: anybody can write such a file."


def run(path: Path, *, as_json: bool) -> None:
    """Print what a proof says.

    Raises:
        BlindAIError: If it cannot be read.
    """
    proof = load_any(path)
    said = proof if isinstance(proof, LegacyProof) else proof.claims
    beside = dict(_beside(proof))
    if as_json:
        console.print_json(
            {
                "believed": False,
                "file": str(path),
                "kind": _kind(proof),
                "claims": claims_json(said),
                "beside": beside,
            }
        )
        return
    console.out().print(UNBELIEVED, style="bold red")
    _print(f"{path}: {_kind(proof)}", said, beside)


def _kind(proof: Proof | LegacyProof) -> str:
    if isinstance(proof, LegacyProof):
        return f"proof of the original BlindAI: {proof.kind}"
    return f"proof: {proof.claims.purpose.value}"


def _beside(proof: Proof | LegacyProof) -> Iterator[tuple[str, str]]:
    """What goes with the claims, in a few words each."""
    if isinstance(proof, LegacyProof):
        yield "evidence", str(tee_of(proof.evidence.media_type))
        return
    file = proof.file
    keys = keyset.parse_keyset(file.attestation.keyset)
    yield "digest", proof.digest.hex()
    yield "evidence", _evidence(file.attestation.evidence.media_type)
    yield "instance", keys.instance.hex()
    yield "build", keys.build
    yield (
        "keys valid",
        f"{keys.not_before:%Y-%m-%d %H:%M} to {keys.not_after:%Y-%m-%d %H:%M} UTC",
    )
    yield "challenge", "none" if file.nonce is None else file.nonce.hex()
    yield "salt", "not in the file" if file.opening is None else "in the file"
    if file.opening is not None:
        yield "inputs", _described(file.opening.inputs)
        yield "outputs", _described(file.opening.outputs)
    for each in file.disclosures:
        name = f"disclosed {each.side.name.lower()}: {each.tensor.name}"
        yield name, describe(Tensor(each.tensor))


def _evidence(media_type: str) -> str:
    simulated = " (SIMULATED)" if "simulated" in media_type else ""
    return f"{tee_of(media_type)}{simulated}"


def _described(tensors: tuple[Described, ...]) -> str:
    return ", ".join(
        f"{each.name} ({each.datatype.value}, {' x '.join(map(str, each.shape))}"
        f"{', with its elements' if each.tensor else ''})"
        for each in tensors
    )


def _print(title: str, said: LegacyProof | Claims, beside: dict[str, str]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column("name", overflow="fold", max_width=28)
    table.add_column("value", overflow="fold", ratio=3)
    table.add_column("meaning", overflow="fold", ratio=2, style="dim")
    for row in claims_rows(said):
        meaning = words.plain(row.meaning)
        table.add_row(*map(printable, (row.name, row.value, meaning)))
    for name, value in beside.items():
        table.add_row(printable(name), printable(value), "")
    console.out().print(printable(title), style="bold", soft_wrap=True)
    console.out().print(table)
