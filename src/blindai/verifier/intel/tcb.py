"""Which of Intel's levels of security a quote's platform has reached: the lines.

Documents: Intel SGX and TDX Provisioning Certification Service API, version 4 (Get TCB
Info, Get Quoting Enclave Identity). That a level is found is verified here; whether its
status is good enough is the policy's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.verifier.intel import standing
from blindai.verifier.intel.authority import QE_IDENTITY, TCB_INFO
from blindai.verifier.intel.claims import PlatformClaims
from blindai.verifier.intel.enclave_report import masked
from blindai.verifier.intel.tcb_info import REVOKED, SGX, TDX, TDX_10_MODULE
from blindai.verifier.intel.td_report import TdReport

if TYPE_CHECKING:
    from blindai.verifier.intel.pck import Platform
    from blindai.verifier.intel.qe_identity import QeIdentity
    from blindai.verifier.intel.quote import Quote
    from blindai.verifier.intel.standing import Standing
    from blindai.verifier.intel.tcb_info import (
        EnclaveLevel,
        PlatformLevel,
        TcbInfo,
    )
    from blindai.verifier.procedure import Procedure

_LISTED: Final = "a level that Intel lists"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """What is the same for every TDX module on a platform.

    Attributes:
        procedure: Where the transcript is written.
        platform: What its certificate says.
        info: Intel's levels.
        enclave: The level of its quoting enclave.
    """

    procedure: Procedure
    platform: Platform
    info: TcbInfo
    enclave: EnclaveLevel


def verify_tcb(
    procedure: Procedure,
    quote: Quote,
    platform: Platform,
    info: TcbInfo,
    identity: QeIdentity,
) -> tuple[PlatformClaims, Standing]:
    """Find the platform's level, the quoting enclave's and the TDX module's.

    1. The TCB information is about this kind of TEE and platform.
    2. The quoting enclave reaches a level.
    3. The platform reaches a level; for TDX, with the module that started the trust
       domain, which is Intel's and reaches one of its own, and in TDX 1.5 with the
       module that runs now, too.
    4. None of them is revoked.

    Returns:
        What is claimed of the platform; and where it stands by Intel's rule, which for
        TDX 1.5 may be better (`standing.at_worst`).

    Raises:
        VerificationError: If a step does not hold.
    """
    _verify_subject(procedure, quote, platform, info)
    machine = _Machine(
        procedure=procedure,
        platform=platform,
        info=info,
        enclave=_qe_level(procedure, quote, identity),
    )
    if isinstance(quote.body, TdReport):
        found, by_rule = _trust_domain(machine, quote.body)
    else:
        level = _platform_level(machine, b"", "")
        found = _not_revoked(machine, standing.stand(level, machine.enclave), "")
        by_rule = found
    claims = PlatformClaims(
        tcb_status=found.status,
        tcb_date=found.date,
        advisory_ids=found.advisory_ids,
        tcb_evaluation_data_number=min(
            info.evaluation_data_number, identity.evaluation_data_number
        ),
        fmspc=platform.fmspc,
        pce_id=platform.pce_id,
        pce_svn=platform.pce_svn,
        cpu_svn=platform.cpu_svn,
        dynamic_platform=platform.dynamic_platform,
        cached_keys=platform.cached_keys,
        smt_enabled=platform.smt_enabled,
    )
    return claims, by_rule


def _verify_subject(
    procedure: Procedure, quote: Quote, platform: Platform, info: TcbInfo
) -> None:
    """Step 1.

    Raises:
        VerificationError: If the information is about something else.
    """
    for name, expected, actual in (
        ("TCB info: kind", TDX if isinstance(quote.body, TdReport) else SGX, info.tee),
        ("TCB info: FMSPC", platform.fmspc.hex(), info.fmspc.hex()),
        ("TCB info: PCE-ID", platform.pce_id.hex(), info.pce_id.hex()),
    ):
        procedure.require(
            name,
            holds=actual == expected,
            expected=f"the platform's, {expected}",
            actual=actual,
            source=TCB_INFO,
        )


def _qe_level(procedure: Procedure, quote: Quote, identity: QeIdentity) -> EnclaveLevel:
    """Step 2.

    Raises:
        VerificationError: If the quoting enclave is below all levels.
    """
    svn = quote.qe_report.isv_svn
    reached = standing.reached_by_enclave(identity.levels, svn)
    procedure.require(
        "QE TCB level",
        holds=bool(reached),
        expected=_LISTED,
        actual=f"{_level(reached)} (ISVSVN {svn})",
        source=QE_IDENTITY,
    )
    return reached[0]


def _trust_domain(machine: _Machine, report: TdReport) -> tuple[Standing, Standing]:
    """Step 3 for TDX: where it stands, and where by Intel's rule.

    Raises:
        VerificationError: If it does not hold.
    """
    found = _with_module(machine, report.tee_tcb_svn, "")
    _verify_module(machine, report)
    if report.tee_tcb_svn2 is None:
        return found, found
    current = _with_module(machine, report.tee_tcb_svn2, "current ")
    return standing.at_worst(found, current), standing.after_relaunch(found, current)


def _verify_module(machine: _Machine, report: TdReport) -> None:
    """The TDX module is Intel's; that Intel speaks of its line is known by now.

    Raises:
        VerificationError: If it is not.
    """
    module = machine.info.tdx_modules[standing.module_name(report.tee_tcb_svn)]
    for line, expected, actual in (
        ("TDX module: signer", module.mr_signer, report.mr_signer_seam),
        (
            "TDX module: attributes",
            masked(module.attributes, module.attributes_mask),
            report.seam_attributes,  # a bit beyond the mask may mean anything
        ),
    ):
        machine.procedure.require(
            line,
            holds=actual == expected,
            expected=expected.hex(),
            actual=actual.hex(),
            source=TCB_INFO,
        )


def _with_module(machine: _Machine, tee_tcb_svn: bytes, which: str) -> Standing:
    """The platform with one TDX module. In TDX 1.0 its levels speak of that, too.

    Raises:
        VerificationError: If platform or module is below all levels, or revoked.
    """
    level = _platform_level(machine, tee_tcb_svn, which)
    name, known = standing.module_name(tee_tcb_svn), machine.info.tdx_modules
    machine.procedure.require(
        f"{which}TDX module",
        holds=name in known,
        expected=f"one of {', '.join(sorted(known))}",
        actual=name,
        source=TCB_INFO,
    )
    reached: tuple[EnclaveLevel, ...] = ()
    if name != TDX_10_MODULE:
        reached = standing.reached_by_enclave(known[name].levels, tee_tcb_svn[0])
        machine.procedure.require(
            f"{which}TDX module TCB level",
            holds=bool(reached),
            expected=_LISTED,
            actual=f"{_level(reached)} ({name}, ISVSVN {tee_tcb_svn[0]})",
            source=TCB_INFO,
        )
    found = standing.stand(level, machine.enclave, *reached[:1])
    return _not_revoked(machine, found, which)


def _platform_level(machine: _Machine, tee_tcb_svn: bytes, which: str) -> PlatformLevel:
    """The platform's level.

    Raises:
        VerificationError: If it is below all levels.
    """
    platform = machine.platform
    reached = standing.reached_by_platform(machine.info, platform, tee_tcb_svn)
    versions = f"CPUSVN {bytes(platform.components).hex()}, PCESVN {platform.pce_svn}"
    if tee_tcb_svn:
        versions += f", TEE_TCB_SVN {tee_tcb_svn.hex()}"
    machine.procedure.require(
        f"{which}platform TCB level",
        holds=bool(reached),
        expected=_LISTED,
        actual=f"{_level(reached)} ({versions})",
        source=TCB_INFO,
    )
    return reached[0]


def _not_revoked(machine: _Machine, found: Standing, which: str) -> Standing:
    """Step 4.

    Raises:
        VerificationError: If something is revoked.
    """
    machine.procedure.require(
        f"{which}TCB status: revocation",
        holds=found.status != REVOKED,
        expected="any but Revoked",
        actual=found.status,
        source=TCB_INFO,
    )
    return found


def _level(reached: tuple[EnclaveLevel | PlatformLevel, ...]) -> str:
    if not reached:
        return "below all"
    return f"{reached[0].status}, {reached[0].date:%Y-%m-%d}"
