"""What `blindai evidence verify` does: reads, verifies, and says how it ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from blindai.cli import console, outcome
from blindai.cli.ear_option import choose_ear
from blindai.cli.evidence_files import tee_of
from blindai.cli.evidence_input import choose_nonce, choose_time, load, load_evidence
from blindai.cli.exits import CommandError, exit_code
from blindai.cli.tcb_info import renew
from blindai.cli.tee_names import TeeName
from blindai.client.policies import load_policy
from blindai.errors import AttestationError
from blindai.verifier.alone import verify_evidence
from blindai.verifier.baseline import Baseline
from blindai.verifier.ear import Appraisal
from blindai.verifier.intel.policy import ACCEPTABLE_STATUSES

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from blindai.protocol.attestation import Evidence
    from blindai.verifier.alone import EvidenceResult
    from blindai.verifier.policy import Policy

NOT_PINNED = "nothing was pinned: this says what the hardware is, not what runs on it"
_WITH_STATUS = (TeeName.SGX, TeeName.TDX, TeeName.AZURE_TDX)
_FACTS = ("tee", "measurement", "report_data", "debug", "root", "simulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for: each option as it was given."""

    file: Path
    tee: TeeName | None
    endorsements: tuple[Path, ...]
    event_log: Path | None
    nonce: str | None
    at: str | None
    policy: Path | None
    accept_tcb: tuple[str, ...]
    tcb_info: Path | None
    ear: Path | None
    ear_key: Path | None
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked about which evidence."""

    file: str
    evidence: Evidence
    policy: Policy | Baseline
    nonce: bytes | None
    now: datetime


def run(request: Request) -> None:
    """Verify what was asked for, and print how it ended.

    Raises:
        BlindAIError: If it is not accepted.
        Exit: The same, when JSON was printed.
    """
    now = choose_time(request.at)
    writer = choose_ear(request.ear, request.ear_key)
    accepted = _choose_policy(request.policy, request.accept_tcb)
    nonce = choose_nonce(request.nonce)
    newer = load(request.tcb_info) if request.tcb_info else None
    file, name = str(request.file), str(request.tee or "unknown")
    found, later = None, None
    try:
        evidence = load_evidence(
            request.file, request.tee, request.endorsements, request.event_log
        )
    except AttestationError as error:
        ended = outcome.failed(file, now, error)
    else:
        question = _Question(
            file=file, evidence=evidence, policy=accepted, nonce=nonce, now=now
        )
        name = str(tee_of(evidence.media_type))
        _refuse_without_status(name, request.accept_tcb)
        ended, found = _ask(question)
        later = _ask_later(question, newer) if newer is not None else None
    writer.write(_appraisal(name, ended, found, accepted, nonce), now)
    if request.as_json:
        console.print_json(_fields(ended, found, accepted, later))
    else:
        _print(ended, found, later)
    if ended.error is not None:
        raise typer.Exit(exit_code(ended.error)) if request.as_json else ended.error


def _choose_policy(path: Path | None, statuses: tuple[str, ...]) -> Policy | Baseline:
    """What to hold evidence against.

    Raises:
        CommandError: If the options contradict each other, or name no status.
        ConfigurationError: If the policy cannot be read.
    """
    if path is None:
        if unknown := set(statuses) - set(ACCEPTABLE_STATUSES):
            raise CommandError(
                f"--accept-tcb: expected one of {', '.join(ACCEPTABLE_STATUSES)}, got"
                f" {', '.join(sorted(unknown))}",
                "Name a status as Intel spells it.",
            )
        return Baseline(statuses)
    if statuses:
        raise CommandError(
            "--accept-tcb: expected no policy beside it, got both",
            "With a policy, the policy says what is accepted.",
        )
    return load_policy(path)


def _refuse_without_status(tee: str, statuses: tuple[str, ...]) -> None:
    """Statuses are Intel's: said of any other TEE they would do nothing.

    Raises:
        CommandError: If there are some for such a TEE.
    """
    if statuses and tee not in _WITH_STATUS:
        raise CommandError(
            f"--accept-tcb: expected evidence of {', '.join(_WITH_STATUS)}, which have"
            f" such a status, got {tee}",
            "Leave it out; what other TEEs may be is said in a policy.",
        )


def _ask(question: _Question) -> tuple[outcome.Outcome, EvidenceResult | None]:
    return outcome.judge(
        question.file,
        question.now,
        lambda: verify_evidence(
            question.evidence,
            policy=question.policy,
            nonce=question.nonce,
            now=question.now,
        ),
    )


def _ask_later(question: _Question, file: bytes) -> outcome.Outcome:
    """The same under newer TCB information."""
    evidence, policy = renew(question.evidence, question.policy, file)
    return _ask(replace(question, evidence=evidence, policy=policy))[0]


def _appraisal(
    tee: str,
    ended: outcome.Outcome,
    found: EvidenceResult | None,
    accepted: Policy | Baseline,
    nonce: bytes | None,
) -> Appraisal:
    return Appraisal(
        tee=tee,
        transcript=ended.transcript,
        error=ended.error if isinstance(ended.error, AttestationError) else None,
        claims=found.verified.claims if found else None,
        policy=_digest(accepted) or "",
        simulated=found.verified.root.simulated if found else False,
        nonce=nonce,
    )


def _digest(accepted: Policy | Baseline) -> str | None:
    """Names the policy; None for a baseline."""
    return None if isinstance(accepted, Baseline) else accepted.digest.hex()


def _fields(
    ended: outcome.Outcome,
    found: EvidenceResult | None,
    accepted: Policy | Baseline,
    later: outcome.Outcome | None,
) -> dict[str, object]:
    """One object; what was not proved is null."""
    digest = _digest(accepted)
    facts: dict[str, object] = dict.fromkeys(_FACTS)
    if found is not None:
        claims, root = found.verified.claims, found.verified.root
        values = (
            claims.tee,
            claims.measurement.hex(),
            claims.report_data.hex(),
            claims.debug,
            root.name,
            root.simulated,
        )
        facts = dict(zip(_FACTS, values, strict=True))
    return {
        "verdict": ended.verdict,
        "file": ended.subject,
        "at": ended.now.isoformat(),
        **facts,
        "pinned": digest is not None,
        "policy_digest": digest,
        **outcome.fields(ended),
        "with_tcb_info": outcome.later_fields(later),
    }


def _print(
    ended: outcome.Outcome,
    found: EvidenceResult | None,
    later: outcome.Outcome | None,
) -> None:
    outcome.print_transcript(ended)
    if found is not None:
        claims, root = found.verified.claims, found.verified.root
        outcome.print_facts(
            {
                "TEE": claims.tee,
                "root": root.name,
                "measurement": claims.measurement.hex(),
                "report data": claims.report_data.hex() or "empty",
                "at": f"{ended.now:%Y-%m-%d %H:%M} UTC",
            }
        )
    if later is not None:
        outcome.print_later(later)
    if found is None:
        outcome.print_verdict(f"refused: {ended.subject}", "bold red")
        return
    if not found.pinned:
        outcome.print_verdict(NOT_PINNED, "bold yellow")
    if found.verified.root.simulated:
        outcome.print_verdict("made-up hardware: this proves nothing", "bold red")
    outcome.print_verdict(f"accepted: {ended.subject}", "bold green")
