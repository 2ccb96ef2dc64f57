"""The SEV-SNP attestation report, versions 2 and 3, as Milan and Genoa write it.

AMD 56860 revision 1.57, 7.3, table ATTESTATION_REPORT; 4.3, guest policy, of which bit
25 came with revision 1.58. All numbers little-endian.

    000 VERSION u32         038 CURRENT_TCB 8        140 REPORT_ID 32
    004 GUEST_SVN u32       040 PLATFORM_INFO u64    160 REPORT_ID_MA 32
    008 POLICY u64          048 flags u32            180 REPORTED_TCB 8
    010 FAMILY_ID 16        04C zero u32             188 CPUID family, model, stepping;
    020 IMAGE_ID 16         050 REPORT_DATA 64           zero in version 2
    030 VMPL u32            090 MEASUREMENT 48       18B zero 21
    034 SIGNATURE_ALGO u32  0C0 HOST_DATA 32         1A0 CHIP_ID 64
                            0E0 ID_KEY_DIGEST 48     1E0 COMMITTED_TCB 8
                            110 AUTHOR_KEY_DIGEST 48 1E8 build, minor, major of the
                                                         current firmware, zero u8
                                                     1EC the same, committed
                                                     1F0 LAUNCH_TCB 8
                                                     1F8 zero 168
                                                     2A0 SIGNATURE 512: R 72, S 72, zero

    flags: 0 AUTHOR_KEY_EN, 1 MASK_CHIP_KEY, 2..4 SIGNING_KEY, others zero
    TCB:   0 boot loader, 1 TEE, 2..5 reserved, 6 SNP, 7 microcode (2.2)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from blindai.errors import EvidenceError
from blindai.verifier.snp.claims import GuestPolicy, SnpClaims, Tcb

REPORT_BYTES = 0x4A0
SIGNED_BYTES = 0x2A0
VERSIONS = (2, 3)

_RESERVED = (
    ("after the flags", 0x04C, 0x050),
    ("after the CPUID", 0x18B, 0x1A0),
    ("after the current version", 0x1EB, 0x1EC),
    ("after the committed version", 0x1EF, 0x1F0),
    ("after the launch TCB", 0x1F8, 0x2A0),
)
_FLAG_BITS = 5
_POLICY_BITS = 26
_POLICY_ALWAYS_ONE = 17
_HIGHEST_VMPL = 3


class SigningKey(IntEnum):
    """Which kind of key signed the report (SIGNING_KEY)."""

    VCEK = 0
    VLEK = 1
    NONE = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report, cut into its fields but not believed.

    Attributes:
        measurement: Launch measurement, 48 bytes (SHA-384).
        report_data: What the guest bound to it, 64 bytes.
        claims: What else it says about the enclave.
        signed: The bytes under the signature, 672.
        signature: R, S and what follows them, 512 bytes.
        signature_algorithm: 1 for ECDSA P-384 with SHA-384.
        signing_key: What it says of the key that signed it; see `SigningKey`.
        mask_chip_key: Whether the firmware was told not to sign.
        author_key_enabled: Whether an author key certified the ID key.
        reported_tcb: The TCB that chose the signing key, 8 bytes.
        current_tcb: The firmware that runs.
        cpuid: Family, model and stepping; None in version 2.
    """

    measurement: bytes
    report_data: bytes
    claims: SnpClaims
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    signature_algorithm: int
    signing_key: int
    mask_chip_key: bool
    author_key_enabled: bool
    reported_tcb: bytes
    current_tcb: Tcb
    cpuid: tuple[int, int, int] | None


def parse_report(data: bytes) -> Report:
    """Cut a report into its fields.

    Raises:
        EvidenceError: If it is not exactly 1184 bytes, is of another version, or has
            bits set that must be zero.
    """
    if len(data) != REPORT_BYTES:
        raise EvidenceError(f"report: expected {REPORT_BYTES} bytes, got {len(data)}")
    version = _number(data, 0x000, 4)
    if version not in VERSIONS:
        raise EvidenceError(f"report version: expected 2 or 3, got {version}")
    _require_reserved_zero(data, version)
    flags = _number(data, 0x048, 4)
    return Report(
        measurement=data[0x090:0x0C0],
        report_data=data[0x050:0x090],
        claims=_claims(data),
        signed=data[:SIGNED_BYTES],
        signature=data[SIGNED_BYTES:],
        signature_algorithm=_number(data, 0x034, 4),
        signing_key=flags >> 2,
        mask_chip_key=bool(flags & 2),
        author_key_enabled=bool(flags & 1),
        reported_tcb=data[0x180:0x188],
        current_tcb=_tcb(data, 0x038),
        cpuid=(data[0x188], data[0x189], data[0x18A]) if version > 2 else None,
    )


def _require_reserved_zero(data: bytes, version: int) -> None:
    for where, start, end in _RESERVED:
        if any(data[start:end]):
            raise EvidenceError(f"report: expected zeros {where}")
    if version == 2 and any(data[0x188:0x18B]):
        raise EvidenceError("report: expected no CPUID in version 2")
    if _number(data, 0x048, 4) >> _FLAG_BITS:
        raise EvidenceError("report flags: expected the reserved bits to be zero")


def _claims(data: bytes) -> SnpClaims:
    return SnpClaims(
        vmpl=_vmpl(data),
        guest_policy=_guest_policy(_number(data, 0x008, 8)),
        guest_svn=_number(data, 0x004, 4),
        family_id=data[0x010:0x020],
        image_id=data[0x020:0x030],
        host_data=data[0x0C0:0x0E0],
        id_key_digest=data[0x0E0:0x110],
        author_key_digest=data[0x110:0x140],
        tcb=_tcb(data, 0x180),
        committed_tcb=_tcb(data, 0x1E0),
        chip_id=data[0x1A0:0x1E0],
    )


def _vmpl(data: bytes) -> int:
    """The level of the guest that asked.

    Raises:
        EvidenceError: If it is not 0 to 3; the host's own requests (FFFFFFFFh) prove
            nothing about who asked.
    """
    vmpl = _number(data, 0x030, 4)
    if vmpl > _HIGHEST_VMPL:
        raise EvidenceError(f"report VMPL: expected 0 to 3, got {vmpl}")
    return vmpl


def _guest_policy(bits: int) -> GuestPolicy:
    if bits >> _POLICY_BITS or not bits >> _POLICY_ALWAYS_ONE & 1:
        raise EvidenceError("guest policy: expected the reserved bits as AMD sets them")
    return GuestPolicy(
        abi_minor=bits & 0xFF,
        abi_major=bits >> 8 & 0xFF,
        smt=bool(bits >> 16 & 1),
        migrate_ma=bool(bits >> 18 & 1),
        debug=bool(bits >> 19 & 1),
        single_socket=bool(bits >> 20 & 1),
        cxl_allow=bool(bits >> 21 & 1),
        mem_aes_256_xts=bool(bits >> 22 & 1),
        rapl_dis=bool(bits >> 23 & 1),
        ciphertext_hiding_dram=bool(bits >> 24 & 1),
        page_swap_disable=bool(bits >> 25 & 1),
    )


def _tcb(data: bytes, offset: int) -> Tcb:
    levels = data[offset : offset + 8]
    return Tcb(bootloader=levels[0], tee=levels[1], snp=levels[6], microcode=levels[7])


def _number(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")
