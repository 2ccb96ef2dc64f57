"""Where evidence says what was launched and bound: held against genuine evidence."""

from __future__ import annotations

from pathlib import Path

import cbor2
import pytest
from tests.attester.conftest import BOUND, sgx_quote, snp_report, tdx_quote

from blindai.attester.evidence_fields import measurement, require_bound
from blindai.errors import HardwareError
from blindai.protocol.attestation import (
    NITRO_DOCUMENT_TYPE,
    SEV_SNP_REPORT_TYPE,
    SGX_QUOTE_TYPE,
    TDX_QUOTE_TYPE,
    TPM_QUOTE_TYPE,
    Evidence,
)
from blindai.testing import NOW
from blindai.testing.vendors.aws import Aws

VECTORS = Path(__file__).parents[3] / "shared" / "vectors"
needs_vectors = pytest.mark.skipif(
    not VECTORS.exists(), reason="the genuine evidence is not beside this repository"
)


@pytest.mark.parametrize(
    ("media_type", "quote"),
    [
        (SEV_SNP_REPORT_TYPE, snp_report(BOUND)),
        (SGX_QUOTE_TYPE, sgx_quote(BOUND)),
        (TDX_QUOTE_TYPE, tdx_quote(BOUND)),
        (TDX_QUOTE_TYPE, tdx_quote(BOUND, version=5)),
    ],
)
class TestBound:
    """Evidence that binds other bytes does not leave the attester."""

    def test_evidence_that_binds_what_was_given(
        self, media_type: str, quote: bytes
    ) -> None:
        evidence = Evidence(media_type=media_type, evidence=quote)

        assert require_bound(evidence, BOUND) is evidence

    @pytest.mark.parametrize("changed", [0, 31, 32, 63])
    def test_evidence_that_binds_anything_else(
        self, media_type: str, quote: bytes, changed: int
    ) -> None:
        other = bytearray(BOUND)
        other[changed] ^= 1

        with pytest.raises(HardwareError, match="bind what the device was given"):
            require_bound(Evidence(media_type=media_type, evidence=quote), bytes(other))

    def test_evidence_that_ends_before(self, media_type: str, quote: bytes) -> None:
        short = quote[: quote.index(BOUND) + 63]

        with pytest.raises(HardwareError, match="bind what the device was given"):
            require_bound(Evidence(media_type=media_type, evidence=short), BOUND)


def test_types_that_are_not_known() -> None:
    evidence = Evidence(media_type=TPM_QUOTE_TYPE, evidence=BOUND)

    with pytest.raises(ValueError, match="expected a known type"):
        require_bound(evidence, BOUND)
    assert measurement(evidence) is None


@pytest.mark.parametrize(
    ("document", "register"),
    [
        (Aws().document(now=NOW), b"\x01" * 48),
        (b"", None),
        (cbor2.dumps([1, 2, 3, 4]), None),
        (cbor2.dumps([b"", {}, b"\xff", b""]), None),
        (cbor2.dumps([b"", {}, cbor2.dumps({"pcrs": {1: b"x"}}), b""]), None),
    ],
)
def test_a_nitro_document_s_measurement_is_register_0(
    document: bytes, register: bytes | None
) -> None:
    evidence = Evidence(media_type=NITRO_DOCUMENT_TYPE, evidence=document)

    assert measurement(evidence) == register


@needs_vectors
@pytest.mark.parametrize(
    ("media_type", "name", "expected"),
    [
        (SEV_SNP_REPORT_TYPE, "snp/trustee_milan_report.bin", "a1f3930413247bb3"),
        (SGX_QUOTE_TYPE, "sgx/blindai_sgx_v3_quote.bin", "56964b3ed1e5533d"),
        (TDX_QUOTE_TYPE, "tdx/phala_tdx_v4_quote.bin", "91eb2b44"),
        (TDX_QUOTE_TYPE, "tdx/gotdx_tdx15_v5_quote.bin", "7348651a"),
    ],
)
def test_the_measurement_of_genuine_evidence_is_read(
    media_type: str, name: str, expected: str
) -> None:
    quote = (VECTORS / name).read_bytes()

    launched = measurement(Evidence(media_type=media_type, evidence=quote))

    assert launched is not None
    assert launched.hex().startswith(expected)
