"""The simulated TEE: SEV-SNP-shaped evidence that proves nothing, for development.

The private keys of its root lie in the package, in files that shout it. So anybody can
make this evidence about anything; what it is good for is that the same verifier runs,
line by line, without the hardware. Only a policy with `insecure_accept_simulation`
accepts it.

Reports have the layout of version 3 (AMD 56860 revision 1.57, 7.3), the leaf has AMD's
extensions (AMD 57230, chapter 3). Every field can be set, so that tests can make every
refusal.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata, resources
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from blindai.attester import SEALING_KEY_BYTES
from blindai.errors import ConfigurationError
from blindai.protocol.attestation import (
    PEM_CHAIN_TYPE,
    SIMULATED_SEV_SNP_REPORT_TYPE,
    Endorsement,
    Evidence,
)

if TYPE_CHECKING:
    from pathlib import Path

    from blindai.protocol.keyset import Binding

REPORT_BYTES = 0x4A0
SIGNED_BYTES = 0x2A0
GUEST_POLICY = 0x3001F  # multithreading allowed, ABI 0.31, bit 17 always one
TCB = bytes([10, 0, 0, 0, 0, 0, 23, 84])
CHIP_ID = hashlib.sha512(b"blindai INSECURE SIMULATION chip").digest()

_FOLDER = resources.files("blindai.attester") / "insecure_simulation"
_AMD = "1.3.6.1.4.1.3704.1."
_TCB_ORDER = (1, 2, 4, 5, 6, 7, 3, 8)  # which extension has byte 0, 1, ... of a TCB
_PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
_PRIVATE_MODE = 0o600


def default_measurement() -> bytes:
    """The measurement of the installed package: a digest of its version, 48 bytes."""
    build = f"blindai {metadata.version('blindai')}"
    return hashlib.sha384(
        b"blindai simulated measurement v1\x00" + build.encode()
    ).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPlatform:
    """What the simulated hardware says of itself; the defaults are accepted.

    Attributes:
        version: Report version.
        measurement: Launch measurement, 48 bytes; by default the package's version.
        guest_policy: POLICY, 64 bits.
        guest_svn: GUEST_SVN, 32 bits.
        family_id: FAMILY_ID, 16 bytes.
        image_id: IMAGE_ID, 16 bytes.
        vmpl: VMPL, 32 bits.
        host_data: HOST_DATA, 32 bytes.
        id_key_digest: ID_KEY_DIGEST, 48 bytes.
        author_key_digest: AUTHOR_KEY_DIGEST, 48 bytes.
        flags: AUTHOR_KEY_EN, MASK_CHIP_KEY and SIGNING_KEY, 32 bits.
        chip_id: CHIP_ID, 64 bytes.
        tcb: REPORTED_TCB, 8 bytes.
        committed_tcb: COMMITTED_TCB and LAUNCH_TCB, 8 bytes.
        current_tcb: CURRENT_TCB, 8 bytes.
        cpuid: Family, model and stepping.
        signature_algorithm: SIGNATURE_ALGO, 32 bits.
        leaf_product: Product name in the leaf.
        leaf_tcb: Patch levels in the leaf, 8 bytes.
        leaf_hwid: HWID in the leaf, 64 bytes, which makes it a VCEK; or None.
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
    host_data: bytes = bytes(32)
    id_key_digest: bytes = bytes(48)
    author_key_digest: bytes = bytes(48)
    flags: int = 0
    chip_id: bytes = CHIP_ID
    tcb: bytes = TCB
    committed_tcb: bytes = TCB
    current_tcb: bytes = TCB
    cpuid: tuple[int, int, int] = (0x19, 0x11, 0x01)
    signature_algorithm: int = 1
    leaf_product: str = "Genoa"
    leaf_tcb: bytes = TCB
    leaf_hwid: bytes | None = CHIP_ID
    leaf_csp_id: str | None = None
    leaf_not_before: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    leaf_not_after: datetime = datetime(2075, 1, 1, tzinfo=UTC)


class SimulatedAttester:
    """An attester without hardware: what it signs, anybody could have signed.

    Args:
        platform: What it says of itself.
        sealing_key_file: Where the sealing secret lies; made if it is absent. Without
            it there is no sealing key.
    """

    def __init__(
        self,
        platform: SimulatedPlatform | None = None,
        sealing_key_file: Path | None = None,
    ) -> None:
        self.platform = platform or SimulatedPlatform()
        self._sealing_key_file = sealing_key_file
        self._key = ec.generate_private_key(ec.SECP384R1())
        self._endorsements = endorse(self.platform, self._key.public_key())

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        return SIMULATED_SEV_SNP_REPORT_TYPE

    def attest(self, binding: Binding) -> Evidence:
        """Evidence that binds what it is given."""
        signed = write_report(self.platform, binding.report_data)
        return Evidence(
            media_type=self.tee,
            evidence=sign(signed, self._key),
            endorsements=(Endorsement(PEM_CHAIN_TYPE, self._endorsements),),
        )

    def sealing_key(self) -> bytes | None:
        """A key of 32 bytes for this measurement, or None without a key file.

        Raises:
            ConfigurationError: If the key file is not one, or others may read it.
        """
        if self._sealing_key_file is None:
            return None
        secret = _load_or_make_secret(self._sealing_key_file)
        label = b"blindai INSECURE SIMULATION sealing key v1\x00"
        return hmac.digest(secret, label + self.platform.measurement, "sha256")


