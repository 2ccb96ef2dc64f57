"""The SEV-SNP attestation report, versions 2 to 5.

AMD 56860 revision 1.58, 7.3, table ATTESTATION_REPORT, and 4.3, guest policy. All
numbers little-endian.

    000 VERSION u32         038 CURRENT_TCB 8        140 REPORT_ID 32
    004 GUEST_SVN u32       040 PLATFORM_INFO u64    160 REPORT_ID_MA 32
    008 POLICY u64          048 flags u32            180 REPORTED_TCB 8
    010 FAMILY_ID 16        04C zero u32             188 CPUID family, model, stepping
    020 IMAGE_ID 16         050 REPORT_DATA 64       18B zero 21
    030 VMPL u32            090 MEASUREMENT 48       1A0 CHIP_ID 64
    034 SIGNATURE_ALGO u32  0C0 HOST_DATA 32         1E0 COMMITTED_TCB 8
                            0E0 ID_KEY_DIGEST 48     1E8 build, minor, major of the
                            110 AUTHOR_KEY_DIGEST 48     current firmware, zero u8
                                                     1EC the same, committed
                                                     1F0 LAUNCH_TCB 8
                                                     1F8 LAUNCH_MIT_VECTOR u64
                                                     200 CURRENT_MIT_VECTOR u64
                                                     208 zero 152
                                                     2A0 SIGNATURE 512: R 72, S 72, zero

    flags:         0 AUTHOR_KEY_EN, 1 MASK_CHIP_KEY, 2..4 SIGNING_KEY, others zero
    PLATFORM_INFO: 0 SMT, 1 TSME, 2 ECC, 3 RAPL_DIS, 4 CIPHERTEXT_HIDING_DRAM,
                   5 ALIAS_CHECK_COMPLETE, 7 TIO, others reserved, not zero

What came when: CPUID and ALIAS_CHECK_COMPLETE with version 3, the mitigation vectors,
TIO and bit 25 of the guest policy with version 5; before, these are zero or without a
name. AMD has not published version 4. It is read as version 3, but nothing is expected
of what version 5 names: firmware has been seen to write there.

The four TCBs stay bytes here: their layout is the processor line's, which version 2
does not name and no version proves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from blindai.errors import EvidenceError
from blindai.verifier.snp.claims import GuestPolicy, PlatformInfo

REPORT_BYTES = 0x4A0
SIGNED_BYTES = 0x2A0
FIRST_VERSION, LAST_VERSION = 2, 5

_NAMES_PROCESSOR = 3
_UNPUBLISHED = 4
_NAMES_MITIGATIONS = 5
_RESERVED: tuple[tuple[str, int, int], ...] = (
    ("after the flags", 0x04C, 0x050),
    ("after the CPUID", 0x18B, 0x1A0),
    ("after the current version", 0x1EB, 0x1EC),
    ("after the committed version", 0x1EF, 0x1F0),
    ("at the end", 0x208, 0x2A0),
)
_CPUID = ("instead of a CPUID", 0x188, 0x18B)
_MITIGATIONS = ("instead of mitigation vectors", 0x1F8, 0x208)
_FLAG_BITS = 5
_POLICY_BITS = 26
_POLICY_BITS_BEFORE_4 = 25
_POLICY_ALWAYS_ONE = 17
_HIGHEST_VMPL = 3
_ALIAS_CHECK = 5
_TIO = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report, cut into its fields but not believed.

    Attributes:
        version: 2 to 5.
        guest_svn: Security version number of the image.
        guest_policy: What the enclave's owner allows its host.
        family_id: Names the family of images, 16 bytes.
        image_id: Names the image, 16 bytes.
        vmpl: The level of the guest that asked, 0 to 3.
        signature_algorithm: 1 for ECDSA P-384 with SHA-384.
        current_tcb: The firmware that runs, 8 bytes.
        platform: How the machine is set up.
        author_key_enabled: Whether an author key certified the ID key.
        mask_chip_key: Whether the firmware was told not to sign with the chip's key.
        signing_key: What it says of the key that signed it; see `SigningKey`.
        report_data: What the guest bound to it, 64 bytes.
        measurement: Launch measurement, 48 bytes (SHA-384).
        host_data: What the host said at launch, 32 bytes.
        id_key_digest: Of the key that signed the image's identity, 48 bytes or zeros.
        author_key_digest: Of the key that certified it, 48 bytes or zeros.
        report_id: Names the running enclave, 32 bytes.
        report_id_ma: Names its migration agent, 32 bytes.
        reported_tcb: The TCB that chose the signing key, 8 bytes.
        cpuid: Family, model and stepping; None in version 2.
        chip_id: Names the processor, 64 bytes; zero where it is hidden.
        committed_tcb: The firmware that cannot be rolled back, 8 bytes.
        current_version: Major, minor and build of the firmware that runs.
        committed_version: The same of the one that cannot be rolled back.
        launch_tcb: The firmware when the enclave was launched, 8 bytes.
        launch_mitigations: The vector at launch; None before version 5.
        current_mitigations: The vector now; None before version 5.
        signed: The bytes under the signature, 672.
        signature: R, S and what follows them, 512 bytes.
    """

    version: int
    guest_svn: int
    guest_policy: GuestPolicy
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algorithm: int
    current_tcb: bytes
    platform: PlatformInfo
    author_key_enabled: bool
    mask_chip_key: bool
    signing_key: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    cpuid: tuple[int, int, int] | None
    chip_id: bytes
    committed_tcb: bytes
    current_version: tuple[int, int, int]
    committed_version: tuple[int, int, int]
    launch_tcb: bytes
    launch_mitigations: int | None
    current_mitigations: int | None
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse_report(data: bytes) -> Report:
    """Cut a report into its fields.

    Raises:
        EvidenceError: If it is not exactly 1184 bytes, is of another version, or has
            bits set that must be zero in its version.
    """
    if len(data) != REPORT_BYTES:
        raise EvidenceError(f"report: expected {REPORT_BYTES} bytes, got {len(data)}")
    version = _number(data, 0x000, 4)
    if not FIRST_VERSION <= version <= LAST_VERSION:
        raise EvidenceError(
            f"report version: expected {FIRST_VERSION} to {LAST_VERSION}, got {version}"
        )
    _require_zeros(data, version)
    return _cut(data, version)


