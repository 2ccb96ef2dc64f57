"""What `blindai proof verify` does: verifies a proof then and today, and says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

import typer

from blindai import proofs
from blindai.cli import console, outcome
from blindai.cli.evidence_input import choose_time
from blindai.cli.exits import CommandError, exit_code
from blindai.cli.legacy_proof import LegacyProof, verify_legacy_proof
from blindai.cli.proof_input import load_any, load_expected
from blindai.cli.proof_words import (
    claims_json,
    claims_rows,
    describe,
    warn_of_worthless,
)
from blindai.cli.tensor_files import to_json
from blindai.client.endorsements import choose_endorsements
from blindai.client.output import Tensor
from blindai.errors import AttestationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from blindai.client.proof import Proof
    from blindai.proofs import Disclosure
    from blindai.protocol.attestation import Endorsement
    from blindai.protocol.proof import Claims
    from blindai.transcript import Transcript
    from blindai.verifier import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for.

    Attributes:
        file: The proof.
        policy: What to accept.
        inputs: What went in, if the reader has it.
        at: For when, if not as of the proof's own date.
        endorsements: Files with what vendors said later than then.
        as_json: Whether machines read it.
    """

    file: Path
    policy: Policy
    inputs: Path | None
    at: str | None
    endorsements: tuple[Path, ...]
    as_json: bool


class _Verified(Protocol):
    @property
    def transcript(self) -> Transcript: ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """How to verify a proof for a time, and what it says if it holds."""

    own_date: datetime
    verify: Callable[[datetime, tuple[Endorsement, ...]], _Verified]
    said: LegacyProof | Claims
    disclosed: tuple[Disclosure, ...] = ()
    simulated: bool = False


def run(request: Request) -> None:
    """Verify a proof, and print how it ended.

    Raises:
        BlindAIError: If it is not accepted.
        Exit: The same, when JSON was printed.
    """
    proof = load_any(request.file)
    asked = _ask(proof, request)
    later = choose_endorsements(request.endorsements)
    own = request.at is None
    moment = asked.own_date if request.at is None else choose_time(request.at)
    file = str(request.file)
    verify = partial(asked.verify, moment, () if own else later)
    ended, found = outcome.judge(file, moment, verify)
    if isinstance(found, proofs.ProofResult):
        warn_of_worthless([found])
    today = datetime.now(UTC)
    now = outcome.judge(file, today, partial(asked.verify, today, later))[0]
    if request.as_json:
        console.print_json(_fields(request, asked, ended, now))
    else:
        _print(asked, ended, now, dated=own)
    if ended.error is not None:
        raise typer.Exit(exit_code(ended.error)) if request.as_json else ended.error


def _ask(proof: Proof | LegacyProof, request: Request) -> _Asked:
    """How to verify it.

    Raises:
        CommandError: If something is given that says nothing about such a proof.
        ConfigurationError: If they cannot be read.
    """
    policy = request.policy
    if isinstance(proof, LegacyProof):
        _require_neither(request)
        return _Asked(
            proof.issued_at,
            lambda at, _: verify_legacy_proof(proof, policy=policy, at=at),
            proof,
        )
    expected = proofs.Expected(inputs=load_expected(request.inputs, proof))
    return _Asked(
        proofs.own_date(proof.file),
        lambda at, later: proofs.verify(
            proof.file, policy=policy, at=at, expected=expected, endorsements=later
        ),
        proof.claims,
        proof.file.disclosures,
        simulated=proof.is_simulation_mode(),
    )


def _require_neither(request: Request) -> None:
    """Whether a proof of the original is asked about by itself, as it has to be.

    Raises:
        CommandError: If not.
    """
    given = {"--inputs": request.inputs, "--endorsements": request.endorsements}
    for name, value in given.items():
        if value:
            raise CommandError(
                f"{name}: expected a proof of this release, got one of the original"
                " BlindAI",
                "It has one SHA-256 of all inputs' bytes (`hashed`), and is verified"
                " with the endorsements in it.",
            )


def _fields(
    request: Request, asked: _Asked, ended: outcome.Outcome, today: outcome.Outcome
) -> dict[str, object]:
    accepted = ended.error is None
    return {
        "verdict": ended.verdict,
        "file": ended.subject,
        "as_of": ended.now.isoformat(),
        "simulated": asked.simulated if accepted else None,
        "claims": claims_json(asked.said) if accepted else None,
        "disclosed": list(map(_disclosed, asked.disclosed)) if accepted else None,
        "policy_digest": request.policy.digest.hex(),
        **outcome.fields(ended),
        "today": {
            "at": today.now.isoformat(),
            "verdict": today.verdict,
            "refusals": [str(check) for check in today.transcript.refusals],
        },
    }


def _disclosed(disclosure: Disclosure) -> dict[str, object]:
    side = disclosure.side.name.lower()
    return {"side": side, **to_json(Tensor(disclosure.tensor))}


def _print(
    asked: _Asked, ended: outcome.Outcome, today: outcome.Outcome, *, dated: bool
) -> None:
    """Say how it ended.

    Args:
        asked: What was.
        ended: How, for the time in question.
        today: How, for now.
        dated: Whether that time is the proof's own.
    """
    outcome.print_transcript(ended)
    if ended.error is not None:
        outcome.print_verdict(f"refused: {ended.subject}", "bold red")
        return
    shown = {row.name: row.value for row in claims_rows(asked.said)}
    for each in asked.disclosed:
        name = f"disclosed {each.side.name.lower()}: {each.tensor.name}"
        shown[name] = describe(Tensor(each.tensor))
    outcome.print_facts(shown)
    whose = ", by the host's clock" if dated else ""
    then = f"valid as of {ended.now:%Y-%m-%d %H:%M} UTC{whose}"
    outcome.print_verdict(f"{then}; today: {_today(today)}", "bold")
    if asked.simulated:
        words_ = f"accepted: {ended.subject}, as a SIMULATION that proves nothing"
        outcome.print_verdict(words_, "bold red")
    else:
        outcome.print_verdict(f"accepted: {ended.subject}", "bold green")


def _today(today: outcome.Outcome) -> str:
    if today.error is None:
        return "the same"
    if not isinstance(today.error, AttestationError):
        return today.verdict
    refusals = today.transcript.refusals
    return f"refused ({', '.join(check.name for check in refusals)})"
