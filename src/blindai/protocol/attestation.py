"""How an attestation travels: one CMW collection (RFC 9999) of four records.

    label         media type                                     indicator
    keyset        application/vnd.blindai.keyset+cbor            -
    statement     application/vnd.blindai.statement+cbor         -
    evidence      the TEE's, see below                           evidence (4)
    endorsements  application/pem-certificate-chain (RFC 8555)   endorsements (2)

The server writes it and the verifier reads it; both do so here. Nothing in it is
believed for having been read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindai.errors import EvidenceError
from blindai.protocol import cmw

if TYPE_CHECKING:
    from collections.abc import Sequence

MEDIA_TYPE = cmw.MEDIA_TYPE
COLLECTION_TYPE = "tag:blindai,2026:attestation/v1"

KEYSET_TYPE = "application/vnd.blindai.keyset+cbor"
STATEMENT_TYPE = "application/vnd.blindai.statement+cbor"
PEM_CHAIN_TYPE = "application/pem-certificate-chain"

SEV_SNP_REPORT_TYPE = "application/vnd.blindai.sev-snp-report"
SIMULATED_SEV_SNP_REPORT_TYPE = "application/vnd.blindai.simulated-sev-snp-report"

MAX_ATTESTATION_BYTES = 256 * 1024
MAX_KEYSET_BYTES = 32 * 1024
MAX_STATEMENT_BYTES = 1024
MAX_EVIDENCE_BYTES = 32 * 1024
MAX_ENDORSEMENTS_BYTES = 128 * 1024

_LABELS = ("keyset", "statement", "evidence", "endorsements")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """The parts of an attestation, as they were sent; none of them is believed yet.

    Attributes:
        keyset: The keyset's encoding, at most 32 KiB.
        statement: The statement's encoding, at most 1 KiB.
        evidence_type: Media type of the evidence, which names the TEE.
        evidence: What the hardware signed, at most 32 KiB.
        endorsements: Certificates in PEM, the leaf first, at most 128 KiB.
    """

    keyset: bytes = field(repr=False)
    statement: bytes = field(repr=False)
    evidence_type: str
    evidence: bytes = field(repr=False)
    endorsements: bytes = field(repr=False)


def encode_attestation(
    keyset: bytes,
    statement: bytes,
    evidence_media_type: str,
    evidence: bytes,
    endorsements: Sequence[tuple[str, bytes]],
) -> bytes:
    """Put an attestation into its collection.

    Args:
        keyset: The keyset's encoding.
        statement: The statement's encoding.
        evidence_media_type: Names the TEE.
        evidence: What the hardware signed.
        endorsements: Media type and bytes; exactly one PEM certificate chain.

    Raises:
        ValueError: If the endorsements are anything else.
    """
    if [media_type for media_type, _ in endorsements] != [PEM_CHAIN_TYPE]:
        raise ValueError(f"endorsements: expected exactly one {PEM_CHAIN_TYPE}")
    ((_, chain),) = endorsements
    items: dict[str | int, cmw.Record | cmw.Collection] = {
        "keyset": cmw.Record(KEYSET_TYPE, keyset),
        "statement": cmw.Record(STATEMENT_TYPE, statement),
        "evidence": cmw.Record(evidence_media_type, evidence, cmw.Indicator.EVIDENCE),
        "endorsements": cmw.Record(PEM_CHAIN_TYPE, chain, cmw.Indicator.ENDORSEMENTS),
    }
    return cmw.encode(cmw.Collection(items, COLLECTION_TYPE))


def parse_attestation(data: bytes) -> Attestation:
    """Take an attestation out of its collection.

    Raises:
        EvidenceError: If the bytes are not such a collection, or pass a limit.
    """
    if len(data) > MAX_ATTESTATION_BYTES:
        raise EvidenceError(
            f"attestation: expected at most {MAX_ATTESTATION_BYTES} bytes,"
            f" got {len(data)}"
        )
    collection = cmw.parse(data)
    if not isinstance(collection, cmw.Collection):
        raise EvidenceError("attestation: expected a CMW collection, got a record")
    if collection.type != COLLECTION_TYPE:
        raise EvidenceError(f"attestation: expected the type {COLLECTION_TYPE}")
    if collection.items.keys() != set(_LABELS):
        raise EvidenceError(f"attestation: expected the labels {', '.join(_LABELS)}")
    evidence = _indicated(collection, "evidence", cmw.Indicator.EVIDENCE)
    endorsements = _indicated(collection, "endorsements", cmw.Indicator.ENDORSEMENTS)
    if not isinstance(evidence.type, str):
        raise EvidenceError("evidence: expected a media type, got a content format")
    if endorsements.type != PEM_CHAIN_TYPE:
        raise EvidenceError(f"endorsements: expected {PEM_CHAIN_TYPE}, got another")
    keyset = collection.record("keyset", KEYSET_TYPE)
    statement = collection.record("statement", STATEMENT_TYPE)
    return Attestation(
        keyset=_limited(keyset, "keyset", MAX_KEYSET_BYTES),
        statement=_limited(statement, "statement", MAX_STATEMENT_BYTES),
        evidence_type=evidence.type,
        evidence=_limited(evidence, "evidence", MAX_EVIDENCE_BYTES),
        endorsements=_limited(endorsements, "endorsements", MAX_ENDORSEMENTS_BYTES),
    )


def _indicated(
    collection: cmw.Collection, label: str, indicator: cmw.Indicator
) -> cmw.Record:
    record = collection.record(label)
    if record.indicator != indicator:
        raise EvidenceError(f"{label}: expected the indicator {int(indicator)}")
    return record


def _limited(record: cmw.Record, label: str, limit: int) -> bytes:
    if len(record.value) > limit:
        raise EvidenceError(
            f"{label}: expected at most {limit} bytes, got {len(record.value)}"
        )
    return record.value
