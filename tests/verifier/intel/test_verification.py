"""Intel's procedure on made-up evidence: what it finds, and how it is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.verifier.intel.made_up import (
    ENCLAVE,
    INTEL,
    OLDER_TRUST_DOMAIN,
    TRUST_DOMAIN,
    changed,
    statement,
    verify,
    with_parts,
)

from blindai.errors import EvidenceError, VerificationError
from blindai.protocol.attestation import (
    PEM_CHAIN_TYPE,
    SGX_QUOTE_TYPE,
    TDX_QUOTE_TYPE,
    Endorsement,
    Evidence,
)
from blindai.testing.vendors.intel import (
    PROCESSOR_AUTHORITY,
    Enclave,
    TrustDomain,
)
from blindai.testing.vendors.intel_parts import (
    SEPT_VE_DISABLE,
    Platform,
    as_version_2,
)
from blindai.testing.vendors.pki import pem
from blindai.verifier import SgxClaims, TdxClaims
from blindai.verifier.intel.claims import PlatformClaims

Body = Enclave | TrustDomain
REPORT_DATA = bytes(range(64))
PLATFORM = PlatformClaims(
    tcb_status="UpToDate",
    tcb_date=datetime(2026, 2, 11, tzinfo=UTC),
    advisory_ids=(),
    tcb_evaluation_data_number=20,
    fmspc=bytes.fromhex("b0c06f000000"),
    pce_id=bytes(2),
    pce_svn=13,
    cpu_svn=b"\x05" * 16,
    dynamic_platform=True,
    cached_keys=True,
    smt_enabled=True,
)


def test_an_enclave_is_what_its_report_says() -> None:
    verified, procedure = verify(INTEL.evidence(ENCLAVE, REPORT_DATA))

    claims = verified.claims
    assert verified.root.name == "made-up root"
    assert claims.tee == "sgx"
    assert claims.measurement == ENCLAVE.mr_enclave
    assert claims.report_data == REPORT_DATA
    assert not claims.debug
    assert claims.of(SgxClaims) == SgxClaims(
        mr_enclave=ENCLAVE.mr_enclave,
        mr_signer=ENCLAVE.mr_signer,
        isv_prod_id=7,
        isv_svn=3,
        isv_ext_prod_id=bytes(16),
        isv_family_id=bytes(16),
        attributes=b"\x05" + bytes(7) + b"\xe7" + bytes(7),
        misc_select=bytes(4),
        config_id=bytes(64),
        config_svn=0,
        platform=PLATFORM,
    )
    assert not procedure.transcript.refusals


@pytest.mark.parametrize("body", [TRUST_DOMAIN, OLDER_TRUST_DOMAIN])
def test_a_trust_domain_is_what_its_report_says(body: TrustDomain) -> None:
    verified, procedure = verify(INTEL.evidence(body, REPORT_DATA))

    claims = verified.claims
    assert claims.tee == "tdx"
    assert claims.measurement == body.mr_td
    assert claims.report_data == REPORT_DATA
    assert not claims.debug
    assert claims.of(TdxClaims) == TdxClaims(
        mr_td=body.mr_td,
        rtmr=body.rtmr,
        td_attributes=SEPT_VE_DISABLE,
        xfam=bytes.fromhex("e702060000000000"),
        mr_config_id=bytes(48),
        mr_owner=bytes(48),
        mr_owner_config=bytes(48),
        mr_seam=body.mr_seam,
        mr_signer_seam=bytes(48),
        tee_tcb_svn=body.tee_tcb_svn,
        tee_tcb_svn2=body.tee_tcb_svn2 if body.newer else None,
        mr_service_td=bytes(48),
        platform=PLATFORM,
    )
    assert not procedure.transcript.refusals


def test_a_trust_domain_of_tdx_1_0_may_be_quoted_in_version_5() -> None:
    verified, _ = verify(with_parts(OLDER_TRUST_DOMAIN, 5))

    assert verified.claims.tee == "tdx"


@pytest.mark.parametrize(
    ("body", "debug"),
    [
        pytest.param(Enclave(flags=0x05), False, id="SGX"),
        pytest.param(Enclave(flags=0x07), True, id="SGX debug"),
        pytest.param(TRUST_DOMAIN, False, id="TDX"),
        *(
            pytest.param(
                TrustDomain(td_attributes=SEPT_VE_DISABLE | 1 << bit),
                True,
                id=f"TDX bit {bit}",
            )
            for bit in (0, 4, 5, 6)
        ),
    ],
)
def test_debug_mode_is_a_claim(body: Body, debug: bool) -> None:  # noqa: FBT001  table
    verified, _ = verify(INTEL.evidence(body))

    assert verified.claims.debug is debug


def test_the_attributes_of_a_trust_domain_have_names() -> None:
    claims = verify(INTEL.evidence(TrustDomain(td_attributes=1 << 29)))[0].claims

    assert claims.of(TdxClaims).migratable
    assert not claims.of(TdxClaims).sept_ve_disable


def test_the_other_authority_s_platforms_count_too() -> None:
    processor = changed(
        authority_name=PROCESSOR_AUTHORITY, platform=Platform(configuration=None)
    )

    platform = verify(processor.evidence(ENCLAVE))[0].claims.of(SgxClaims).platform

    assert platform.smt_enabled is None


def test_older_tcb_information_counts_too() -> None:
    older = changed(change_tcb_info=as_version_2)

    platform = verify(older.evidence(ENCLAVE))[0].claims.of(SgxClaims).platform

    assert platform == PLATFORM


def test_the_round_of_evaluation_is_the_earlier_one() -> None:
    older = changed(change_qe_identity=statement(tcbEvaluationDataNumber=19))

    platform = verify(older.evidence(ENCLAVE))[0].claims.of(SgxClaims).platform

    assert platform.tcb_evaluation_data_number == 19


def test_a_quote_of_the_other_tee_is_refused() -> None:
    sgx, tdx = INTEL.evidence(ENCLAVE), INTEL.evidence(TRUST_DOMAIN)

    with pytest.raises(EvidenceError, match="expected a trust domain's"):
        verify(replace(sgx, media_type=TDX_QUOTE_TYPE))
    with pytest.raises(EvidenceError, match="expected an SGX enclave's"):
        verify(replace(tdx, media_type=SGX_QUOTE_TYPE))


def test_without_collateral_there_is_no_verdict() -> None:
    evidence = Evidence(media_type=SGX_QUOTE_TYPE, evidence=INTEL.quote(ENCLAVE))

    with pytest.raises(EvidenceError, match="Intel's collateral, got none"):
        verify(evidence)


def test_more_certificates_change_nothing() -> None:
    evidence = INTEL.evidence(ENCLAVE)
    more = Endorsement(PEM_CHAIN_TYPE, pem(INTEL.root.certificate))
    stapled = replace(evidence, endorsements=(*evidence.endorsements, more))

    assert verify(stapled)[0].claims == verify(evidence)[0].claims


@pytest.mark.parametrize("body", [ENCLAVE, TRUST_DOMAIN])
def test_what_follows_the_quote_means_nothing(body: Body) -> None:
    evidence = INTEL.evidence(body)
    longer = replace(evidence, evidence=evidence.evidence + b"more")

    assert verify(longer)[0].claims == verify(evidence)[0].claims


@pytest.mark.parametrize("body", [ENCLAVE, TRUST_DOMAIN, OLDER_TRUST_DOMAIN])
def test_every_changed_byte_of_what_is_signed_is_refused(body: Body) -> None:
    evidence = INTEL.evidence(body)
    signed = len(INTEL.quote_parts(body, bytes(64), _version(body)).signed)

    for offset in range(0, signed, 7):
        data = bytearray(evidence.evidence)
        data[offset] ^= 1 << offset % 8
        with pytest.raises((EvidenceError, VerificationError)):
            verify(replace(evidence, evidence=bytes(data)))


def _version(body: Body) -> int:
    if isinstance(body, Enclave):
        return 3
    return 5 if body.newer else 4
