"""The collection in which an attestation travels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.protocol import cbor, cmw
from blindai.protocol.attestation import (
    COLLECTION_TYPE,
    KEYSET_TYPE,
    MAX_ATTESTATION_BYTES,
    MAX_ENDORSEMENTS_BYTES,
    MAX_EVIDENCE_BYTES,
    MAX_KEYSET_BYTES,
    MAX_STATEMENT_BYTES,
    PEM_CHAIN_TYPE,
    SEV_SNP_REPORT_TYPE,
    STATEMENT_TYPE,
    encode_attestation,
    parse_attestation,
)

CHAIN = ((PEM_CHAIN_TYPE, b"chain"),)
GOOD: dict[str, object] = {
    "__cmwc_t": COLLECTION_TYPE,
    "keyset": [KEYSET_TYPE, b"keyset"],
    "statement": [STATEMENT_TYPE, b"statement"],
    "evidence": [SEV_SNP_REPORT_TYPE, b"evidence", 4],
    "endorsements": [PEM_CHAIN_TYPE, b"chain", 2],
}


def test_what_is_encoded_is_parsed_again() -> None:
    data = encode_attestation(
        b"keyset", b"statement", SEV_SNP_REPORT_TYPE, b"evidence", CHAIN
    )

    parsed = parse_attestation(data)

    assert parsed.keyset == b"keyset"
    assert parsed.statement == b"statement"
    assert parsed.evidence_type == SEV_SNP_REPORT_TYPE
    assert parsed.evidence == b"evidence"
    assert parsed.endorsements == b"chain"


def test_the_layout_is_the_documented_one() -> None:
    data = encode_attestation(
        b"keyset", b"statement", SEV_SNP_REPORT_TYPE, b"evidence", CHAIN
    )

    assert data == cbor.encode(GOOD)


@pytest.mark.parametrize(
    "endorsements",
    [
        pytest.param((), id="none"),
        pytest.param(CHAIN * 2, id="two"),
        pytest.param((("application/json", b"{}"),), id="another type"),
    ],
)
def test_only_one_certificate_chain_is_encoded(
    endorsements: tuple[tuple[str, bytes], ...],
) -> None:
    with pytest.raises(ValueError, match="expected exactly one"):
        encode_attestation(b"", b"", SEV_SNP_REPORT_TYPE, b"", endorsements)


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
        pytest.param(
            {"endorsements": [PEM_CHAIN_TYPE, b"", 4]},
            "indicator 2",
            id="endorsements kind",
        ),
        pytest.param(
            {"endorsements": ["a/b", b"", 2]}, PEM_CHAIN_TYPE, id="endorsements type"
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
            {"endorsements": [PEM_CHAIN_TYPE, bytes(MAX_ENDORSEMENTS_BYTES + 1), 2]},
            f"endorsements: expected at most {MAX_ENDORSEMENTS_BYTES}",
            id="endorsements size",
        ),
    ],
)
def test_any_other_layout_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_attestation(cbor.encode(GOOD | change))


@pytest.mark.parametrize("label", ["keyset", "statement", "evidence", "endorsements"])
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
