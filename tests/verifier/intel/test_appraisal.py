"""Each thing that a policy may pin, allow or refuse of Intel's TEEs."""

from __future__ import annotations

import pytest
from tests.verifier.intel import made_up
from tests.verifier.intel.appraised import (
    NONCE,
    OTHER_32,
    Body,
    accept,
    sgx,
    tdx,
)
from tests.verifier.intel.made_up import (
    ENCLAVE,
    INTEL,
    OLDER_TRUST_DOMAIN,
    TRUST_DOMAIN,
)

from blindai.errors import VerificationError
from blindai.protocol import keyset
from blindai.protocol.attestation import Attestation, encode_attestation
from blindai.protocol.keyset import Purpose, Statement
from blindai.testing import NOW, simulated_keyset
from blindai.testing.vendors.intel import Enclave, TrustDomain
from blindai.transcript import Check, Status
from blindai.verifier import (
    PlatformPolicy,
    Policy,
    SgxPolicy,
    TdxPolicy,
    VerifiedClaims,
    intel,
    roots,
    verify,
)
from blindai.verifier.result import TOKEN


def test_an_enclave_is_accepted_by_a_policy_that_pins_it() -> None:
    result = accept(ENCLAVE, sgx())

    advisories = {c.name: c.actual for c in result.transcript.checks}["open advisories"]
    assert result.claims.tee == "sgx"
    assert result.simulated
    assert advisories == "none"


@pytest.mark.parametrize("body", [TRUST_DOMAIN, OLDER_TRUST_DOMAIN])
def test_a_trust_domain_is_accepted_by_a_policy_that_pins_it(body: TrustDomain) -> None:
    result = accept(body, tdx())

    assert result.claims.tee == "tdx"
    assert result.simulated


def test_an_enclave_is_accepted_for_its_signer() -> None:
    policy = sgx(
        mr_enclave=(),
        mr_signer=(OTHER_32, ENCLAVE.mr_signer),
        isv_prod_ids=(6, 7),
        minimum_isv_svn=3,
    )

    assert accept(ENCLAVE, policy).claims.measurement == ENCLAVE.mr_enclave


def test_a_policy_that_pins_everything_accepts_what_it_pins() -> None:
    enclave = Enclave(
        config_id=b"c" * 64, config_svn=2, isv_family_id=b"f" * 16, misc_select=1
    )
    policy = sgx(
        attributes=b"\x05" + bytes(7) + b"\xff" + bytes(7),
        attributes_mask=b"\xff" * 8 + b"\xe7" + bytes(7),
        misc_select=b"\x01\x00\x00\x00",
        config_ids=(b"c" * 64,),
        minimum_config_svn=2,
        isv_family_ids=(b"f" * 16,),
        isv_ext_prod_ids=(bytes(16),),
        mr_signer=(ENCLAVE.mr_signer,),
        isv_prod_ids=(7,),
        platform=PlatformPolicy(minimum_tcb_evaluation_data_number=20),
    )
    domain = TrustDomain(
        mr_config_id=b"c" * 48,
        mr_owner=b"o" * 48,
        mr_owner_config=b"d" * 48,
        mr_service_td=b"s" * 48,
        td_attributes=1 << 29,
    )
    td_policy = tdx(
        rtmr0=(domain.rtmr[0],),
        rtmr2=(domain.rtmr[2],),
        rtmr3=(domain.rtmr[3],),
        xfam=(bytes.fromhex("e702060000000000"),),
        mr_seam=(domain.mr_seam,),
        mr_config_id=(b"c" * 48,),
        mr_owner=(b"o" * 48,),
        mr_owner_config=(b"d" * 48,),
        mr_service_td=(b"s" * 48,),
        allow_sept_ve_enabled=True,
        allow_migration=True,
    )

    for result in (accept(enclave, policy), accept(domain, td_policy)):
        left_out = {
            check.name
            for check in result.transcript.checks
            if check.status is Status.NOT_EVALUATED
        }
        assert left_out <= {
            "event log",
            "second opinion: dcap-qvl",
            "configuration digest",
            "build",
        }


