"""Writes SEV-SNP reports and the extensions of leaf certificates, any field set.

Reports have the layout of versions 2 to 5 (AMD 56860 revision 1.58, 7.3), leaves have
AMD's extensions (AMD 57230, chapter 3). What hardware would never say can be written
too, so that tests can make every refusal.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

REPORT_BYTES = 0x4A0
SIGNED_BYTES = 0x2A0
GUEST_POLICY = 0x3001F  # multithreading allowed, ABI 0.31, bit 17 always one
TCB = bytes([10, 0, 0, 0, 0, 0, 23, 84])
CHIP_ID = hashlib.sha512(b"blindai INSECURE SIMULATION chip").digest()
FIRMWARE = (1, 55, 40)

_AMD = "1.3.6.1.4.1.3704.1."
# Which patch level has byte 0, 1, ... of a TCB, by the leaf's struct version.
_PATCH_LEVELS = {0: (1, 2, 4, 5, 6, 7, 3, 8), 1: (9, 1, 2, 3, 5, 6, 7, 8)}


def default_measurement() -> bytes:
    """The measurement of the installed package: a digest of its version, 48 bytes."""
    build = f"blindai {metadata.version('blindai')}"
    return hashlib.sha384(
        b"blindai simulated measurement v1\x00" + build.encode()
    ).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPlatform:
    """What hardware that is not there says of itself; the defaults are accepted.

    Attributes:
        version: Report version.
        measurement: Launch measurement, 48 bytes; by default the package's version.
        guest_policy: POLICY, 64 bits.
        guest_svn: GUEST_SVN, 32 bits.
        family_id: FAMILY_ID, 16 bytes.
        image_id: IMAGE_ID, 16 bytes.
        vmpl: VMPL, 32 bits.
        platform_info: PLATFORM_INFO, 64 bits.
        host_data: HOST_DATA, 32 bytes.
        id_key_digest: ID_KEY_DIGEST, 48 bytes.
        author_key_digest: AUTHOR_KEY_DIGEST, 48 bytes.
        report_id: REPORT_ID, 32 bytes.
        report_id_ma: REPORT_ID_MA, 32 bytes; all ones without a migration agent.
        flags: AUTHOR_KEY_EN, MASK_CHIP_KEY and SIGNING_KEY, 32 bits.
        chip_id: CHIP_ID, 64 bytes.
        tcb: REPORTED_TCB, 8 bytes.
        committed_tcb: COMMITTED_TCB, 8 bytes.
        current_tcb: CURRENT_TCB, 8 bytes.
        launch_tcb: LAUNCH_TCB, 8 bytes.
        current_version: Major, minor and build of the firmware that runs.
        committed_version: The same of the one that cannot be rolled back.
        launch_mitigations: LAUNCH_MIT_VECTOR, 64 bits, written whatever the version.
        current_mitigations: CURRENT_MIT_VECTOR, likewise.
        cpuid: Family, model and stepping.
        signature_algorithm: SIGNATURE_ALGO, 32 bits.
        leaf_struct_version: Of the leaf's extensions: 1 for Turin, 0 for the others.
        leaf_product: Product name in the leaf.
        leaf_tcb: Patch levels in the leaf, 8 bytes.
        leaf_hwid: HWID in the leaf, which makes it a VCEK; or None.
        leaf_csp_id: Provider's name in the leaf, which makes it a VLEK; or None.
        leaf_not_before: First second of the leaf's validity.
        leaf_not_after: Last second of the leaf's validity.
    """

    version: int = 3
    measurement: bytes = field(default_factory=default_measurement)
    guest_policy: int = GUEST_POLICY
    guest_svn: int = 0
    family_id: bytes = bytes(16)
    image_id: bytes = bytes(16)
    vmpl: int = 0
    platform_info: int = 0
    host_data: bytes = bytes(32)
    id_key_digest: bytes = bytes(48)
    author_key_digest: bytes = bytes(48)
    report_id: bytes = bytes(32)
    report_id_ma: bytes = b"\xff" * 32
    flags: int = 0
    chip_id: bytes = CHIP_ID
    tcb: bytes = TCB
    committed_tcb: bytes = TCB
    current_tcb: bytes = TCB
    launch_tcb: bytes = TCB
    current_version: tuple[int, int, int] = FIRMWARE
    committed_version: tuple[int, int, int] = FIRMWARE
    launch_mitigations: int = 0
    current_mitigations: int = 0
    cpuid: tuple[int, int, int] = (0x19, 0x11, 0x01)
    signature_algorithm: int = 1
    leaf_struct_version: int = 0
    leaf_product: str = "Genoa"
    leaf_tcb: bytes = TCB
    leaf_hwid: bytes | None = CHIP_ID
    leaf_csp_id: str | None = None
    leaf_not_before: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    leaf_not_after: datetime = datetime(2075, 1, 1, tzinfo=UTC)


def write_report(platform: SimulatedPlatform, report_data: bytes) -> bytes:
    """The 672 bytes of a report that are signed."""
    return (
        struct.pack(
            "<IIQ16s16sII8sQI4x64s",
            platform.version,
            platform.guest_svn,
            platform.guest_policy,
            platform.family_id,
            platform.image_id,
            platform.vmpl,
            platform.signature_algorithm,
            platform.current_tcb,
            platform.platform_info,
            platform.flags,
            report_data,
        )
        + struct.pack(
            "<48s32s48s48s32s32s8s3B21x64s",
            platform.measurement,
            platform.host_data,
            platform.id_key_digest,
            platform.author_key_digest,
            platform.report_id,
            platform.report_id_ma,
            platform.tcb,
            *platform.cpuid,
            platform.chip_id,
        )
        + struct.pack(
            "<8s3Bx3Bx8sQQ152x",
            platform.committed_tcb,
            *platform.current_version[::-1],
            *platform.committed_version[::-1],
            platform.launch_tcb,
            platform.launch_mitigations,
            platform.current_mitigations,
        )
    )


def sign(signed: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The report of 1184 bytes: R and S little-endian in fields of 72, then zeros."""
    signature = key.sign(signed, ec.ECDSA(hashes.SHA384()))
    r, s = utils.decode_dss_signature(signature)
    fields = r.to_bytes(72, "little") + s.to_bytes(72, "little")
    return (signed + fields).ljust(REPORT_BYTES, b"\x00")


def leaf_extensions(
    platform: SimulatedPlatform,
) -> tuple[x509.UnrecognizedExtension, ...]:
    """AMD's extensions of the leaf certificate (AMD 57230, chapter 3)."""
    values = {
        "1": _integer(platform.leaf_struct_version),
        "2": _ia5(platform.leaf_product),
    }
    numbers = _PATCH_LEVELS[platform.leaf_struct_version]
    for number, level in zip(numbers, platform.leaf_tcb, strict=True):
        values[f"3.{number}"] = _integer(level)
    if platform.leaf_hwid is not None:
        values["4"] = platform.leaf_hwid
    if platform.leaf_csp_id is not None:
        values["5"] = _ia5(platform.leaf_csp_id)
    return tuple(
        x509.UnrecognizedExtension(x509.ObjectIdentifier(_AMD + number), value)
        for number, value in values.items()
    )


def _integer(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1)
    return bytes([0x02, len(content)]) + content


def _ia5(text: str) -> bytes:
    return bytes([0x16, len(text)]) + text.encode("ascii")
