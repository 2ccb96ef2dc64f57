"""The report of an SGX enclave: an application's, or the quoting enclave's own.

Intel SGX DCAP ECDSA Quote Library API, A.4, table Enclave Report Body; the fields are
those of REPORT in the Intel Software Developer's Manual, volume 3D. All numbers
little-endian; 384 bytes:

    000 CPUSVN 16             040 MRENCLAVE 32          100 ISVPRODID u16
    010 MISCSELECT u32        060 zero 32               102 ISVSVN u16
    014 zero 12               080 MRSIGNER 32           104 CONFIGSVN u16
    020 ISVEXTPRODID 16       0A0 zero 32               106 zero 42
    030 ATTRIBUTES 16         0C0 CONFIGID 64           130 ISVFAMILYID 16
        flags u64, XFRM u64                             140 REPORTDATA 64
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from blindai.errors import EvidenceError

ENCLAVE_REPORT_BYTES: Final = 384
_RESERVED: Final = ((0x014, 0x020), (0x060, 0x080), (0x0A0, 0x0C0), (0x106, 0x130))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveReport:
    """A report, cut into its fields but not believed.

    Attributes:
        encoding: All of it, 384 bytes.
        cpu_svn: Security versions of the processor, 16 bytes, opaque.
        misc_select: Extended features of the exception frame, 4 bytes as they lie.
        isv_ext_prod_id: Extended product number, 16 bytes.
        attributes: Flags and XFRM, 16 bytes as they lie.
        mr_enclave: Measurement of code and data, 32 bytes (SHA-256).
        mr_signer: SHA-256 of the signer's key, 32 bytes.
        config_id: What the host said at launch, 64 bytes.
        isv_prod_id: The signer's number for the product.
        isv_svn: The product's security version.
        config_svn: Security version of the configuration.
        isv_family_id: The signer's name for a family of products, 16 bytes.
        report_data: What the enclave bound, 64 bytes.
    """

    encoding: bytes = field(repr=False)
    cpu_svn: bytes
    misc_select: bytes
    isv_ext_prod_id: bytes
    attributes: bytes
    mr_enclave: bytes
    mr_signer: bytes
    config_id: bytes
    isv_prod_id: int
    isv_svn: int
    config_svn: int
    isv_family_id: bytes
    report_data: bytes


def parse_enclave_report(data: bytes, what: str) -> EnclaveReport:
    """Cut a report into its fields.

    Raises:
        EvidenceError: If it is not exactly 384 bytes, or a reserved field is not zero.
    """
    if len(data) != ENCLAVE_REPORT_BYTES:
        raise EvidenceError(
            f"{what}: expected {ENCLAVE_REPORT_BYTES} bytes, got {len(data)}"
        )
    if any(any(data[start:end]) for start, end in _RESERVED):
        raise EvidenceError(f"{what}: expected the reserved fields to be zero")
    return EnclaveReport(
        encoding=data,
        cpu_svn=data[0x000:0x010],
        misc_select=data[0x010:0x014],
        isv_ext_prod_id=data[0x020:0x030],
        attributes=data[0x030:0x040],
        mr_enclave=data[0x040:0x060],
        mr_signer=data[0x080:0x0A0],
        config_id=data[0x0C0:0x100],
        isv_prod_id=int.from_bytes(data[0x100:0x102], "little"),
        isv_svn=int.from_bytes(data[0x102:0x104], "little"),
        config_svn=int.from_bytes(data[0x104:0x106], "little"),
        isv_family_id=data[0x130:0x140],
        report_data=data[0x140:0x180],
    )


def masked(value: bytes, mask: bytes) -> bytes:
    """The bits of `value` that count."""
    return bytes(a & b for a, b in zip(value, mask, strict=True))
