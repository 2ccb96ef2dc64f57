"""Levels of security: which a platform has, and which are refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.verifier.intel.made_up import (
    ENCLAVE,
    INTEL,
    TRUST_DOMAIN,
    changed,
    level,
    module,
    statement,
    verify,
    with_collateral,
)

from blindai.errors import VerificationError
from blindai.testing.vendors.intel import (
    Enclave,
    Intel,
    TrustDomain,
)
from blindai.testing.vendors.intel_parts import (
    SGX,
    TDX,
    Platform,
    quoting_enclave,
)
from blindai.verifier import SgxClaims, TdxClaims
from blindai.verifier.intel.standing import Standing, after_relaunch, at_worst
from blindai.verifier.intel.tcb_info import PLATFORM_STATUSES

Body = Enclave | TrustDomain
Json = dict[str, Any]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param(
            {"fmspc": "000000000000"},
            "TCB info: FMSPC: expected the platform's, b0c06f000000",
            id="another platform",
        ),
        pytest.param(
            {"pceId": "0001"}, "TCB info: PCE-ID: expected the", id="another PCE"
        ),
    ],
)
def test_information_about_something_else_is_refused(changes: Json, line: str) -> None:
    other = changed(change_tcb_info=statement(**changes))

    with pytest.raises(VerificationError, match=line):
        verify(other.evidence(ENCLAVE))


@pytest.mark.parametrize(
    ("tee", "body"), [(SGX, TRUST_DOMAIN), (TDX, ENCLAVE)], ids=["SGX", "TDX"]
)
def test_information_about_another_tee_is_refused(tee: int, body: Body) -> None:
    members = INTEL.collateral(tee)
    parts = {key: members[key] for key in ("tcb_info", "tcb_info_signature")}

    with pytest.raises(VerificationError, match="TCB info: kind: expected"):
        verify(with_collateral(parts, body))


@pytest.mark.parametrize(
    ("platform", "status"),
    [
        pytest.param(Platform(), "UpToDate", id="at the highest"),
        pytest.param(
            Platform(components=(5,) * 15 + (4,)),
            "SWHardeningNeeded",
            id="one less",
        ),
        pytest.param(Platform(components=(3,) * 16), "OutOfDate", id="lowest"),
        pytest.param(Platform(components=(9,) * 16), "UpToDate", id="above all"),
    ],
)
@pytest.mark.parametrize("body", [ENCLAVE, TRUST_DOMAIN])
def test_a_platform_has_the_first_level_that_it_reaches(
    body: Body, platform: Platform, status: str
) -> None:
    verified, _ = verify(changed(platform=platform).evidence(body))

    details = verified.claims.details
    assert isinstance(details, SgxClaims | TdxClaims)
    assert details.platform.tcb_status == status


@pytest.mark.parametrize("body", [ENCLAVE, TRUST_DOMAIN])
@pytest.mark.parametrize(
    "platform",
    [
        pytest.param(Platform(components=(5,) * 15 + (2,)), id="component"),
        pytest.param(Platform(pce_svn=12), id="PCE"),
    ],
)
def test_a_platform_below_all_levels_is_refused(body: Body, platform: Platform) -> None:
    with pytest.raises(
        VerificationError, match=r"^platform TCB level: .* got below all \(CPUSVN 05"
    ):
        verify(changed(platform=platform).evidence(body))


@pytest.mark.parametrize("body", [ENCLAVE, TRUST_DOMAIN])
def test_a_quoting_enclave_below_all_levels_is_refused(body: Body) -> None:
    tee = SGX if isinstance(body, Enclave) else TDX
    old = changed(qe=replace(quoting_enclave(tee), isv_svn=3))

    with pytest.raises(
        VerificationError, match=r"QE TCB level: .* got below all \(ISVSVN 3\)"
    ):
        verify(old.evidence(body))


@pytest.mark.parametrize(
    ("svn", "line"),
    [
        pytest.param([3, 1, 3], "TDX module TCB level: .* below all", id="module"),
        pytest.param([6, 1, 2], "platform TCB level: .* below all", id="loader"),
        pytest.param([6, 2, 3], "TDX module: expected .*, got TDX_02", id="line"),
        pytest.param([5, 0, 3], "platform TCB level: .* below all", id="TDX 1.0"),
    ],
)
def test_an_old_or_unknown_tdx_module_is_refused(svn: list[int], line: str) -> None:
    body = TrustDomain(tee_tcb_svn=bytes(svn) + bytes(13))

    with pytest.raises(VerificationError, match=line):
        verify(INTEL.evidence(body))


def of_1_0() -> Intel:
    """An Intel whose highest level is of a TDX module of 1.0."""
    zeros = [{"svn": n} for n in (6, 0, 3, *[0] * 13)]
    tcb = {"sgxtcbcomponents": [{"svn": 5}] * 16, "pcesvn": 13}
    return changed(change_tcb_info=level(tcb=tcb | {"tdxtcbcomponents": zeros}))


def test_an_old_tdx_module_of_1_0_is_refused() -> None:
    body = TrustDomain(tee_tcb_svn=bytes([5, 0, 3]) + bytes(13))

    with pytest.raises(VerificationError, match=r"platform TCB level: .* below all"):
        verify(of_1_0().evidence(body))


def test_a_tdx_module_of_1_0_is_judged_with_the_platform() -> None:
    body = TrustDomain(tee_tcb_svn=bytes([6, 0, 3]) + bytes(13))

    verified, procedure = verify(of_1_0().evidence(body))

    names = [check.name for check in procedure.transcript.checks]
    assert verified.claims.of(TdxClaims).platform.tcb_status == "UpToDate"
    assert "TDX module: signer" in names
    assert "TDX module TCB level" not in names


@pytest.mark.parametrize(
    ("body", "line"),
    [
        pytest.param(
            TrustDomain(mr_signer_seam=b"x" * 48), "TDX module: signer", id="signer"
        ),
        pytest.param(
            TrustDomain(seam_attributes=1), "TDX module: attributes", id="debug"
        ),
    ],
)
def test_another_tdx_module_is_refused(body: TrustDomain, line: str) -> None:
    with pytest.raises(VerificationError, match=f"{line}: expected 00"):
        verify(INTEL.evidence(body))


def test_attributes_that_intel_does_not_speak_of_are_refused() -> None:
    masked = changed(change_tcb_info=module(attributesMask="FE" + "FF" * 7))

    with pytest.raises(VerificationError, match="TDX module: attributes: expected"):
        verify(masked.evidence(TrustDomain(seam_attributes=1)))


def test_bits_that_intel_masks_are_not_expected() -> None:
    masked = changed(
        change_tcb_info=module(
            attributes="01" + "00" * 7, attributesMask="FE" + "FF" * 7
        )
    )

    verified, _ = verify(masked.evidence(TRUST_DOMAIN))

    assert verified.claims.tee == "tdx"


@pytest.mark.parametrize(
    "made_by",
    [
        pytest.param(
            changed(change_tcb_info=level(tcbStatus="Revoked")), id="platform"
        ),
        pytest.param(changed(change_qe_identity=level(tcbStatus="Revoked")), id="QE"),
        pytest.param(
            changed(
                change_tcb_info=module(
                    tcbLevels=[
                        {
                            "tcb": {"isvsvn": 1},
                            "tcbDate": "2026-02-11T00:00:00Z",
                            "tcbStatus": "Revoked",
                        }
                    ]
                )
            ),
            id="TDX module",
        ),
    ],
)
def test_a_revoked_one_is_refused(made_by: Intel) -> None:
    with pytest.raises(VerificationError, match=r"TCB status: .*, got Revoked"):
        verify(made_by.evidence(TRUST_DOMAIN))


@pytest.mark.parametrize("body", [ENCLAVE, TRUST_DOMAIN])
@pytest.mark.parametrize("statement", ["change_tcb_info", "change_qe_identity"])
def test_what_intel_says_of_platform_and_quoting_enclave_counts_for_both(
    body: Body, statement: str
) -> None:
    revoked = changed(**{statement: level(tcbStatus="Revoked")})
    advised = changed(
        **{statement: level(tcbStatus="OutOfDate", advisoryIDs=["INTEL-SA-00001"])}
    )

    with pytest.raises(VerificationError, match=r"^TCB status: .*, got Revoked"):
        verify(revoked.evidence(body))
    details = verify(advised.evidence(body))[0].claims.details
    assert isinstance(details, SgxClaims | TdxClaims)
    assert details.platform.tcb_status == "OutOfDate"
    assert "INTEL-SA-00001" in details.platform.advisory_ids


OLD_MODULE = bytes([4, 1, 3]) + bytes(13)
NEW_MODULE = bytes([6, 1, 3]) + bytes(13)


def outlived(status: str) -> Intel:
    """An Intel that calls the platform something, and an old TDX module OutOfDate."""
    return changed(change_tcb_info=level(tcbStatus=status))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("UpToDate", "TDRelaunchAdvised"),
        ("SWHardeningNeeded", "TDRelaunchAdvised"),
        ("ConfigurationNeeded", "TDRelaunchAdvisedConfigurationNeeded"),
        ("ConfigurationAndSWHardeningNeeded", "TDRelaunchAdvisedConfigurationNeeded"),
        ("OutOfDate", "OutOfDate"),
        ("OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded"),
    ],
)
def test_a_trust_domain_that_outlived_its_module_is_to_be_relaunched(
    status: str, expected: str
) -> None:
    body = TrustDomain(tee_tcb_svn=OLD_MODULE, tee_tcb_svn2=NEW_MODULE)

    verified, procedure = verify(outlived(status).evidence(body))

    platform = verified.claims.of(TdxClaims).platform
    assert platform.tcb_status == expected
    assert platform.advisory_ids == ("INTEL-SA-00700",)
    assert not procedure.transcript.refusals


@pytest.mark.parametrize(
    ("started", "current", "expected"),
    [
        pytest.param(OLD_MODULE, OLD_MODULE, "OutOfDate", id="still there"),
        pytest.param(NEW_MODULE, NEW_MODULE, "UpToDate", id="never another"),
    ],
)
def test_otherwise_what_it_was_started_under_counts(
    started: bytes, current: bytes, expected: str
) -> None:
    body = TrustDomain(tee_tcb_svn=started, tee_tcb_svn2=current)

    verified, _ = verify(INTEL.evidence(body))

    assert verified.claims.of(TdxClaims).platform.tcb_status == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("UpToDate", "OutOfDate"),
        ("SWHardeningNeeded", "OutOfDate"),
        ("ConfigurationNeeded", "OutOfDateConfigurationNeeded"),
        ("ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded"),
        ("OutOfDate", "OutOfDate"),
        ("OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded"),
    ],
)
def test_a_worse_module_that_runs_now_counts(status: str, expected: str) -> None:
    body = TrustDomain(tee_tcb_svn=NEW_MODULE, tee_tcb_svn2=OLD_MODULE)

    verified, procedure = verify(outlived(status).evidence(body))

    platform = verified.claims.of(TdxClaims).platform
    assert platform.tcb_status == expected
    assert platform.advisory_ids == ("INTEL-SA-00700",)
    opinion = procedure.transcript.checks[-1]
    assert opinion.name == "second opinion: dcap-qvl"
    assert opinion.expected == f"{status}, no advisory"
    assert opinion.actual == opinion.expected


_WORDS = ("OutOfDate", "Configuration", "SWHardening")
_NOT_REVOKED = [status for status in PLATFORM_STATUSES if status != "Revoked"]
_FIRST, _SECOND = (datetime(2025, month, 1, tzinfo=UTC) for month in (1, 2))


@pytest.mark.parametrize("launch", _NOT_REVOKED)
@pytest.mark.parametrize("current", _NOT_REVOKED)
def test_no_word_of_either_status_is_lost(launch: str, current: str) -> None:
    both = (
        Standing(status=launch, date=_SECOND, advisory_ids=("INTEL-2", "INTEL-3")),
        Standing(status=current, date=_FIRST, advisory_ids=("INTEL-1", "INTEL-2")),
    )

    found = at_worst(*both)

    if found.status.startswith("TDRelaunchAdvised"):
        assert found == after_relaunch(*both)
        return
    words = {word for word in _WORDS if word in launch or word in current}
    if "OutOfDate" in words:
        words.discard("SWHardening")  # Intel has no word for the two together
    assert {word for word in _WORDS if word in found.status} == words
    assert found.status in PLATFORM_STATUSES
    assert found.date == _FIRST
    assert found.advisory_ids == ("INTEL-1", "INTEL-2", "INTEL-3")


def test_a_trust_domain_of_tdx_1_0_knows_one_module_only() -> None:
    body = TrustDomain(newer=False, tee_tcb_svn=OLD_MODULE)

    verified, _ = verify(INTEL.evidence(body))

    assert verified.claims.of(TdxClaims).platform.tcb_status == "OutOfDate"


@pytest.mark.parametrize(
    ("svn", "line"),
    [
        ([3, 1, 3], "current TDX module TCB level: .* got below all"),
        ([6, 2, 3], "current TDX module: expected .*, got TDX_02"),
        ([6, 1, 2], "current platform TCB level: .* got below all"),
    ],
)
def test_an_unknown_module_that_runs_now_is_refused(svn: list[int], line: str) -> None:
    body = TrustDomain(tee_tcb_svn2=bytes(svn) + bytes(13))

    with pytest.raises(VerificationError, match=line):
        verify(INTEL.evidence(body))


def test_a_revoked_module_that_runs_now_is_refused() -> None:
    levels = [
        {"tcb": {"isvsvn": n}, "tcbDate": "2026-02-11T00:00:00Z", "tcbStatus": status}
        for n, status in ((6, "UpToDate"), (5, "Revoked"))
    ]
    revoked = changed(change_tcb_info=module(tcbLevels=levels))
    body = TrustDomain(tee_tcb_svn2=bytes([5, 1, 3]) + bytes(13))

    with pytest.raises(
        VerificationError, match=r"current TCB status: revocation: .* got Revoked"
    ):
        verify(revoked.evidence(body))
