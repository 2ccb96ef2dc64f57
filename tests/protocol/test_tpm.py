"""How a TPM's evidence travels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.protocol import cbor
from blindai.protocol.tpm import (
    TpmEvidence,
    parse_azure_snp_evidence,
    parse_azure_tdx_evidence,
    parse_tpm_evidence,
)

PCRS = {"sha256": {0: bytes(32), 23: b"\xff" * 32}, "sha1": {4: bytes(20)}}
TPM = TpmEvidence(quote=b"quote", signature=b"signature", pcrs=PCRS)
AZURE_SNP = TpmEvidence(
    quote=b"quote", signature=b"signature", pcrs=PCRS, hcl_report=b"report"
)
AZURE_TDX = TpmEvidence(
    quote=b"quote",
    signature=b"signature",
    pcrs=PCRS,
    hcl_report=b"report",
    td_quote=b"td",
)


@pytest.mark.parametrize(
    ("evidence", "parse"),
    [
        (TPM, parse_tpm_evidence),
        (AZURE_SNP, parse_azure_snp_evidence),
        (AZURE_TDX, parse_azure_tdx_evidence),
    ],
)
def test_evidence_is_read_as_it_was_written(
    evidence: TpmEvidence, parse: Callable[[bytes], TpmEvidence]
) -> None:
    assert parse(evidence.encode()) == evidence


@pytest.mark.parametrize(
    ("evidence", "parse"),
    [
        (AZURE_SNP, parse_tpm_evidence),
        (TPM, parse_azure_snp_evidence),
        (AZURE_TDX, parse_azure_snp_evidence),
        (AZURE_SNP, parse_azure_tdx_evidence),
    ],
)
def test_one_kind_is_not_another(
    evidence: TpmEvidence, parse: Callable[[bytes], TpmEvidence]
) -> None:
    with pytest.raises(EvidenceError, match="expected a map of"):
        parse(evidence.encode())


def changed(**fields: object) -> bytes:
    honest = {"quote": b"", "signature": b"", "pcrs": {"sha256": {"0": bytes(32)}}}
    return cbor.encode(honest | fields)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "CBOR: expected one", id="empty"),
        pytest.param(cbor.encode([]), "a map of", id="a list"),
        pytest.param(changed(ak=b""), "a map of", id="a key too many"),
        pytest.param(changed(quote="text"), "quote: expected at most", id="text"),
        pytest.param(changed(quote=bytes(1025)), "at most 1024", id="quote"),
        pytest.param(changed(signature=bytes(1025)), "at most 1024", id="signature"),
        pytest.param(changed(pcrs=[]), "expected banks", id="no banks"),
        pytest.param(changed(pcrs={"md5": {}}), "expected banks", id="a bank"),
        pytest.param(changed(pcrs={"sha1": []}), "registers 0 to 23", id="registers"),
        pytest.param(
            changed(pcrs={"sha1": {"24": bytes(20)}}), "0 to 23", id="register 24"
        ),
        pytest.param(
            changed(pcrs={"sha1": {"00": bytes(20)}}), "0 to 23", id="register 00"
        ),
        pytest.param(
            changed(pcrs={"sha1": {"0": bytes(32)}}), "digests of 20", id="digest"
        ),
        pytest.param(
            changed(pcrs={"sha1": {"0": "x" * 20}}), "digests of 20", id="text"
        ),
    ],
)
def test_other_bytes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_tpm_evidence(data)


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"hcl_report": bytes(8193), "td_quote": b""}, "hcl_report: .* 8192"),
        ({"hcl_report": b"", "td_quote": bytes(32769)}, "td_quote: .* 32768"),
    ],
)
def test_what_azure_adds_has_limits(fields: dict[str, object], limit: str) -> None:
    with pytest.raises(EvidenceError, match=limit):
        parse_azure_tdx_evidence(changed(**fields))


@given(st.binary(max_size=64))
def test_any_bytes_give_evidence_or_the_one_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_tpm_evidence(data)
