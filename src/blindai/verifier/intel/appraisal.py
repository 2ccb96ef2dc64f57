"""Whether an SGX enclave or TDX trust domain is one that the policy accepts.

One line a value. Intel Software Developer's Manual, volume 3D, REPORT; Intel
TDX Module ABI specification (348551), TDREPORT_STRUCT; Intel SGX and TDX Provisioning
Certification Service API, version 4 (TCB status and advisories).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.verifier.intel.attributes import (
    SGX_ATTRIBUTES,
    TD_ATTRIBUTES,
)
from blindai.verifier.intel.authority import TCB_INFO
from blindai.verifier.intel.claims import SgxClaims, TdxClaims
from blindai.verifier.intel.enclave_report import masked
from blindai.verifier.intel.policy import PlatformPolicy, SgxPolicy, TdxPolicy
from blindai.verifier.procedure import judge, pinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blindai.transcript import Check
    from blindai.verifier.intel.claims import PlatformClaims
    from blindai.verifier.policy import Policy
    from blindai.verifier.result import VerifiedClaims

ENCLAVE_REPORT: Final = "Intel SDM 3D, REPORT"
TD_REPORT: Final = "Intel TDX Module ABI, TDREPORT_STRUCT"
_NO_SERVICE: Final = (bytes(48),)


def appraise_sgx(verified: VerifiedClaims, policy: Policy) -> Iterator[Check]:
    """All lines about an enclave and the machine below it."""
    accepted = policy.sgx or SgxPolicy()
    claims = verified.claims.of(SgxClaims)
    yield from _platform(claims.platform, accepted.platform)
    yield _switch(
        "debug mode",
        on=verified.claims.debug,
        may_be_on=accepted.insecure_allow_debug,
        source=SGX_ATTRIBUTES,
    )
    yield from _attributes(claims, accepted)
    required = not (any(accepted.identity.values()) or verified.root.simulated)
    yield from _enclave_identity(claims, accepted, required=required)
    yield from _enclave_configuration(claims, accepted)


def appraise_tdx(verified: VerifiedClaims, policy: Policy) -> Iterator[Check]:
    """All lines about a trust domain and the machine below it."""
    accepted = policy.tdx or TdxPolicy()
    claims = verified.claims.of(TdxClaims)
    yield from _platform(claims.platform, accepted.platform)
    for name, on, may_be_on in (
        ("debug mode", verified.claims.debug, accepted.insecure_allow_debug),
        (
            "exceptions by the host (SEPT_VE)",
            not claims.sept_ve_disable,
            accepted.allow_sept_ve_enabled,
        ),
        ("migration", claims.migratable, accepted.allow_migration),
    ):
        yield _switch(name, on=on, may_be_on=may_be_on, source=TD_ATTRIBUTES)
    yield from _measurements(verified, claims, accepted)
    for name, pins, actual in (
        ("XFAM", accepted.xfam, claims.xfam),
        ("MRSEAM", accepted.mr_seam, claims.mr_seam),
        ("MRCONFIGID", accepted.mr_config_id, claims.mr_config_id),
        ("MROWNER", accepted.mr_owner, claims.mr_owner),
        ("MROWNERCONFIG", accepted.mr_owner_config, claims.mr_owner_config),
        ("MRSERVICETD", accepted.mr_service_td or _NO_SERVICE, claims.mr_service_td),
    ):
        yield _pinned(name, pins, actual, source=TD_REPORT)


def _platform(claims: PlatformClaims, policy: PlatformPolicy) -> Iterator[Check]:
    yield judge(
        "TCB status",
        holds=claims.tcb_status in policy.tcb_statuses,
        expected=" or ".join(policy.tcb_statuses),
        actual=f"{claims.tcb_status}, {claims.tcb_date:%Y-%m-%d}",
        source=TCB_INFO,
    )
    yield from _advisories(claims, policy)
    number, least = (
        claims.tcb_evaluation_data_number,
        policy.minimum_tcb_evaluation_data_number,
    )
    yield judge(
        "TCB evaluation data number",
        holds=number >= least,
        expected=f"at least {least}",
        actual=str(number),
        source=TCB_INFO,
    )
    smt = {True: "on", False: "off", None: "not said"}[claims.smt_enabled]
    yield judge(
        "simultaneous multithreading",
        holds=policy.allow_smt or claims.smt_enabled is False,
        expected="on or off" if policy.allow_smt else "off",
        actual=smt,
        source="Intel SGX PCK Certificate and CRL Profile 1.5, 1.3.5",
    )


def _advisories(claims: PlatformClaims, policy: PlatformPolicy) -> Iterator[Check]:
    found = set(claims.advisory_ids)
    unwanted = found.intersection(policy.rejected_advisories)
    expected = "any that go with the status"
    if policy.accepted_advisories:
        unwanted |= found.difference(policy.accepted_advisories)
        expected = f"none but {', '.join(policy.accepted_advisories)}"
    if policy.rejected_advisories:
        expected += f", and not {' or '.join(policy.rejected_advisories)}"
    yield judge(
        "open advisories",
        holds=not unwanted,
        expected=expected,
        actual=", ".join(claims.advisory_ids) or "none",
        source=TCB_INFO,
    )


def _switch(name: str, *, on: bool, may_be_on: bool, source: str) -> Check:
    return judge(
        name,
        holds=may_be_on or not on,
        expected="on or off" if may_be_on else "off",
        actual="on" if on else "off",
        source=source,
    )


def _attributes(claims: SgxClaims, policy: SgxPolicy) -> Iterator[Check]:
    mask = policy.attributes_mask or b"\xff" * 16
    pin = policy.attributes and masked(policy.attributes, mask)
    yield _exactly("accepted attributes", pin, masked(claims.attributes, mask))
    yield _exactly("accepted MISCSELECT", policy.misc_select, claims.misc_select)


def _exactly(name: str, pin: bytes | None, actual: bytes) -> Check:
    pins = () if pin is None else (pin,)
    return _pinned(name, pins, actual, source=SGX_ATTRIBUTES)


def _enclave_identity(
    claims: SgxClaims, policy: SgxPolicy, *, required: bool
) -> Iterator[Check]:
    """The measurement, or the signer and which of its products.

    Genuine hardware runs any enclave, so where neither is pinned, the measurement is
    required and not evaluated: that refuses.
    """
    yield _pinned(
        "MRENCLAVE",
        policy.mr_enclave,
        claims.mr_enclave,
        source=ENCLAVE_REPORT,
        required=required,
    )
    yield _pinned("MRSIGNER", policy.mr_signer, claims.mr_signer, source=ENCLAVE_REPORT)
    yield pinned(
        "ISVPRODID",
        tuple(map(str, policy.isv_prod_ids)),
        str(claims.isv_prod_id),
        source=ENCLAVE_REPORT,
    )
    yield _at_least("ISVSVN", policy.minimum_isv_svn, claims.isv_svn)


def _enclave_configuration(claims: SgxClaims, policy: SgxPolicy) -> Iterator[Check]:
    for name, pins, actual in (
        ("CONFIGID", policy.config_ids, claims.config_id),
        ("ISVFAMILYID", policy.isv_family_ids, claims.isv_family_id),
        ("ISVEXTPRODID", policy.isv_ext_prod_ids, claims.isv_ext_prod_id),
    ):
        yield _pinned(name, pins, actual, source=ENCLAVE_REPORT)
    yield _at_least("CONFIGSVN", policy.minimum_config_svn, claims.config_svn)


def _measurements(
    verified: VerifiedClaims, claims: TdxClaims, policy: TdxPolicy
) -> Iterator[Check]:
    """The firmware, and what it measured.

    Genuine hardware runs any firmware, so where none is pinned, it is required and not
    evaluated: that refuses.
    """
    required = not verified.root.simulated
    yield _pinned(
        "MRTD", policy.mr_td, claims.mr_td, source=TD_REPORT, required=required
    )
    for number, pins in enumerate(policy.rtmr):
        yield _pinned(f"RTMR{number}", pins, claims.rtmr[number], source=TD_REPORT)


def _pinned(
    name: str,
    pins: tuple[bytes, ...],
    actual: bytes,
    *,
    source: str,
    required: bool = False,
) -> Check:
    words = tuple(pin.hex() for pin in pins)
    return pinned(name, words, actual.hex(), source=source, required=required)


def _at_least(name: str, least: int, actual: int) -> Check:
    return judge(
        name,
        holds=actual >= least,
        expected=f"at least {least}",
        actual=str(actual),
        source=ENCLAVE_REPORT,
    )