def _cut(data: bytes, version: int) -> Report:
    flags = _number(data, 0x048, 4)
    mitigations = version >= _NAMES_MITIGATIONS
    return Report(
        version=version,
        guest_svn=_number(data, 0x004, 4),
        guest_policy=_guest_policy(_number(data, 0x008, 8), version),
        family_id=data[0x010:0x020],
        image_id=data[0x020:0x030],
        vmpl=_vmpl(data),
        signature_algorithm=_number(data, 0x034, 4),
        current_tcb=data[0x038:0x040],
        platform=_platform(_number(data, 0x040, 8), version),
        author_key_enabled=bool(flags & 1),
        mask_chip_key=bool(flags & 2),
        signing_key=flags >> 2,
        report_data=data[0x050:0x090],
        measurement=data[0x090:0x0C0],
        host_data=data[0x0C0:0x0E0],
        id_key_digest=data[0x0E0:0x110],
        author_key_digest=data[0x110:0x140],
        report_id=data[0x140:0x160],
        report_id_ma=data[0x160:0x180],
        reported_tcb=data[0x180:0x188],
        cpuid=_triple(data, 0x188) if version >= _NAMES_PROCESSOR else None,
        chip_id=data[0x1A0:0x1E0],
        committed_tcb=data[0x1E0:0x1E8],
        current_version=_triple(data, 0x1E8)[::-1],
        committed_version=_triple(data, 0x1EC)[::-1],
        launch_tcb=data[0x1F0:0x1F8],
        launch_mitigations=_number(data, 0x1F8, 8) if mitigations else None,
        current_mitigations=_number(data, 0x200, 8) if mitigations else None,
        signed=data[:SIGNED_BYTES],
        signature=data[SIGNED_BYTES:],
    )


def _require_zeros(data: bytes, version: int) -> None:
    reserved = _RESERVED
    if version < _NAMES_PROCESSOR:
        reserved += (_CPUID,)
    if version < _UNPUBLISHED:
        reserved += (_MITIGATIONS,)
    for where, start, end in reserved:
        if any(data[start:end]):
            raise EvidenceError(f"report of version {version}: expected zeros {where}")
    if _number(data, 0x048, 4) >> _FLAG_BITS:
        raise EvidenceError("report flags: expected the reserved bits to be zero")


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


def _guest_policy(bits: int, version: int) -> GuestPolicy:
    known = _POLICY_BITS if version >= _UNPUBLISHED else _POLICY_BITS_BEFORE_4
    if bits >> known or not _bit(bits, _POLICY_ALWAYS_ONE):
        raise EvidenceError("guest policy: expected the reserved bits as AMD sets them")
    return GuestPolicy(
        abi_minor=bits & 0xFF,
        abi_major=bits >> 8 & 0xFF,
        smt=_bit(bits, 16),
        migrate_ma=_bit(bits, 18),
        debug=_bit(bits, 19),
        single_socket=_bit(bits, 20),
        cxl_allow=_bit(bits, 21),
        mem_aes_256_xts=_bit(bits, 22),
        rapl_dis=_bit(bits, 23),
        ciphertext_hiding_dram=_bit(bits, 24),
        page_swap_disable=_bit(bits, 25),
    )


def _platform(bits: int, version: int) -> PlatformInfo:
    alias_check = version >= _NAMES_PROCESSOR
    tio = version >= _NAMES_MITIGATIONS
    named = 0x1F | alias_check << _ALIAS_CHECK | tio << _TIO
    return PlatformInfo(
        smt=_bit(bits, 0),
        tsme=_bit(bits, 1),
        ecc=_bit(bits, 2),
        rapl_dis=_bit(bits, 3),
        ciphertext_hiding_dram=_bit(bits, 4),
        alias_check=_bit(bits, _ALIAS_CHECK) if alias_check else None,
        tio=_bit(bits, _TIO) if tio else None,
        others=bits & ~named,
    )


def _bit(bits: int, number: int) -> bool:
    return bool(bits >> number & 1)


def _triple(data: bytes, offset: int) -> tuple[int, int, int]:
    first, second, third = data[offset : offset + 3]
    return first, second, third


def _number(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")
