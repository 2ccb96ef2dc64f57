"""How an attestation travels: one CMW collection (RFC 9999).

    label         what                                                indicator
    keyset        application/vnd.blindai.keyset+cbor                 -
    statement     application/vnd.blindai.statement+cbor              -
    evidence      the TEE's, see `*_TYPE` below                       evidence (4)
    event_log     application/vnd.blindai.tcg-event-log, optional     evidence (4)
    gpu           application/vnd.blindai.nvidia-gpu+json, optional   evidence (4)
    endorsements  a collection of records 0, 1, ..., optional         endorsements (2)

An event log (TCG PC Client Platform Firmware Profile, chapter 10) is not signed itself:
it counts where it replays to registers that are. Endorsements are certificates in PEM
(RFC 8555), lists of revoked ones in DER (RFC 2585), and Intel's collateral.

The server writes it and the verifier reads it; both do so here. Nothing in it is
believed for having been read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from blindai.errors import EvidenceError
from blindai.protocol import cmw

MEDIA_TYPE = cmw.MEDIA_TYPE
COLLECTION_TYPE = "tag:blindai,2026:attestation/v1"

KEYSET_TYPE = "application/vnd.blindai.keyset+cbor"
STATEMENT_TYPE = "application/vnd.blindai.statement+cbor"
EVENT_LOG_TYPE = "application/vnd.blindai.tcg-event-log"

SEV_SNP_REPORT_TYPE = "application/vnd.blindai.sev-snp-report"
SIMULATED_SEV_SNP_REPORT_TYPE = "application/vnd.blindai.simulated-sev-snp-report"
SGX_QUOTE_TYPE = "application/vnd.blindai.sgx-quote"
TDX_QUOTE_TYPE = "application/vnd.blindai.tdx-quote"
NITRO_DOCUMENT_TYPE = "application/vnd.blindai.nitro-document"
TPM_QUOTE_TYPE = "application/vnd.blindai.tpm-quote+cbor"
AZURE_SNP_TYPE = "application/vnd.blindai.azure-snp+cbor"
AZURE_TDX_TYPE = "application/vnd.blindai.azure-tdx+cbor"
NVIDIA_GPU_TYPE = "application/vnd.blindai.nvidia-gpu+json"

PEM_CHAIN_TYPE = "application/pem-certificate-chain"
CRL_TYPE = "application/pkix-crl"
INTEL_COLLATERAL_TYPE = "application/vnd.blindai.intel-collateral+json"

MAX_ATTESTATION_BYTES = 1024 * 1024
MAX_KEYSET_BYTES = 32 * 1024
MAX_STATEMENT_BYTES = 1024
MAX_EVIDENCE_BYTES = 64 * 1024
MAX_EVENT_LOG_BYTES = 256 * 1024
MAX_GPU_BYTES = 512 * 1024
MAX_ENDORSEMENT_BYTES = 256 * 1024
MAX_ENDORSEMENTS = 16

_REQUIRED: Final = frozenset({"keyset", "statement", "evidence"})
_OPTIONAL: Final = frozenset({"event_log", "gpu", "endorsements"})


@dataclass(frozen=True, slots=True)
class Endorsement:
    """Something that a vendor says about the key or the platform behind evidence.

    Attributes:
        media_type: Says what it is.
        content: Its bytes, at most 256 KiB.
    """

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the hardware signed, and what comes with it; nothing is believed yet.

    Attributes:
        media_type: Names the TEE and the format of the evidence.
        evidence: What the hardware signed, at most 64 KiB.
        endorsements: What vendors say about it, at most 16.
        event_log: What was measured after launch, at most 256 KiB; empty where there
            is no log.
    """

    media_type: str
    evidence: bytes = field(repr=False)
    endorsements: tuple[Endorsement, ...] = field(default=(), repr=False)
    event_log: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """The parts of an attestation, as they were sent; none of them is believed yet.

    Attributes:
        keyset: The keyset's encoding, at most 32 KiB.
        statement: The statement's encoding, at most 1 KiB.
        evidence: The TEE's.
        gpu: The GPUs', at most 512 KiB; empty where there are none.
    """

    keyset: bytes = field(repr=False)
    statement: bytes = field(repr=False)
    evidence: Evidence
    gpu: bytes = field(default=b"", repr=False)


