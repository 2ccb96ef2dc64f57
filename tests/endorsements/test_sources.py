"""Which documents belong to which evidence."""

from __future__ import annotations

import pytest
from tests.endorsements.conftest import report, sgx, snp
from tests.vectors import FOLDER, needs_vectors

from blindai.endorsements.amd import SnpPlan
from blindai.endorsements.intel import INTEL, QuotePlan
from blindai.endorsements.sources import COVERED, Addresses, plan
from blindai.errors import ConfigurationError, EvidenceError
from blindai.protocol.attestation import (
    AZURE_SNP_TYPE,
    AZURE_TDX_TYPE,
    NITRO_DOCUMENT_TYPE,
    SEV_SNP_REPORT_TYPE,
    SGX_QUOTE_TYPE,
    SIMULATED_SEV_SNP_REPORT_TYPE,
    TDX_QUOTE_TYPE,
    TPM_QUOTE_TYPE,
    Evidence,
)

ADDRESSES = Addresses(amd="https://kds.test", intel="https://pccs.test")
HCL = b"\xa2" + bytes(40) + b"HCLA" + bytes(28) + report() + b"runtime data"


@pytest.mark.parametrize(
    ("media_type", "evidence", "start"),
    [
        (SEV_SNP_REPORT_TYPE, report(), "https://kds.test/vcek/v1/Genoa/"),
        (AZURE_SNP_TYPE, HCL, "https://kds.test/vcek/v1/Genoa/"),
        (SGX_QUOTE_TYPE, sgx().evidence, "https://pccs.test/sgx/certification/v4/tcb"),
        (TDX_QUOTE_TYPE, sgx().evidence, "https://pccs.test/tdx/certification/v4/tcb"),
        (AZURE_TDX_TYPE, sgx().evidence, "https://pccs.test/tdx/certification/v4/tcb"),
    ],
)
def test_evidence_has_a_plan(media_type: str, evidence: bytes, start: str) -> None:
    (found,) = plan(Evidence(media_type=media_type, evidence=evidence), ADDRESSES)

    assert found.requests[0].url.startswith(start)
    assert media_type in COVERED


@pytest.mark.parametrize(
    "media_type",
    [NITRO_DOCUMENT_TYPE, TPM_QUOTE_TYPE, SIMULATED_SEV_SNP_REPORT_TYPE, "text/html"],
)
def test_other_evidence_needs_nothing(media_type: str) -> None:
    assert plan(Evidence(media_type=media_type, evidence=b""), ADDRESSES) == ()
    assert media_type not in COVERED


def test_azures_evidence_without_its_report_is_refused() -> None:
    with pytest.raises(EvidenceError, match="expected an HCL report, got none"):
        plan(Evidence(media_type=AZURE_SNP_TYPE, evidence=bytes(3000)), ADDRESSES)


def test_the_default_addresses_are_the_vendors() -> None:
    (snp_plan,) = plan(snp(), Addresses())
    (sgx_plan,) = plan(sgx(), Addresses())

    assert isinstance(snp_plan, SnpPlan)
    assert isinstance(sgx_plan, QuotePlan)
    assert snp_plan.revoked.url == "https://kdsintf.amd.com/vcek/v1/Genoa/crl"
    assert sgx_plan.pck_crl.host == "api.trustedservices.intel.com"
    assert sgx_plan.root_crl.host == "certificates.trustedservices.intel.com"


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://pccs.test:8081/", "https://pccs.test:8081"),
        ("https://pccs.test/sgx/certification/v4/", "https://pccs.test"),
        (f"{INTEL}/sgx/certification/v4", INTEL),
        ("https://mirror.test/intel", "https://mirror.test/intel"),
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("http://[::1]:8081", "http://[::1]:8081"),
        ("http://localhost:8081", "http://localhost:8081"),
    ],
)
def test_an_address_is_taken(address: str, kept: str) -> None:
    assert Addresses(intel=address).intel == kept
    assert Addresses(amd=address).amd == kept


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("", id="nothing"),
        pytest.param("kds.test", id="no scheme"),
        pytest.param("https://", id="no host"),
        pytest.param("http://kds.test", id="http over a network"),
        pytest.param("http://10.0.0.1", id="http to another machine"),
        pytest.param("ftp://127.0.0.1", id="another scheme"),
        pytest.param("https://user@kds.test", id="a user"),
        pytest.param("https://kds.test/?key=1", id="a query"),
        pytest.param("https://kds.test/#a", id="a fragment"),
        pytest.param("https://[::1", id="no URL"),
    ],
)
def test_another_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"endorsements address \(amd\)"):
        Addresses(amd=address)


@needs_vectors
def test_a_genuine_quote_has_a_plan() -> None:
    quote = (FOLDER / "tdx" / "gotdx_cos113_v4_quote.bin").read_bytes()

    (found,) = plan(Evidence(media_type=TDX_QUOTE_TYPE, evidence=quote), ADDRESSES)

    assert "/tdx/certification/v4/tcb?fmspc=" in found.requests[0].url
