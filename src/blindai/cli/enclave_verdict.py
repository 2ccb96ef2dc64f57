"""What `blindai verify` does: attests an enclave, and says how it ended."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from blindai import verifier
from blindai.cli import console, outcome
from blindai.cli.ear_option import choose_ear
from blindai.cli.evidence_input import load
from blindai.cli.exits import exit_code
from blindai.cli.tcb_info import renew
from blindai.client.answer import fetch_answer
from blindai.client.endorsements import choose_endorsements
from blindai.client.policies import SimulationWarning, warn_of_danger
from blindai.errors import AttestationError, BlindAIError
from blindai.protocol.attestation import encode_attestation, parse_attestation
from blindai.verifier.ear import Appraisal
from blindai.verifier.endorsed import bring

if TYPE_CHECKING:
    from pathlib import Path

    from blindai.cli.target import Target
    from blindai.client.answer import Answer
    from blindai.protocol.attestation import Endorsement
    from blindai.verifier import AttestationResult, Policy

_FACTS = (
    "simulated",
    "tee",
    "measurement",
    "config_digest",
    "build",
    "not_before",
    "not_after",
)


@dataclass(frozen=True, slots=True)
class Extras:
    """What else was asked for: options as they were given."""

    tcb_info: Path | None = None
    ear: Path | None = None
    ear_key: Path | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked about an enclave's answer."""

    url: str
    answer: Answer
    policy: Policy
    brought: tuple[Endorsement, ...]
    now: datetime


def run(target: Target, extras: Extras, *, as_json: bool) -> None:
    """Attest an enclave, and print how it ended.

    Raises:
        BlindAIError: If it is not accepted, or not reached.
        Exit: The same, when JSON was printed.
    """
    now = datetime.now(UTC)
    writer = choose_ear(extras.ear, extras.ear_key)
    newer = load(extras.tcb_info) if extras.tcb_info else None
    brought = choose_endorsements(target.endorsements)
    found, later = None, None
    try:
        answer = fetch_answer(target.url)
    except BlindAIError as error:
        ended = outcome.failed(target.url, now, error)
    else:
        question = _Question(target.url, answer, target.policy, brought, now)
        ended, found = _ask(question)
        later = _ask_later(question, newer) if newer is not None else None
        writer.write(_appraisal(target, ended, found, answer), now)
    if found is not None:
        _warn(found)
    if as_json:
        console.print_json(_fields(target, ended, found, later))
    elif ended.verdict != "not reached":
        _print(target, ended, found, later)
    if ended.error is not None:
        raise typer.Exit(exit_code(ended.error)) if as_json else ended.error


def _ask(question: _Question) -> tuple[outcome.Outcome, AttestationResult | None]:
    return outcome.judge(
        question.url,
        question.now,
        lambda: verifier.verify(
            question.answer.collection,
            nonce=question.answer.nonce,
            policy=question.policy,
            now=question.now,
            endorsements=question.brought,
        ),
    )


def _ask_later(question: _Question, file: bytes) -> outcome.Outcome:
    """The same under newer TCB information."""
    try:
        attestation = parse_attestation(question.answer.collection)
        whole = bring(attestation.evidence.endorsements, question.brought)
        evidence = replace(attestation.evidence, endorsements=whole)
        evidence, policy = renew(evidence, question.policy, file)
    except AttestationError as error:
        return outcome.failed(question.url, question.now, error)
    collection = encode_attestation(replace(attestation, evidence=evidence))
    answer = replace(question.answer, collection=collection)
    return _ask(replace(question, answer=answer, policy=policy, brought=()))[0]


def _warn(result: AttestationResult) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SimulationWarning)  # said below instead
        warn_of_danger(result)
    if result.simulated:
        console.warn_of_simulation()


def _appraisal(
    target: Target,
    ended: outcome.Outcome,
    found: AttestationResult | None,
    answer: Answer,
) -> Appraisal:
    return Appraisal(
        tee=found.claims.tee if found else "enclave",
        transcript=ended.transcript,
        error=ended.error if isinstance(ended.error, AttestationError) else None,
        claims=found.claims if found else None,
        policy=target.policy.digest.hex(),
        simulated=found.simulated if found else False,
        nonce=answer.nonce,
    )


def _print(
    target: Target,
    ended: outcome.Outcome,
    found: AttestationResult | None,
    later: outcome.Outcome | None,
) -> None:
    outcome.print_transcript(ended)
    if found is not None:
        outcome.print_facts(facts(target, found))
    if later is not None:
        outcome.print_later(later)
    if found is None:
        outcome.print_verdict(f"refused: {target.url}", "bold red")
    elif found.simulated:
        outcome.print_verdict(
            f"accepted: {target.url}, as a SIMULATION that proves nothing", "bold red"
        )
    else:
        outcome.print_verdict(f"accepted: {target.url}", "bold green")


def facts(target: Target, result: AttestationResult) -> dict[str, str]:
    """What an enclave proved, for people."""
    keyset = result.keyset
    return {
        "TEE": f"{result.claims.tee}{' (SIMULATED)' if result.simulated else ''}",
        "measurement": result.claims.measurement.hex(),
        "configuration": keyset.config_digest.hex(),
        "build": keyset.build,
        "keys valid": f"{keyset.not_before:%Y-%m-%d %H:%M} to "
        f"{keyset.not_after:%Y-%m-%d %H:%M} UTC",
        "policy": target.policy.digest.hex(),
    }


def proved(found: AttestationResult | None) -> dict[str, object]:
    """What an enclave proved, for machines; null where it proved nothing."""
    if found is None:
        return dict.fromkeys(_FACTS)
    keyset = found.keyset
    values = (
        found.simulated,
        found.claims.tee,
        found.claims.measurement.hex(),
        keyset.config_digest.hex(),
        keyset.build,
        keyset.not_before.isoformat(),
        keyset.not_after.isoformat(),
    )
    return dict(zip(_FACTS, values, strict=True))


def _fields(
    target: Target,
    ended: outcome.Outcome,
    found: AttestationResult | None,
    later: outcome.Outcome | None,
) -> dict[str, object]:
    return {
        "verdict": ended.verdict,
        "url": target.url,
        **proved(found),
        "policy_digest": target.policy.digest.hex(),
        **outcome.fields(ended),
        "with_tcb_info": outcome.later_fields(later),
    }