@pytest.mark.parametrize(
    ("body", "policy"),
    [
        (ENCLAVE, Policy(sgx=SgxPolicy(mr_enclave=(ENCLAVE.mr_enclave,)))),
        (
            TRUST_DOMAIN,
            Policy(
                tdx=TdxPolicy(mr_td=(TRUST_DOMAIN.mr_td,), rtmr1=(bytes([1] * 48),))
            ),
        ),
    ],
)
def test_a_release_policy_never_reaches_a_made_up_root(
    body: Body, policy: Policy
) -> None:
    with pytest.raises(VerificationError, match="PCK root certificate: expected Intel"):
        accept(body, policy)


def test_a_quote_that_binds_something_else_is_not_authentic() -> None:
    keys = simulated_keyset().encode()
    statement = Statement(Purpose.ATTESTATION, keyset.digest(keys), NONCE)
    collection = encode_attestation(
        Attestation(
            keyset=keys, statement=statement.encode(), evidence=INTEL.evidence(ENCLAVE)
        )
    )

    with pytest.raises(VerificationError, match="report data: expected SHA-256"):
        verify(collection, nonce=NONCE, policy=sgx(), now=NOW)


def lines(
    body: Body, policy: Policy, root: roots.Root = roots.INTEL_SGX
) -> dict[str, Check]:
    """The lines about claims as a genuine root would stand behind them."""
    claims = made_up.verify(INTEL.evidence(body))[0].claims
    verified = VerifiedClaims(claims=claims, root=root, token=TOKEN)
    sgx_lines, tdx_lines = intel.appraise_sgx, intel.appraise_tdx
    appraise = sgx_lines if isinstance(body, Enclave) else tdx_lines
    return {check.name: check for check in appraise(verified, policy)}


SIMULATION = Policy.for_simulation()


@pytest.mark.parametrize(
    ("body", "name"), [(ENCLAVE, "MRENCLAVE"), (TRUST_DOMAIN, "MRTD")]
)
def test_genuine_hardware_has_to_be_pinned(body: Body, name: str) -> None:
    line = lines(body, SIMULATION)[name]

    assert line.status is Status.NOT_EVALUATED
    assert line.required


@pytest.mark.parametrize(
    ("body", "policy", "root", "name"),
    [
        pytest.param(
            ENCLAVE,
            SIMULATION,
            made_up.ANCHORS.roots[0],
            "MRENCLAVE",
            id="made-up SGX",
        ),
        pytest.param(
            TRUST_DOMAIN, SIMULATION, made_up.ANCHORS.roots[0], "MRTD", id="made-up TDX"
        ),
        pytest.param(
            ENCLAVE,
            sgx(mr_enclave=(), mr_signer=(ENCLAVE.mr_signer,), isv_prod_ids=(7,)),
            roots.INTEL_SGX,
            "MRENCLAVE",
            id="signer",
        ),
    ],
)
def test_a_measurement_need_not_be_pinned(
    body: Body, policy: Policy, root: roots.Root, name: str
) -> None:
    line = lines(body, policy, root)[name]

    assert line.status is Status.NOT_EVALUATED
    assert not line.required


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (
            ENCLAVE,
            "MRSIGNER ISVPRODID CONFIGID ISVFAMILYID ISVEXTPRODID",
        ),
        (
            TRUST_DOMAIN,
            "RTMR0 RTMR1 RTMR2 RTMR3 XFAM MRSEAM MRCONFIGID MROWNER MROWNERCONFIG",
        ),
    ],
)
def test_what_is_not_pinned_says_so(body: Body, names: str) -> None:
    found = lines(body, SIMULATION)

    for name in names.split():
        assert found[name].status is Status.NOT_EVALUATED
        assert found[name].expected == "the policy pins no value"
        assert not found[name].required
