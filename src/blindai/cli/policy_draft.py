"""What `blindai policy new` does: asks, verifies, and writes down what it saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from blindai import verifier
from blindai.cli import words
from blindai.cli.evidence_input import choose_time, load, load_evidence
from blindai.cli.exits import CommandError
from blindai.cli.policy_files import write_new
from blindai.cli.policy_values import policy_for
from blindai.client.answer import Answer, fetch_answer
from blindai.errors import AppraisalError, EvidenceError
from blindai.protocol.attestation import parse_attestation
from blindai.protocol.keyset import parse_keyset
from blindai.table_writer import compose, remark
from blindai.text import printable
from blindai.verifier.alone import believe
from blindai.verifier.baseline import Baseline
from blindai.verifier.nvidia.claims import Gpus
from blindai.verifier.procedure import Procedure

if TYPE_CHECKING:
    from datetime import datetime

    from _typeshed import DataclassInstance

    from blindai.cli.tee_names import TeeName
    from blindai.protocol.attestation import Evidence
    from blindai.protocol.keyset import Keyset
    from blindai.verifier import VerifiedClaims

_REVIEW: Final = (
    "NOBODY HAS REVIEWED THIS. It pins what one enclave showed, so it accepts that very"
    " enclave, good or bad. Compare each value with what you built, or with what others"
    " whom you trust published, over another way than this; then delete this line."
)
_PROVED: Final = (
    "Its evidence is authentic: that much was verified. What the values mean was not."
)
_SIMULATED: Final = (
    "THIS ENCLAVE IS SIMULATED, and so protects nothing; nor does this policy."
)
_GPUS: Final = (
    "GPUs count beside an enclave only: add the table of its TEE, or this table to its"
    " policy."
)
_DEBUG: Final = (
    "This enclave is in debug mode: whoever runs it can read its memory. This policy"
    " refuses it until it is started without."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for: each option as it was given."""

    source: str
    tee: TeeName | None
    endorsements: tuple[Path, ...]
    event_log: Path | None
    at: str | None
    simulation: bool
    out: Path | None


def run(request: Request) -> None:
    """Write the policy, to stdout or to a new file.

    Raises:
        AttestationError: If the evidence is not authentic.
        CommandError: If it is simulated and that was not allowed, or pins nothing.
    """
    now = choose_time(request.at)
    evidence, keyset = _find(request, now)
    verified = believe(evidence, Procedure(), now, Baseline().policy)
    simulated = verified.root.simulated
    if simulated and not request.simulation:
        raise CommandError(
            "evidence: expected genuine hardware, got a simulation",
            "A policy for it protects nothing; --simulation writes one all the same.",
        )
    try:
        policy = policy_for(verified, keyset, simulated=simulated)
    except ValueError as error:
        raise CommandError(
            f"evidence: cannot be pinned: {error}",
            "In debug mode nothing is measured: have the enclave started without it.",
        ) from error
    head = _head(request.source, verified, now)
    text = f"{head}\n\n{compose(policy, _comment)}"
    if request.out is None:
        print(text, end="")
    else:
        write_new(request.out, text)


def _find(request: Request, now: datetime) -> tuple[Evidence, Keyset | None]:
    """The evidence, and what it binds if it is of an enclave of blindai's.

    Raises:
        EvidenceError: If it is malformed.
        VerificationError: If it does not bind what came with it.
    """
    if "://" in request.source:
        answer = fetch_answer(request.source)
    else:
        file = Path(request.source)
        evidence = load_evidence(
            file, request.tee, request.endorsements, request.event_log
        )
        answer = Answer(nonce=None, collection=load(file))
        try:
            parse_attestation(answer.collection)
        except EvidenceError:
            return evidence, None  # evidence alone, which binds no keyset of ours
    attestation = parse_attestation(answer.collection)
    _verify_bound(answer, now)
    return attestation.evidence, parse_keyset(attestation.keyset)


def _verify_bound(answer: Answer, now: datetime) -> None:
    """That the evidence binds the keyset; a baseline accepts no enclave beyond that.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If it binds another.
    """
    try:
        verifier.verify(
            answer.collection, nonce=answer.nonce, policy=Baseline().policy, now=now
        )
    except AppraisalError:
        return  # what is appraised was verified before


def _head(source: str, verified: VerifiedClaims, now: datetime) -> str:
    simulated, debug = verified.root.simulated, verified.claims.debug
    what = (
        f"What {printable(source)} showed on {now:%Y-%m-%d at %H:%M} UTC: "
        f"{verified.claims.tee}, up to the root {verified.root.name}."
    )
    said = (
        what,
        _SIMULATED if simulated else _PROVED,
        _DEBUG if debug else "",
        _GPUS if isinstance(verified.claims.details, Gpus) else "",
        _REVIEW,
    )
    return "\n#\n".join(remark(each) for each in said if each)


def _comment(instance: DataclassInstance, field: str) -> str:
    """What a value is, in the words of its table."""
    meaning = words.meanings(type(instance)).get(field, "")
    return "" if field == "version" else words.plain(meaning)
