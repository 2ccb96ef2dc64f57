"""Where a platform stands among Intel's levels of security.

Intel SGX and TDX Provisioning Certification Service API, version 4: Get TCB Info, how
to find the TCB level of a platform; Get Quoting Enclave Identity, likewise. Levels
stand in descending order, and the first that the platform reaches is its own. A trust
domain of TDX 1.5 has two: under the TDX module that started it, and under the one that
runs now (Intel TDX DCAP Quote Verification Library, 4.1.2.5.1.20).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from blindai.verifier.intel.tcb_info import OUT_OF_DATE, REVOKED, UP_TO_DATE

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.verifier.intel.pck import Platform
    from blindai.verifier.intel.tcb_info import (
        EnclaveLevel,
        PlatformLevel,
        TcbInfo,
    )

# What the platform's status becomes when an enclave below it is out of date.
_OUT_OF_DATE_BELOW: Final = {
    "UpToDate": OUT_OF_DATE,
    "SWHardeningNeeded": OUT_OF_DATE,
    "ConfigurationNeeded": "OutOfDateConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded": "OutOfDateConfigurationNeeded",
}
_OUT_OF_DATE: Final = frozenset(_OUT_OF_DATE_BELOW.values())
_SW_HARDENING_NEEDED: Final = frozenset(
    {"SWHardeningNeeded", "ConfigurationAndSWHardeningNeeded"}
)
_CONFIGURATION_NEEDED: Final = frozenset(
    {
        "ConfigurationNeeded",
        "ConfigurationAndSWHardeningNeeded",
        "OutOfDateConfigurationNeeded",
    }
)
RELAUNCH_ADVISED: Final = "TDRelaunchAdvised"
RELAUNCH_ADVISED_CONFIGURATION: Final = "TDRelaunchAdvisedConfigurationNeeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What Intel thinks of a platform, its quoting enclave and its TDX module.

    Attributes:
        status: The worst of theirs.
        date: The earliest of theirs.
        advisory_ids: All of theirs, sorted.
    """

    status: str
    date: datetime
    advisory_ids: tuple[str, ...]


def reached_by_platform(
    info: TcbInfo, platform: Platform, tee_tcb_svn: bytes
) -> tuple[PlatformLevel, ...]:
    """The levels that a platform reaches, its own first.

    Args:
        info: Intel's levels.
        platform: What the platform's certificate says.
        tee_tcb_svn: What the quote says of the TDX module, 16 bytes; empty for SGX.
    """
    return tuple(
        level
        for level in info.levels
        if platform.pce_svn >= level.pce_svn
        and _reaches(platform.components, level.sgx_components)
        and _reaches_tdx(tee_tcb_svn, level.tdx_components)
    )


def reached_by_enclave(
    levels: tuple[EnclaveLevel, ...], isv_svn: int
) -> tuple[EnclaveLevel, ...]:
    """The levels that a quoting enclave or TDX module reaches, its own first."""
    return tuple(level for level in levels if isv_svn >= level.isv_svn)


def module_name(tee_tcb_svn: bytes) -> str:
    """The identifier of a TDX module's line, as TCB information has it."""
    return f"TDX_{tee_tcb_svn[1]:02X}"


def stand(platform: PlatformLevel, *enclaves: EnclaveLevel) -> Standing:
    """What Intel thinks of the platform and the enclaves below it together."""
    status = platform.status
    below = {level.status for level in enclaves}
    if REVOKED in below:
        status = REVOKED
    elif OUT_OF_DATE in below:
        status = _OUT_OF_DATE_BELOW.get(status, status)
    advisories = {*platform.advisory_ids}
    advisories.update(*(level.advisory_ids for level in enclaves))
    return Standing(
        status=status,
        date=min((platform.date, *(level.date for level in enclaves))),
        advisory_ids=tuple(sorted(advisories)),
    )


def after_relaunch(launch: Standing, current: Standing) -> Standing:
    """What Intel thinks of a trust domain that outlived its TDX module.

    If it was started under a module that is out of date, and one that is not runs now,
    then starting it anew would mend it. Otherwise what it was started under counts.
    """
    mends = launch.status in _OUT_OF_DATE and current.status in _OUT_OF_DATE_BELOW
    if not mends:
        return launch
    configuration = {launch.status, current.status} & _CONFIGURATION_NEEDED
    status = RELAUNCH_ADVISED_CONFIGURATION if configuration else RELAUNCH_ADVISED
    return replace(launch, status=status)


def at_worst(launch: Standing, current: Standing) -> Standing:
    """What to think of a trust domain that outlived its TDX module: no better than now.

    Intel's rule, `after_relaunch`, does not look at the module that runs now where the
    one before was in date. But it is this one that keeps the memory, and whoever runs
    the machine chose it: where it is worse, that counts.
    """
    found = after_relaunch(launch, current)
    if found is not launch:
        return found
    return Standing(
        status=_worse(launch.status, current.status),
        date=min(launch.date, current.date),
        advisory_ids=tuple(sorted({*launch.advisory_ids, *current.advisory_ids})),
    )


def _worse(*statuses: str) -> str:
    """The status of what all of them are said of; none of them is Revoked."""
    found = set(statuses)
    configuration = bool(found & _CONFIGURATION_NEEDED)
    if found & _OUT_OF_DATE:
        return "OutOfDateConfigurationNeeded" if configuration else OUT_OF_DATE
    if found & _SW_HARDENING_NEEDED:
        return (
            "ConfigurationAndSWHardeningNeeded"
            if configuration
            else "SWHardeningNeeded"
        )
    return "ConfigurationNeeded" if configuration else UP_TO_DATE


def _reaches(versions: tuple[int, ...] | bytes, floor: tuple[int, ...]) -> bool:
    return all(have >= least for have, least in zip(versions, floor, strict=True))


def _reaches_tdx(tee_tcb_svn: bytes, floor: tuple[int, ...]) -> bool:
    """From version 1 on, number and version are judged by the module's own levels."""
    start = 2 if tee_tcb_svn and tee_tcb_svn[1] else 0
    return _reaches(tee_tcb_svn[start:], floor[start:])