def write_report(platform: SimulatedPlatform, report_data: bytes) -> bytes:
    """The 672 bytes of a report that are signed."""
    report = bytearray(SIGNED_BYTES)
    struct.pack_into(
        "<IIQ16s16sII8s",
        report,
        0x000,
        platform.version,
        platform.guest_svn,
        platform.guest_policy,
        platform.family_id,
        platform.image_id,
        platform.vmpl,
        platform.signature_algorithm,
        platform.current_tcb,
    )
    struct.pack_into("<I", report, 0x048, platform.flags)
    struct.pack_into(
        "<64s48s32s48s48s",
        report,
        0x050,
        report_data,
        platform.measurement,
        platform.host_data,
        platform.id_key_digest,
        platform.author_key_digest,
    )
    struct.pack_into("<32s", report, 0x160, b"\xff" * 32)  # no migration agent
    struct.pack_into("<8s3B", report, 0x180, platform.tcb, *platform.cpuid)
    struct.pack_into("<64s8s", report, 0x1A0, platform.chip_id, platform.committed_tcb)
    struct.pack_into("<8s", report, 0x1F0, platform.committed_tcb)
    return bytes(report)


def sign(signed: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The report of 1184 bytes: R and S little-endian in fields of 72, then zeros."""
    signature = key.sign(signed, ec.ECDSA(hashes.SHA384()))
    r, s = utils.decode_dss_signature(signature)
    fields = r.to_bytes(72, "little") + s.to_bytes(72, "little")
    return (signed + fields).ljust(REPORT_BYTES, b"\x00")


def endorse(platform: SimulatedPlatform, key: ec.EllipticCurvePublicKey) -> bytes:
    """A new leaf for `key`, and the two certificates above it, in PEM."""
    ask = x509.load_pem_x509_certificate(_read("INSECURE_ask_certificate.pem"))
    organization, _ = ask.subject
    name = x509.NameAttribute(x509.NameOID.COMMON_NAME, "INSECURE SIMULATION VCEK")
    builder = x509.CertificateBuilder(
        issuer_name=ask.subject,
        subject_name=x509.Name([organization, name]),
        public_key=key,
        serial_number=1,
        not_valid_before=platform.leaf_not_before,
        not_valid_after=platform.leaf_not_after,
    )
    for number, value in _leaf_extensions(platform).items():
        oid = x509.ObjectIdentifier(_AMD + number)
        extension = x509.UnrecognizedExtension(oid, value)
        builder = builder.add_extension(extension, critical=False)
    leaf = builder.sign(insecure_ask_key(), hashes.SHA384(), rsa_padding=_PSS)
    return (
        leaf.public_bytes(serialization.Encoding.PEM)
        + _read("INSECURE_ask_certificate.pem")
        + _read("INSECURE_ark_certificate.pem")
    )


@cache
def insecure_ask_key() -> rsa.RSAPrivateKey:
    """The public private key that issues leaves."""
    return _private_key("INSECURE_PUBLIC_ask_key.pem")


@cache
def insecure_ark_key() -> rsa.RSAPrivateKey:
    """The public private key of the root."""
    return _private_key("INSECURE_PUBLIC_ark_key.pem")


def _private_key(name: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(
        _read(name), None, unsafe_skip_rsa_key_validation=True
    )
    return cast("rsa.RSAPrivateKey", key)


def _leaf_extensions(platform: SimulatedPlatform) -> dict[str, bytes]:
    """AMD's extensions by the rest of their identifiers (AMD 57230, chapter 3)."""
    extensions = {"1": _integer(0), "2": _ia5(platform.leaf_product)}
    for number, level in zip(_TCB_ORDER, platform.leaf_tcb, strict=True):
        extensions[f"3.{number}"] = _integer(level)
    if platform.leaf_hwid is not None:
        extensions["4"] = platform.leaf_hwid
    if platform.leaf_csp_id is not None:
        extensions["5"] = _ia5(platform.leaf_csp_id)
    return extensions


def _integer(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1)
    return bytes([0x02, len(content)]) + content


def _ia5(text: str) -> bytes:
    return bytes([0x16, len(text)]) + text.encode("ascii")


def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()


def _load_or_make_secret(path: Path) -> bytes:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(path, flags, _PRIVATE_MODE)
    except FileExistsError:
        return _load_secret(path)
    secret = secrets.token_bytes(SEALING_KEY_BYTES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    return secret


def _load_secret(path: Path) -> bytes:
    if stat.S_IMODE(path.stat().st_mode) != _PRIVATE_MODE:
        raise ConfigurationError(f"sealing key file {path}: expected mode 0600")
    secret = path.read_bytes()
    if len(secret) != SEALING_KEY_BYTES:
        raise ConfigurationError(
            f"sealing key file {path}: expected {SEALING_KEY_BYTES} bytes,"
            f" got {len(secret)}"
        )
    return secret
