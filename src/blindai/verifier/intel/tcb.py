"""Which of Intel's levels of security a quote's platform has reached: the lines.

Documents: Intel SGX and TDX Provisioning Certification Service API, version 4 (Get TCB
Info, Get Quoting Enclave Identity). That a level is found is verified here; whether its
status is good enough is the policy's to say.
"""

from __future__ import annotations

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
    from blindai.verifier.intel.tcb_info import EnclaveLevel, PlatformLevel, TcbInfo
    from blindai.verifier.procedure import Procedure

_LISTED: Final = "a level that Intel lists"


def verify_tcb(
    procedure: Procedure,
    quote: Quote,
    platform: Platform,
    info: TcbInfo,
    identity: QeIdentity,
) -> PlatformClaims:
    """Find the platform's level, the quoting enclave's and the TDX module's.

    1. The TCB information is about this kind of TEE and platform.
    2. The platform reaches one of its levels.
    3. The quoting enclave reaches one of its own.
    4. The TDX module is Intel's, and reaches one of its own.
    5. None of them is revoked.

    Raises:
        VerificationError: If a step does not hold.
    """
    _verify_subject(procedure, quote, platform, info)
    report = quote.body if isinstance(quote.body, TdReport) else None
    level = _platform_level(procedure, platform, info, report)
    enclaves = [_qe_level(procedure, quote, identity)]
    if report is not None:
        enclaves += _module_level(procedure, report, info)
    found = standing.stand(level, *enclaves)
    procedure.require(
        "TCB status",
        holds=found.status != REVOKED,
        expected="any that a policy may accept",
        actual=found.status,
        source=TCB_INFO,
    )
    return PlatformClaims(
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


def _verify_subject(
    procedure: Procedure, quote: Quote, platform: Platform, info: TcbInfo
) -> None:
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


def _platform_level(
    procedure: Procedure,
    platform: Platform,
    info: TcbInfo,
    report: TdReport | None,
) -> PlatformLevel:
    """Step 2.

    Raises:
        VerificationError: If the platform is below all levels.
    """
    tee_tcb_svn = b"" if report is None else report.tee_tcb_svn
    reached = standing.reached_by_platform(info, platform, tee_tcb_svn)
    versions = f"CPUSVN {bytes(platform.components).hex()}, PCESVN {platform.pce_svn}"
    if report is not None:
        versions += f", TEE_TCB_SVN {tee_tcb_svn.hex()}"
    procedure.require(
        "platform TCB level",
        holds=bool(reached),
        expected=_LISTED,
        actual=f"{_level(reached)} ({versions})",
        source=TCB_INFO,
    )
    return reached[0]


def _qe_level(procedure: Procedure, quote: Quote, identity: QeIdentity) -> EnclaveLevel:
    """Step 3.

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


def _module_level(
    procedure: Procedure, report: TdReport, info: TcbInfo
) -> tuple[EnclaveLevel, ...]:
    """Step 4. In TDX 1.0 the platform's levels speak of the module, too.

    Raises:
        VerificationError: If the module is not one of Intel's, or below all levels.
    """
    name = standing.module_name(report.tee_tcb_svn)
    procedure.require(
        "TDX module",
        holds=name in info.tdx_modules,
        expected=f"one of {', '.join(sorted(info.tdx_modules))}",
        actual=name,
        source=TCB_INFO,
    )
    module = info.tdx_modules[name]
    for line, expected, actual in (
        ("TDX module: signer", module.mr_signer, report.mr_signer_seam),
        (
            "TDX module: attributes",
            masked(module.attributes, module.attributes_mask),
            report.seam_attributes,  # a bit beyond the mask may mean anything
        ),
    ):
        procedure.require(
            line,
            holds=actual == expected,
            expected=expected.hex(),
            actual=actual.hex(),
            source=TCB_INFO,
        )
    if name == TDX_10_MODULE:
        return ()
    svn = report.tee_tcb_svn[0]
    reached = standing.reached_by_enclave(module.levels, svn)
    procedure.require(
        "TDX module TCB level",
        holds=bool(reached),
        expected=_LISTED,
        actual=f"{_level(reached)} ({name}, ISVSVN {svn})",
        source=TCB_INFO,
    )
    return reached[:1]


def _level(reached: tuple[EnclaveLevel | PlatformLevel, ...]) -> str:
    if not reached:
        return "below all"
    return f"{reached[0].status}, {reached[0].date:%Y-%m-%d}"
