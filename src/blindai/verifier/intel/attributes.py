"""What the attributes of enclaves and trust domains mean, and which bits are unknown.

Intel Software Developer's Manual, volume 3D, SECS.ATTRIBUTES and MISCSELECT;
Intel TDX Module ABI specification (348551), TD ATTRIBUTES:

    SGX flags                      TD attributes
      0 INIT                         0..7   untrusted debug: 0 DEBUG, 4 HGS_PLUS_PROF,
      1 DEBUG                               5 PERF_PROF, 6 PMT_PROF
      2 MODE64BIT                    27     LASS
      4 PROVISIONKEY                 28     SEPT_VE_DISABLE
      5 EINITTOKEN_KEY               29     MIGRATABLE
      6 CET                          30     PKS
      7 KSS                          31     KL
      10 AEXNOTIFY                   62     TPA
    MISCSELECT: 0 EXINFO, 1 CPINFO   63     PERFMON

A bit that is not here may mean anything, also that the host sees in: it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from blindai.verifier.intel.enclave_report import EnclaveReport
    from blindai.verifier.intel.td_report import TdReport
    from blindai.verifier.procedure import Procedure

SGX_ATTRIBUTES: Final = "Intel SDM 3D, SECS.ATTRIBUTES"
TD_ATTRIBUTES: Final = "Intel TDX Module ABI, TD ATTRIBUTES"
INIT: Final = 1 << 0
DEBUG: Final = 1 << 1
SEPT_VE_DISABLE: Final = 1 << 28
MIGRATABLE: Final = 1 << 29

_TD_UNDER_DEBUG: Final = 0xFF
_SGX_FLAGS: Final = 0x4F7
_SGX_MISC: Final = 0x3
_TD_BITS: Final = 0xC000_0000_F800_0071


def flags(report: EnclaveReport) -> int:
    """The flags in an enclave's attributes, 64 bits."""
    return int.from_bytes(report.attributes[:8], "little")


def enclave_debug(report: EnclaveReport) -> bool:
    """Whether the host may read the enclave's memory."""
    return bool(flags(report) & DEBUG)


def td_debug(report: TdReport) -> bool:
    """Whether the host may look into the trust domain, with any of the ways to."""
    return bool(report.td_attributes & _TD_UNDER_DEBUG)


def verify_enclave_attributes(procedure: Procedure, report: EnclaveReport) -> None:
    """The enclave was initialised, and has no bit that is not known.

    Raises:
        VerificationError: If it does not hold.
    """
    value = flags(report)
    misc = int.from_bytes(report.misc_select, "little")
    procedure.require(
        "attributes",
        holds=bool(value & INIT) and not value & ~_SGX_FLAGS,
        expected=f"INIT, and no bit beyond {_SGX_FLAGS:016x}",
        actual=f"{value:016x}",
        source=SGX_ATTRIBUTES,
    )
    procedure.require(
        "extended features (MISCSELECT)",
        holds=not misc & ~_SGX_MISC,
        expected=f"no bit beyond {_SGX_MISC:08x}",
        actual=f"{misc:08x}",
        source=SGX_ATTRIBUTES,
    )


def verify_td_attributes(procedure: Procedure, report: TdReport) -> None:
    """The trust domain has no bit that is not known.

    Raises:
        VerificationError: If it does not hold.
    """
    value = report.td_attributes
    procedure.require(
        "TD attributes",
        holds=not value & ~_TD_BITS,
        expected=f"no bit beyond {_TD_BITS:016x}",
        actual=f"{value:016x}",
        source=TD_ATTRIBUTES,
    )
