"""What a policy refuses of Intel's TEEs, and what it lets pass: one line each."""

from __future__ import annotations

import pytest
from tests.verifier.intel.appraised import (
    OTHER_32,
    OTHER_48,
    Body,
    accept,
    on,
    sgx,
    tdx,
)
from tests.verifier.intel.made_up import (
    ENCLAVE,
    INTEL,
    TRUST_DOMAIN,
    changed,
)

from blindai.errors import AppraisalError
from blindai.testing.vendors.intel import Enclave, Intel, TrustDomain
from blindai.testing.vendors.intel_parts import SEPT_VE_DISABLE, Platform
from blindai.verifier import (
    Policy,
)

OUT_OF_DATE = changed(platform=Platform(components=(3,) * 16))
HARDENING = changed(platform=Platform(components=(4,) * 16))
SILENT = changed(platform=Platform(configuration=None))
NO_SMT = changed(platform=Platform(configuration=(True, True, False)))
ADVISORIES = ("INTEL-SA-00289", "INTEL-SA-00615")


@pytest.mark.parametrize(
    ("body", "policy", "made_by", "message"),
    [
        pytest.param(
            ENCLAVE,
            sgx(),
            OUT_OF_DATE,
            "TCB status: expected UpToDate, got OutOfDate, 2026-02-11",
            id="out of date",
        ),
        pytest.param(
            TRUST_DOMAIN, tdx(), OUT_OF_DATE, "TCB status: expected", id="TDX, likewise"
        ),
        pytest.param(
            ENCLAVE,
            on(tcb_statuses=("SWHardeningNeeded",), rejected_advisories=ADVISORIES[1:]),
            HARDENING,
            "open advisories: expected any that go .* and not INTEL-SA-00615, got INTE",
            id="rejected advisory",
        ),
        pytest.param(
            ENCLAVE,
            on(tcb_statuses=("OutOfDate",), accepted_advisories=ADVISORIES[1:]),
            OUT_OF_DATE,
            "open advisories: expected none but INTEL-SA-00615, got INTEL-SA-00289",
            id="advisory that is not accepted",
        ),
        pytest.param(
            ENCLAVE,
            on(
                tcb_statuses=("OutOfDate",),
                accepted_advisories=ADVISORIES,
                rejected_advisories=ADVISORIES[1:],
            ),
            OUT_OF_DATE,
            "open advisories: expected none but INTEL-SA-00289, INTEL-SA-00615, and not"
            " INTEL-SA-00615, got INTEL-SA-00289, INTEL-SA-00615",
            id="advisory that is accepted and rejected",
        ),
        pytest.param(
            ENCLAVE,
            on(minimum_tcb_evaluation_data_number=21),
            INTEL,
            "TCB evaluation data number: expected at least 21, got 20",
            id="evaluation",
        ),
        pytest.param(
            ENCLAVE,
            on(allow_smt=False),
            INTEL,
            "simultaneous multithreading: expected off, got on",
            id="multithreading",
        ),
        pytest.param(
            ENCLAVE,
            on(allow_smt=False),
            SILENT,
            "simultaneous multithreading: expected off, got not said",
            id="multithreading not spoken of",
        ),
        pytest.param(
            Enclave(flags=0x07),
            sgx(),
            INTEL,
            "debug mode: expected off, got on",
            id="SGX debug",
        ),
        pytest.param(
            TrustDomain(td_attributes=SEPT_VE_DISABLE | 1),
            tdx(),
            INTEL,
            "debug mode: expected off, got on",
            id="TDX debug",
        ),
        pytest.param(
            TrustDomain(td_attributes=0),
            tdx(),
            INTEL,
            r"exceptions by the host \(SEPT_VE\): expected off, got on",
            id="SEPT_VE",
        ),
        pytest.param(
            TrustDomain(td_attributes=SEPT_VE_DISABLE | 1 << 29),
            tdx(),
            INTEL,
            "migration: expected off, got on",
            id="migration",
        ),
        pytest.param(
            ENCLAVE,
            sgx(mr_enclave=(OTHER_32,)),
            INTEL,
            f"MRENCLAVE: expected {OTHER_32.hex()}, got {'e1' * 32}",
            id="MRENCLAVE",
        ),
        pytest.param(
            ENCLAVE,
            sgx(mr_signer=(OTHER_32,), isv_prod_ids=(7,)),
            INTEL,
            "MRSIGNER: expected 6f",
            id="MRSIGNER",
        ),
        pytest.param(
            ENCLAVE,
            sgx(mr_signer=(ENCLAVE.mr_signer,), isv_prod_ids=(8, 9)),
            INTEL,
            "ISVPRODID: expected 8 or 9, got 7",
            id="ISVPRODID",
        ),
        pytest.param(
            ENCLAVE,
            sgx(minimum_isv_svn=4),
            INTEL,
            "ISVSVN: expected at least 4, got 3",
            id="ISVSVN",
        ),
        pytest.param(
            ENCLAVE,
            sgx(minimum_config_svn=1),
            INTEL,
            "CONFIGSVN: expected at least 1, got 0",
            id="CONFIGSVN",
        ),
        pytest.param(
            ENCLAVE,
            sgx(attributes=b"\x15" + bytes(15), attributes_mask=b"\xff" * 8 + bytes(8)),
            INTEL,
            "accepted attributes: expected 1500000000000000",
            id="attributes",
        ),
        pytest.param(
            ENCLAVE,
            sgx(attributes=b"\x05" + bytes(15)),
            INTEL,
            "accepted attributes: expected 05.*, got 0500000000000000e7",
            id="attributes without a mask",
        ),
        pytest.param(
            ENCLAVE,
            sgx(misc_select=b"\x01\x00\x00\x00"),
            INTEL,
            "accepted MISCSELECT: expected 01000000, got 00000000",
            id="MISCSELECT",
        ),
        pytest.param(
            ENCLAVE, sgx(config_ids=(b"c" * 64,)), INTEL, "CONFIGID: exp", id="CONFIGID"
        ),
        pytest.param(
            ENCLAVE,
            sgx(isv_family_ids=(b"c" * 16,)),
            INTEL,
            "ISVFAMILYID: exp",
            id="ISVFAMILYID",
        ),
        pytest.param(
            ENCLAVE,
            sgx(isv_ext_prod_ids=(b"c" * 16,)),
            INTEL,
            "ISVEXTPRODID: exp",
            id="ISVEXTPRODID",
        ),
        pytest.param(
            TRUST_DOMAIN, tdx(mr_td=(OTHER_48,)), INTEL, "MRTD: expected 6f", id="MRTD"
        ),
        *(
            pytest.param(
                TRUST_DOMAIN,
                tdx(**{f"rtmr{n}": (OTHER_48,)}),
                INTEL,
                f"RTMR{n}: expected 6f.*, got 0{n}",
                id=f"RTMR{n}",
            )
            for n in range(4)
        ),
        pytest.param(
            TRUST_DOMAIN,
            tdx(xfam=(bytes(8),)),
            INTEL,
            "XFAM: expected 00.*, got e702060000000000",
            id="XFAM",
        ),
        *(
            pytest.param(
                TRUST_DOMAIN, tdx(**{key: (OTHER_48,)}), INTEL, f"{name}: exp", id=name
            )
            for key, name in (
                ("mr_seam", "MRSEAM"),
                ("mr_config_id", "MRCONFIGID"),
                ("mr_owner", "MROWNER"),
                ("mr_owner_config", "MROWNERCONFIG"),
                ("mr_service_td", "MRSERVICETD"),
            )
        ),
        pytest.param(
            TrustDomain(mr_service_td=b"s" * 48),
            tdx(),
            INTEL,
            "MRSERVICETD: expected 00.*, got 73",
            id="a service trust domain",
        ),
        pytest.param(
            ENCLAVE, tdx(), INTEL, "kind of TEE: expected tdx, got sgx", id="no SGX"
        ),
        pytest.param(
            TRUST_DOMAIN,
            sgx(),
            INTEL,
            "kind of TEE: expected sgx, got tdx",
            id="no TDX",
        ),
    ],
)
def test_refuses(body: Body, policy: Policy, made_by: Intel, message: str) -> None:
    with pytest.raises(AppraisalError, match=message):
        accept(body, policy, made_by)


