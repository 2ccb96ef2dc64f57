"""What Intel says of its quoting enclaves: which they are, and their status.

Intel SGX and TDX Provisioning Certification Service API, version 4: Get Quoting Enclave
Identity and Get TD Quoting Enclave Identity, model EnclaveIdentityV2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.verifier.intel.statements import Statement
from blindai.verifier.intel.tcb_info import parse_enclave_levels

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.verifier.intel.tcb_info import EnclaveLevel

SGX_QE: Final = "QE"
TDX_QE: Final = "TD_QE"
_U8: Final = 0xFF
_U16: Final = 0xFFFF
_U32: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class QeIdentity:
    """A statement about a quoting enclave, authentic if its signature is.

    Attributes:
        id: QE, for SGX, or TD_QE, for TDX.
        issue_date: From when it counts.
        next_update: Until when it counts.
        evaluation_data_number: Grows with each round of Intel's evaluation.
        misc_select: Extended features, 4 bytes as they lie in a report.
        misc_select_mask: Which bits of them count.
        attributes: Its attributes, 16 bytes as they lie in a report.
        attributes_mask: Which bits of them count.
        mr_signer: Who signed it, 32 bytes.
        isv_prod_id: The signer's number for it.
        levels: In descending order.
    """

    id: str
    issue_date: datetime
    next_update: datetime
    evaluation_data_number: int
    misc_select: bytes
    misc_select_mask: bytes
    attributes: bytes
    attributes_mask: bytes
    mr_signer: bytes
    isv_prod_id: int
    levels: tuple[EnclaveLevel, ...]


def parse_qe_identity(text: str) -> QeIdentity:
    """Read a quoting enclave's identity, version 2.

    Raises:
        EvidenceError: If it is anything else.
    """
    statement = Statement.parse(text, "QE identity")
    version = statement.number("version", _U8)
    if version != 2:
        raise EvidenceError(f"QE identity version: expected 2, got {version}")
    return QeIdentity(
        id=statement.word("id", (SGX_QE, TDX_QE)),
        issue_date=statement.time("issueDate"),
        next_update=statement.time("nextUpdate"),
        evaluation_data_number=statement.number("tcbEvaluationDataNumber", _U32),
        misc_select=statement.field("miscselect", 4),
        misc_select_mask=statement.field("miscselectMask", 4),
        attributes=statement.field("attributes", 16),
        attributes_mask=statement.field("attributesMask", 16),
        mr_signer=statement.field("mrsigner", 32),
        isv_prod_id=statement.number("isvprodid", _U16),
        levels=parse_enclave_levels(statement),
    )