def encode_attestation(attestation: Attestation) -> bytes:
    """Put an attestation into its collection."""
    evidence = attestation.evidence
    is_evidence, endorses = cmw.Indicator.EVIDENCE, cmw.Indicator.ENDORSEMENTS
    items: dict[str | int, cmw.Record | cmw.Collection] = {
        "keyset": cmw.Record(KEYSET_TYPE, attestation.keyset),
        "statement": cmw.Record(STATEMENT_TYPE, attestation.statement),
        "evidence": cmw.Record(evidence.media_type, evidence.evidence, is_evidence),
    }
    if evidence.event_log:
        log = cmw.Record(EVENT_LOG_TYPE, evidence.event_log, is_evidence)
        items["event_log"] = log
    if attestation.gpu:
        items["gpu"] = cmw.Record(NVIDIA_GPU_TYPE, attestation.gpu, is_evidence)
    if evidence.endorsements:
        records: dict[str | int, cmw.Record | cmw.Collection] = {
            number: cmw.Record(each.media_type, each.content, endorses)
            for number, each in enumerate(evidence.endorsements)
        }
        items["endorsements"] = cmw.Collection(records)
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
    if not _REQUIRED <= collection.items.keys() <= _REQUIRED | _OPTIONAL:
        raise EvidenceError(
            f"attestation: expected the labels {', '.join(sorted(_REQUIRED))}"
            f" and perhaps {', '.join(sorted(_OPTIONAL))}"
        )
    keyset = collection.record("keyset", KEYSET_TYPE)
    statement = collection.record("statement", STATEMENT_TYPE)
    return Attestation(
        keyset=_limited(keyset, "keyset", MAX_KEYSET_BYTES),
        statement=_limited(statement, "statement", MAX_STATEMENT_BYTES),
        evidence=_evidence(collection),
        gpu=_optional(collection, "gpu", NVIDIA_GPU_TYPE, MAX_GPU_BYTES),
    )


def _evidence(collection: cmw.Collection) -> Evidence:
    record = collection.record("evidence")
    _require_indicator(record, "evidence", cmw.Indicator.EVIDENCE)
    if not isinstance(record.type, str):
        raise EvidenceError("evidence: expected a media type, got a content format")
    return Evidence(
        media_type=record.type,
        evidence=_limited(record, "evidence", MAX_EVIDENCE_BYTES),
        endorsements=_endorsements(collection),
        event_log=_optional(
            collection, "event_log", EVENT_LOG_TYPE, MAX_EVENT_LOG_BYTES
        ),
    )


def _optional(
    collection: cmw.Collection, label: str, media_type: str, limit: int
) -> bytes:
    if label not in collection.items:
        return b""
    record = collection.record(label, media_type)
    _require_indicator(record, label, cmw.Indicator.EVIDENCE)
    return _limited(record, label, limit)


def _endorsements(collection: cmw.Collection) -> tuple[Endorsement, ...]:
    if "endorsements" not in collection.items:
        return ()
    listed = collection.items["endorsements"]
    if not isinstance(listed, cmw.Collection):
        raise EvidenceError("endorsements: expected a collection, got a record")
    count = len(listed.items)
    if count > MAX_ENDORSEMENTS or listed.items.keys() != set(range(count)):
        raise EvidenceError(
            f"endorsements: expected at most {MAX_ENDORSEMENTS}, numbered from 0"
        )
    return tuple(_endorsement(listed.record(number)) for number in range(count))


def _endorsement(record: cmw.Record) -> Endorsement:
    _require_indicator(record, "endorsement", cmw.Indicator.ENDORSEMENTS)
    if not isinstance(record.type, str):
        raise EvidenceError("endorsement: expected a media type, got a content format")
    content = _limited(record, "endorsement", MAX_ENDORSEMENT_BYTES)
    return Endorsement(record.type, content)


def _require_indicator(
    record: cmw.Record, label: str, indicator: cmw.Indicator
) -> None:
    if record.indicator != indicator:
        raise EvidenceError(f"{label}: expected the indicator {int(indicator)}")


def _limited(record: cmw.Record, label: str, limit: int) -> bytes:
    if len(record.value) > limit:
        raise EvidenceError(
            f"{label}: expected at most {limit} bytes, got {len(record.value)}"
        )
    return record.value