@pytest.mark.parametrize(
    ("body", "policy", "made_by"),
    [
        pytest.param(
            ENCLAVE,
            on(tcb_statuses=("UpToDate", "OutOfDate")),
            OUT_OF_DATE,
            id="status",
        ),
        pytest.param(
            ENCLAVE,
            on(
                tcb_statuses=("OutOfDate",),
                accepted_advisories=ADVISORIES,
                rejected_advisories=("INTEL-SA-00001",),
            ),
            OUT_OF_DATE,
            id="advisories",
        ),
        pytest.param(ENCLAVE, on(allow_smt=False), NO_SMT, id="no multithreading"),
        pytest.param(
            Enclave(flags=0x07), sgx(insecure_allow_debug=True), INTEL, id="SGX debug"
        ),
        pytest.param(
            TrustDomain(td_attributes=SEPT_VE_DISABLE | 1),
            tdx(insecure_allow_debug=True),
            INTEL,
            id="TDX debug",
        ),
        pytest.param(
            TrustDomain(td_attributes=0),
            tdx(allow_sept_ve_enabled=True),
            INTEL,
            id="SEPT_VE",
        ),
        pytest.param(
            TrustDomain(td_attributes=SEPT_VE_DISABLE | 1 << 29),
            tdx(allow_migration=True),
            INTEL,
            id="migration",
        ),
    ],
)
def test_accepts_what_the_policy_allows(
    body: Body, policy: Policy, made_by: Intel
) -> None:
    assert not accept(body, policy, made_by).transcript.refusals
