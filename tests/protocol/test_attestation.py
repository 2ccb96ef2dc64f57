"""The collection in which an attestation travels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.protocol import cbor, cmw
from blindai.protocol.attestation import (
    COLLECTION_TYPE,
    CRL_TYPE,
    EVENT_LOG_TYPE,
    KEYSET_TYPE,
    MAX_ATTESTATION_BYTES,
    MAX_ENDORSEMENT_BYTES,
    MAX_ENDORSEMENTS,
    MAX_EVENT_LOG_BYTES,
    MAX_EVIDENCE_BYTES,
    MAX_GPU_BYTES,
    MAX_KEYSET_BYTES,
    MAX_STATEMENT_BYTES,
    NVIDIA_GPU_TYPE,
    PEM_CHAIN_TYPE,
    SEV_SNP_REPORT_TYPE,
    STATEMENT_TYPE,
    Attestation,
    Endorsement,
    Evidence,
    encode_attestation,
    parse_attestation,
)

WHOLE = Attestation(
    keyset=b"keyset",
    statement=b"statement",
    evidence=Evidence(
        media_type=SEV_SNP_REPORT_TYPE,
        evidence=b"evidence",
        endorsements=(
            Endorsement(PEM_CHAIN_TYPE, b"chain"),
            Endorsement(CRL_TYPE, b"list"),
        ),
        event_log=b"log",
    ),
    gpu=b"gpu",
)
LEAST = Attestation(
    keyset=b"keyset",
    statement=b"statement",
    evidence=Evidence(media_type=SEV_SNP_REPORT_TYPE, evidence=b"evidence"),
)
GOOD: dict[str, object] = {
    "__cmwc_t": COLLECTION_TYPE,
    "keyset": [KEYSET_TYPE, b"keyset"],
    "statement": [STATEMENT_TYPE, b"statement"],
    "evidence": [SEV_SNP_REPORT_TYPE, b"evidence", 4],
    "event_log": [EVENT_LOG_TYPE, b"log", 4],
    "gpu": [NVIDIA_GPU_TYPE, b"gpu", 4],
    "endorsements": {0: [PEM_CHAIN_TYPE, b"chain", 2], 1: [CRL_TYPE, b"list", 2]},
}


@pytest.mark.parametrize("parts", [WHOLE, LEAST], ids=["whole", "least"])
def test_what_is_encoded_is_parsed_again(parts: Attestation) -> None:
    assert parse_attestation(encode_attestation(parts)) == parts


def test_the_layout_is_the_documented_one() -> None:
    assert encode_attestation(WHOLE) == cbor.encode(GOOD)


def test_its_parts_are_not_shown() -> None:
    assert b"keyset" not in repr(WHOLE).encode()
    assert "chain" not in repr(WHOLE.evidence.endorsements).replace(PEM_CHAIN_TYPE, "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"__cmwc_t": "tag:other"}, "expected the type", id="other type"),
        pytest.param({"more": [KEYSET_TYPE, b""]}, "the labels", id="one more"),
        pytest.param({"keyset": ["a/b", b""]}, "'keyset'", id="keyset type"),
        pytest.param({"statement": ["a/b", b""]}, "'statement'", id="statement type"),
        pytest.param({"evidence": ["a/b", b"", 2]}, "indicator 4", id="evidence kind"),
        pytest.param({"evidence": ["a/b", b""]}, "indicator 4", id="evidence no kind"),
        pytest.param({"evidence": [60, b"", 4]}, "a media type", id="content format"),
        pytest.param({"event_log": ["a/b", b"", 4]}, "'event_log'", id="log type"),
        pytest.param({"event_log": [EVENT_LOG_TYPE, b""]}, "indicator 4", id="log"),
        pytest.param({"gpu": ["a/b", b"", 4]}, "'gpu'", id="gpu type"),
        pytest.param({"gpu": [NVIDIA_GPU_TYPE, b"", 2]}, "indicator 4", id="gpu kind"),
        pytest.param(
            {"endorsements": [PEM_CHAIN_TYPE, b"", 2]}, "a collection", id="a record"
        ),
        pytest.param(
            {"endorsements": {0: [PEM_CHAIN_TYPE, b"", 4]}},
            "indicator 2",
            id="endorsement kind",
        ),
        pytest.param(
            {"endorsements": {0: [60, b"", 2]}}, "a media type", id="endorsement type"
        ),
        pytest.param(
            {"endorsements": {1: [PEM_CHAIN_TYPE, b"", 2]}},
            "numbered from 0",
            id="endorsement number",
        ),
        pytest.param(
            {
                "endorsements": {
                    number: [PEM_CHAIN_TYPE, b"", 2]
                    for number in range(MAX_ENDORSEMENTS + 1)
                }
            },
            "numbered from 0",
            id="endorsement count",
        ),
        pytest.param(
            {"keyset": [KEYSET_TYPE, bytes(MAX_KEYSET_BYTES + 1)]},
            f"keyset: expected at most {MAX_KEYSET_BYTES}",
            id="keyset size",
        ),
        pytest.param(
            {"statement": [STATEMENT_TYPE, bytes(MAX_STATEMENT_BYTES + 1)]},
            f"statement: expected at most {MAX_STATEMENT_BYTES}",
            id="statement size",
        ),
        pytest.param(
            {"evidence": ["a/b", bytes(MAX_EVIDENCE_BYTES + 1), 4]},
            f"evidence: expected at most {MAX_EVIDENCE_BYTES}",
            id="evidence size",
        ),
        pytest.param(
            {"endorsements": {0: [CRL_TYPE, bytes(MAX_ENDORSEMENT_BYTES + 1), 2]}},
            f"endorsement: expected at most {MAX_ENDORSEMENT_BYTES}",
            id="endorsement size",
        ),
        pytest.param(
            {"event_log": [EVENT_LOG_TYPE, bytes(MAX_EVENT_LOG_BYTES + 1), 4]},
            f"event_log: expected at most {MAX_EVENT_LOG_BYTES}",
            id="log size",
        ),
        pytest.param(
            {"gpu": [NVIDIA_GPU_TYPE, bytes(MAX_GPU_BYTES + 1), 4]},
            f"gpu: expected at most {MAX_GPU_BYTES}",
            id="gpu size",
        ),
    ],
)
def test_any_other_layout_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_attestation(cbor.encode(GOOD | change))


@pytest.mark.parametrize("label", ["keyset", "statement", "evidence"])
def test_no_part_may_be_missing(label: str) -> None:
    rest = {key: value for key, value in GOOD.items() if key != label}

    with pytest.raises(EvidenceError, match="expected the labels"):
        parse_attestation(cbor.encode(rest))


def test_a_record_alone_is_refused() -> None:
    with pytest.raises(EvidenceError, match="got a record"):
        parse_attestation(cmw.encode(cmw.Record("a/b", b"")))


def test_size_is_limited_before_parsing() -> None:
    with pytest.raises(EvidenceError, match=f"at most {MAX_ATTESTATION_BYTES} bytes"):
        parse_attestation(bytes(MAX_ATTESTATION_BYTES + 1))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_value_or_the_one_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_attestation(data)
