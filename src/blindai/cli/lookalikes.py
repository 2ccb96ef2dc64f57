"""What a file is that was given for another: a certificate for evidence, and so on.

    found = given_for_evidence(data)    # by its looks: nothing is believed for that

It is for messages: whoever mixes up two files learns which one this is, and where it
belongs.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.cli.encodings import decode_json
from blindai.cli.evidence_files import name_evidence
from blindai.cli.legacy_proof import is_proof
from blindai.errors import EvidenceError
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    PEM_CHAIN_TYPE,
)
from blindai.protocol.endorsements import FILE_TYPE, parse_endorsements
from blindai.tables import MAX_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Callable

_ENDORSEMENTS: Final = "Pass it with --endorsements, beside the evidence."
_POLICY: Final = "Pass it to `blindai evidence verify` with --policy."
_KINDS: Final = {
    PEM_CHAIN_TYPE: "certificates",
    CRL_TYPE: "a list of revoked certificates",
    INTEL_COLLATERAL_TYPE: "Intel's collateral",
}
_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_SPEC_ID: Final = (
    b"Spec ID Event03\x00"  # TCG PC Client Firmware Profile 1.05, 10.4.5.1
)
_HEADER_BYTES: Final = 64
_MANIFEST: Final = re.compile(rb"<(?:[\w.-]+:)?SoftwareIdentity[\s>]")  # ISO 19770-2


@dataclass(frozen=True, slots=True)
class Lookalike:
    """What a file looks like.

    Attributes:
        words: What to call it.
        advice: Where it belongs.
    """

    words: str
    advice: str


def given_for_evidence(data: bytes) -> Lookalike | None:
    """What a file is that is no evidence; None if it is nothing that is known."""
    return next(filter(None, (look(data) for look in _LOOKS)), None)


def given_for_endorsements(data: bytes) -> Lookalike | None:
    """What a file is that holds no endorsements; None likewise."""
    return given_for_evidence(data) or _evidence(data)


def given_for_proof(data: bytes) -> Lookalike | None:
    """What a file is that is no proof; None likewise."""
    if is_proof(data) or _is_ours(data):
        return None
    return given_for_endorsements(data)


def _is_ours(data: bytes) -> bool:
    from blindai.protocol.proof_file import (  # noqa: PLC0415  NumPy is slow to import
        is_proof_file,
    )

    return is_proof_file(data)


def _proof(data: bytes) -> Lookalike | None:
    if not is_proof(data):
        return None
    return Lookalike(
        "a proof of the original BlindAI",
        "Verify it as a whole, evidence and all: `blindai proof verify`.",
    )


def _our_proof(data: bytes) -> Lookalike | None:
    if not _is_ours(data):
        return None
    return Lookalike(
        "a proof file",
        "Verify it as a whole, evidence and all: `blindai proof verify`.",
    )


def _private_key(data: bytes) -> Lookalike | None:
    if not _PRIVATE_KEY.search(data):
        return None
    return Lookalike("a private key", "Keep it to yourself: no verifier needs it.")


def _endorsements(data: bytes) -> Lookalike | None:
    try:
        found = parse_endorsements(data)
    except EvidenceError:
        return None
    kinds = dict.fromkeys(_KINDS.get(each.media_type, FILE_TYPE) for each in found)
    return Lookalike(" and ".join(kinds), _ENDORSEMENTS)


def _tcb_info(data: bytes) -> Lookalike | None:
    fields = decode_json(data)
    if not isinstance(fields, dict) or "tcbInfo" not in fields:
        return None
    return Lookalike(
        "Intel's TCB information",
        "Pass it to `blindai evidence verify` with --tcb-info; --endorsements takes the"
        " whole collateral.",
    )


def _policy(data: bytes) -> Lookalike | None:
    try:
        table = tomllib.loads(data[:MAX_CHARACTERS].decode())
    except (ValueError, RecursionError):
        return None
    if "mr_enclave" in table:
        return Lookalike(
            "a policy of the original BlindAI",
            f"Write it anew with `blindai policy convert`. {_POLICY}",
        )
    return Lookalike("an appraisal policy", _POLICY) if "version" in table else None


def _event_log(data: bytes) -> Lookalike | None:
    if _SPEC_ID not in data[:_HEADER_BYTES]:
        return None
    return Lookalike(
        "an event log",
        "Pass it to `blindai evidence verify` with --event-log, beside the evidence.",
    )


def _manifest(data: bytes) -> Lookalike | None:
    if not _MANIFEST.search(data[:MAX_CHARACTERS]):
        return None
    return Lookalike(
        "a reference integrity manifest (RIM)",
        "Its values belong in a policy: see docs/tees/nvidia-gpu.md.",
    )


def _evidence(data: bytes) -> Lookalike | None:
    name = name_evidence(data)
    if name is None:
        return None
    return Lookalike(name, "Give evidence as FILE, in front of all options.")


_LOOKS: Final[tuple[Callable[[bytes], Lookalike | None], ...]] = (
    _proof,
    _our_proof,
    _private_key,
    _endorsements,
    _tcb_info,
    _policy,
    _event_log,
    _manifest,
)
