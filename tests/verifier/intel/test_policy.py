"""The tables `[sgx]` and `[tdx]` of a policy file."""

from __future__ import annotations

import pytest

from blindai.errors import ConfigurationError
from blindai.verifier import PlatformPolicy, Policy, SgxPolicy, TdxPolicy

SGX = f"""
version = 1
[sgx]
mr_enclave = ["{"a1" * 32}", "{"a2" * 32}"]
mr_signer = ["{"b1" * 32}"]
isv_prod_ids = [0, 65535]
minimum_isv_svn = 2
attributes = "{"05" * 16}"
attributes_mask = "{"0f" * 16}"
misc_select = "00000001"
config_ids = ["{"c1" * 64}"]
minimum_config_svn = 3
isv_family_ids = ["{"d1" * 16}"]
isv_ext_prod_ids = ["{"e1" * 16}"]
insecure_allow_debug = true
[sgx.platform]
tcb_statuses = ["UpToDate", "SWHardeningNeeded"]
accepted_advisories = ["INTEL-SA-00615"]
rejected_advisories = ["INTEL-SA-00289"]
minimum_tcb_evaluation_data_number = 17
allow_smt = false
"""
TDX = f"""
version = 1
[tdx]
mr_td = ["{"a1" * 48}"]
rtmr0 = ["{"b0" * 48}"]
rtmr1 = ["{"b1" * 48}"]
rtmr2 = ["{"b2" * 48}"]
rtmr3 = ["{"b3" * 48}"]
xfam = ["e702060000000000"]
mr_seam = ["{"c1" * 48}"]
mr_config_id = ["{"c2" * 48}"]
mr_owner = ["{"c3" * 48}"]
mr_owner_config = ["{"c4" * 48}"]
mr_service_td = ["{"c5" * 48}"]
allow_firmware_alone = true
allow_sept_ve_enabled = true
allow_migration = true
insecure_allow_debug = true
platform = {{ tcb_statuses = ["OutOfDate"] }}
"""


def test_every_key_of_sgx_is_read() -> None:
    assert Policy.parse(SGX).sgx == SgxPolicy(
        mr_enclave=(b"\xa1" * 32, b"\xa2" * 32),
        mr_signer=(b"\xb1" * 32,),
        isv_prod_ids=(0, 65535),
        minimum_isv_svn=2,
        attributes=b"\x05" * 16,
        attributes_mask=b"\x0f" * 16,
        misc_select=b"\x00\x00\x00\x01",
        config_ids=(b"\xc1" * 64,),
        minimum_config_svn=3,
        isv_family_ids=(b"\xd1" * 16,),
        isv_ext_prod_ids=(b"\xe1" * 16,),
        platform=PlatformPolicy(
            tcb_statuses=("UpToDate", "SWHardeningNeeded"),
            accepted_advisories=("INTEL-SA-00615",),
            rejected_advisories=("INTEL-SA-00289",),
            minimum_tcb_evaluation_data_number=17,
            allow_smt=False,
        ),
        insecure_allow_debug=True,
    )


def test_every_key_of_tdx_is_read() -> None:
    assert Policy.parse(TDX).tdx == TdxPolicy(
        mr_td=(b"\xa1" * 48,),
        rtmr0=(b"\xb0" * 48,),
        rtmr1=(b"\xb1" * 48,),
        rtmr2=(b"\xb2" * 48,),
        rtmr3=(b"\xb3" * 48,),
        xfam=(bytes.fromhex("e702060000000000"),),
        mr_seam=(b"\xc1" * 48,),
        mr_config_id=(b"\xc2" * 48,),
        mr_owner=(b"\xc3" * 48,),
        mr_owner_config=(b"\xc4" * 48,),
        mr_service_td=(b"\xc5" * 48,),
        platform=PlatformPolicy(tcb_statuses=("OutOfDate",)),
        allow_firmware_alone=True,
        allow_sept_ve_enabled=True,
        allow_migration=True,
        insecure_allow_debug=True,
    )


@pytest.mark.parametrize("text", [SGX, TDX])
def test_a_policy_is_written_as_it_is_read(text: str) -> None:
    policy = Policy.parse(text)

    (table,) = (key for key in ("sgx", "tdx") if key in policy.to_json())
    assert policy.tees == (table,)
    assert policy.digest != Policy.parse(text.replace("a1", "a9")).digest


def sgx(line: str) -> str:
    return f'version = 1\n[sgx]\nmr_enclave = ["{"a1" * 32}"]\n{line}'


def tdx(line: str) -> str:
    return f'version = 1\n[tdx]\nmr_td = ["{"a1" * 48}"]\n{line}'


@pytest.mark.parametrize(
    "line",
    [
        f'rtmr1 = ["{"b1" * 48}"]',
        "allow_firmware_alone = true",
    ],
)
def test_firmware_with_a_kernel_is_enough(line: str) -> None:
    assert Policy.parse(tdx(line)).tees == ("tdx",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "version = 1\n[sgx]",
            "sgx: expected mr_enclave or mr_signer, got none",
            id="no enclave",
        ),
        pytest.param(
            sgx(f'attributes_mask = "{"0f" * 16}"'),
            "sgx: attributes: expected the bits that attributes_mask is for",
            id="a mask of nothing",
        ),
        pytest.param(
            tdx(f'rtmr2 = ["{"b2" * 48}"]'),
            "tdx: rtmr1: expected what the firmware may start",
            id="what any kernel can extend",
        ),
        pytest.param(
            f'version = 1\n[sgx]\nmr_signer = ["{"b1" * 32}"]',
            "sgx: isv_prod_ids: expected the products that are meant",
            id="any product of a signer",
        ),
        pytest.param(
            f'version = 1\n[tdx]\nrtmr1 = ["{"b1" * 48}"]',
            "tdx: expected mr_td, got none",
            id="no firmware",
        ),
        pytest.param(
            tdx(""), "tdx: rtmr1: expected what the firmware may", id="kernel"
        ),
        pytest.param(
            tdx(f'rtmr0 = ["{"b0" * 48}"]\nrtmr3 = ["{"b3" * 48}"]'),
            "tdx: rtmr1: expected what the firmware may",
            id="other registers",
        ),
        pytest.param(
            sgx('platform = { tcb_statuses = ["Revoked"] }'),
            "tcb_statuses: expected one of .*, got 'Revoked'",
            id="revoked",
        ),
        pytest.param(
            sgx('platform = { tcb_statuses = ["uptodate"] }'),
            "did you mean 'UpToDate'",
            id="unknown status",
        ),
        pytest.param(
            sgx("platform = { tcb_statuses = [] }"), "a list of 1 to", id="no status"
        ),
        pytest.param(sgx("isv_prod_ids = [65536]"), "0 to 65535", id="product"),
        pytest.param(sgx('attributes = "05"'), "16 bytes in hex", id="attributes"),
        pytest.param(sgx('misc_select = "05"'), "4 bytes in hex", id="features"),
        pytest.param(sgx('config_ids = ["05"]'), "64 bytes in hex", id="config ID"),
        pytest.param(
            f'version = 1\n[sgx]\nmr_enclave = ["{"a1" * 48}"]',
            "32 bytes in hex",
            id="MRTD for MRENCLAVE",
        ),
        pytest.param(tdx('xfam = ["05"]'), "8 bytes in hex", id="XFAM"),
        pytest.param(tdx("rtmr4 = []"), "unknown key 'rtmr4'; did you", id="RTMR4"),
    ],
)
def test_other_policies_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Policy.parse(text)
