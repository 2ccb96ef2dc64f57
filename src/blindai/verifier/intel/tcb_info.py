"""What Intel says of a kind of platform: its levels of security, and their status.

Intel SGX and TDX Provisioning Certification Service API, version 4: Get TCB Info, model
TcbInfoV2 (SGX only) and TcbInfoV3. A level names the least versions it asks for, and
levels stand in descending order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.verifier.intel.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

SGX: Final = "SGX"
TDX: Final = "TDX"
TDX_10_MODULE: Final = "TDX_00"
UP_TO_DATE: Final = "UpToDate"
OUT_OF_DATE: Final = "OutOfDate"
REVOKED: Final = "Revoked"
PLATFORM_STATUSES: Final = (
    UP_TO_DATE,
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    OUT_OF_DATE,
    "OutOfDateConfigurationNeeded",
    REVOKED,
)
ENCLAVE_STATUSES: Final = (UP_TO_DATE, OUT_OF_DATE, REVOKED)

_COMPONENTS: Final = 16
_U8: Final = 0xFF
_U16: Final = 0xFFFF
_U32: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLevel:
    """A level of security of a platform.

    Attributes:
        sgx_components: Least versions of 16 components.
        pce_svn: Least version of the provisioning certification enclave.
        tdx_components: Least versions of 16 components of TDX; empty for SGX.
        status: What Intel thinks of it.
        date: The date of the advisories that it mends.
        advisory_ids: Those that it does not mend.
    """

    sgx_components: tuple[int, ...]
    pce_svn: int
    tdx_components: tuple[int, ...]
    status: str
    date: datetime
    advisory_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveLevel:
    """A level of security of a quoting enclave or a TDX module.

    Attributes:
        isv_svn: Least version.
        status: What Intel thinks of it.
        date: The date of the advisories that it mends.
        advisory_ids: Those that it does not mend.
    """

    isv_svn: int
    status: str
    date: datetime
    advisory_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxModule:
    """A TDX module, or a line of them, that Intel made.

    Attributes:
        mr_signer: Who signed it, 48 bytes.
        attributes: Its attributes, 8 bytes.
        attributes_mask: Which bits of them count, 8 bytes.
        levels: By version; empty where the platform's levels speak of it.
    """

    mr_signer: bytes
    attributes: bytes
    attributes_mask: bytes
    levels: tuple[EnclaveLevel, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbInfo:
    """A statement about a kind of platform, authentic if its signature is.

    Attributes:
        tee: SGX or TDX.
        version: Of the format: 2 or 3.
        issue_date: From when it counts.
        next_update: Until when it counts.
        fmspc: Names the kind of platform, 6 bytes.
        pce_id: Names the provisioning certification enclave, 2 bytes.
        evaluation_data_number: Grows with each round of Intel's evaluation.
        levels: In descending order.
        tdx_modules: TDX modules by the identifier of their line: TDX_01, ...; those of
            TDX 1.0, which has no lines, under TDX_00.
    """

    tee: str
    version: int
    issue_date: datetime
    next_update: datetime
    fmspc: bytes
    pce_id: bytes
    evaluation_data_number: int
    levels: tuple[PlatformLevel, ...]
    tdx_modules: Mapping[str, TdxModule]


def parse_tcb_info(text: str) -> TcbInfo:
    """Read TCB information of version 2 or 3.

    Raises:
        EvidenceError: If it is anything else.
    """
    statement = Statement.parse(text, "TCB info")
    version = statement.number("version", _U8)
    if version not in {2, 3}:
        raise EvidenceError(f"TCB info version: expected 2 or 3, got {version}")
    tee = SGX if version == 2 else statement.word("id", (SGX, TDX))
    if statement.number("tcbType", _U8):
        raise EvidenceError("TCB info tcbType: expected 0, got another")
    return TcbInfo(
        tee=tee,
        version=version,
        issue_date=statement.time("issueDate"),
        next_update=statement.time("nextUpdate"),
        fmspc=statement.field("fmspc", 6),
        pce_id=statement.field("pceId", 2),
        evaluation_data_number=statement.number("tcbEvaluationDataNumber", _U32),
        levels=tuple(
            _platform_level(each, version, tee)
            for each in statement.members("tcbLevels")
        ),
        tdx_modules=_modules(statement) if tee == TDX else {},
    )


def parse_enclave_levels(statement: Statement) -> tuple[EnclaveLevel, ...]:
    """Read the levels of a quoting enclave or a TDX module.

    Raises:
        EvidenceError: If they are anything else.
    """
    return tuple(
        EnclaveLevel(
            isv_svn=each.member("tcb").number("isvsvn", _U16),
            status=each.word("tcbStatus", ENCLAVE_STATUSES),
            date=each.time("tcbDate"),
            advisory_ids=each.words("advisoryIDs"),
        )
        for each in statement.members("tcbLevels")
    )


def _platform_level(level: Statement, version: int, tee: str) -> PlatformLevel:
    tcb = level.member("tcb")
    if version == 2:
        numbers = range(1, _COMPONENTS + 1)
        sgx = tuple(tcb.number(f"sgxtcbcomp{each:02}svn", _U8) for each in numbers)
    else:
        sgx = _components(tcb, "sgxtcbcomponents")
    return PlatformLevel(
        sgx_components=sgx,
        pce_svn=tcb.number("pcesvn", _U16),
        tdx_components=_components(tcb, "tdxtcbcomponents") if tee == TDX else (),
        status=level.word("tcbStatus", PLATFORM_STATUSES),
        date=level.time("tcbDate"),
        advisory_ids=level.words("advisoryIDs"),
    )


def _components(tcb: Statement, key: str) -> tuple[int, ...]:
    components = tuple(each.number("svn", _U8) for each in tcb.members(key))
    if len(components) != _COMPONENTS:
        raise EvidenceError(
            f"TCB info {key}: expected {_COMPONENTS}, got {len(components)}"
        )
    return components


def _modules(statement: Statement) -> dict[str, TdxModule]:
    """The modules by identifier; some statements are about TDX 1.0 alone."""
    modules = {TDX_10_MODULE: _module(statement.member("tdxModule"))}
    if statement.has("tdxModuleIdentities"):
        for each in statement.members("tdxModuleIdentities"):
            modules[each.word("id")] = _module(each, parse_enclave_levels(each))
    return modules


def _module(module: Statement, levels: tuple[EnclaveLevel, ...] = ()) -> TdxModule:
    return TdxModule(
        mr_signer=module.field("mrsigner", 48),
        attributes=module.field("attributes", 8),
        attributes_mask=module.field("attributesMask", 8),
        levels=levels,
    )
