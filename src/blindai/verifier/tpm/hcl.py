"""The report of Azure's paravisor (HCL), cut into fields but not believed.

Microsoft, "Azure confidential VM guest attestation design detail": attestation report
format. Numbers little-endian; all of the header is unsigned, and nothing is decided by
it.

    header, 32                            runtime data, from 1216
    000 signature 4, "HCLA"               00 size u32, of these 20 bytes and the claims
    004 version u32, 1 or 2               04 version u32, 1
    008 report size u32                   08 report type u32: 2 SEV-SNP, 4 TDX
    00C request type u32, 2               0C hash type u32: 1 SHA-256
    010 status u32                        10 size u32, of the claims
    014 reserved 12                       14 claims, JSON; after them zeros
    payload, 1184: SEV-SNP report, or
    TDREPORT 1024 and zeros

The hardware signs the hash of the claims. In them:

    keys              JSON Web Keys; "HCLAkPub" is the vTPM's attestation key
    vm-configuration  console-enabled, secure-boot, vmUniqueId, and others
    user-data         64 bytes in hexadecimal, that the guest wrote
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from blindai.errors import EvidenceError
from blindai.verifier.reader import Reader
from blindai.verifier.tpm.claims import AzureConfiguration

_T = TypeVar("_T")

SIGNATURE: Final = b"HCLA"
PAYLOAD_BYTES: Final = 1184
MAX_CLAIMS_BYTES: Final = 4096
AK_NAME: Final = "HCLAkPub"
RSA_BYTES: Final = 256
_VERSIONS: Final = (1, 2)
_RUNTIME_VERSION: Final = 1
_SHA256: Final = 1
_HEAD_BYTES: Final = 20
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
_USER_DATA: Final = re.compile(r"[0-9A-Fa-f]{128}")
_VM_ID: Final = re.compile(r"[0-9A-Fa-f-]{36}")


class ReportType(IntEnum):
    """Which hardware report is inside."""

    SEV_SNP = 2
    TDX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class HclReport:
    """A paravisor's report.

    Attributes:
        type: Which hardware report is inside.
        payload: The hardware report, 1184 bytes.
        claims: What the hardware report has the hash of, as it was hashed.
    """

    type: ReportType
    payload: bytes = field(repr=False)
    claims: bytes = field(repr=False)

    @property
    def report_data(self) -> bytes:
        """What the hardware must have signed, 64 bytes."""
        return hashlib.sha256(self.claims).digest().ljust(64, b"\x00")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeClaims:
    """What the paravisor says.

    Attributes:
        ak: SubjectPublicKeyInfo of the vTPM's attestation key, in DER.
        configuration: Of the virtual machine.
    """

    ak: bytes = field(repr=False)
    configuration: AzureConfiguration


def parse_hcl_report(data: bytes) -> HclReport:
    """Cut a report into its fields.

    Raises:
        EvidenceError: If the bytes are anything else.
    """
    reader = Reader(data, "HCL report", "little")
    signature, version = reader.take(4), reader.number(4)
    if signature != SIGNATURE or version not in _VERSIONS:
        raise EvidenceError("HCL report: expected HCLA, version 1 or 2")
    reader.take(24)
    payload = reader.take(PAYLOAD_BYTES)
    size, runtime = reader.number(4), reader.number(4)
    kind, algorithm = reader.number(4), reader.number(4)
    if runtime != _RUNTIME_VERSION or algorithm != _SHA256:
        raise EvidenceError("HCL report: expected runtime data 1, hashed with SHA-256")
    if kind not in set(ReportType):
        raise EvidenceError(
            f"HCL report: expected an SEV-SNP or TDX report, got {kind}"
        )
    claims = reader.sized(4, MAX_CLAIMS_BYTES)
    if size != _HEAD_BYTES + len(claims) or any(data[reader.offset :]):
        raise EvidenceError("HCL report: expected claims of one size, then zeros")
    return HclReport(type=ReportType(kind), payload=payload, claims=claims)


def parse_runtime_claims(data: bytes) -> RuntimeClaims:
    """Read the claims; only once the hardware report is seen to have their hash.

    Raises:
        EvidenceError: If they are anything else.
    """
    try:
        claims = json.loads(data.decode("ascii"), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise EvidenceError("HCL claims: expected JSON in ASCII") from error
    configuration = _member(claims, "vm-configuration", dict)
    return RuntimeClaims(
        ak=_ak(_member(claims, "keys", list)),
        configuration=AzureConfiguration(
            vm_id=_matching(configuration, "vmUniqueId", _VM_ID),
            secure_boot=_member(configuration, "secure-boot", bool),
            console_enabled=_member(configuration, "console-enabled", bool),
            user_data=bytes.fromhex(_matching(claims, "user-data", _USER_DATA)),
        ),
    )


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key twice")
    return members


def _member(value: object, key: str, kind: type[_T]) -> _T:
    member = value.get(key) if isinstance(value, dict) else None
    if not isinstance(member, kind):
        raise EvidenceError(f"HCL claims: expected {key} to be a {kind.__name__}")
    return member


def _matching(value: object, key: str, pattern: re.Pattern[str]) -> str:
    text = _member(value, key, str)
    if not pattern.fullmatch(text):
        raise EvidenceError(f"HCL claims: expected {key} in its form")
    return text


def _ak(keys: list[object]) -> bytes:
    """The attestation key, from its JSON Web Key (RFC 7517, RFC 7518 6.3.1).

    Raises:
        EvidenceError: If there is not one of that name, RSA of 2048 bits.
    """
    named = [each for each in keys if _member(each, "kid", str) == AK_NAME]
    if len(named) != 1 or _member(named[0], "kty", str) != "RSA":
        raise EvidenceError(f"HCL claims: expected one RSA key {AK_NAME}")
    modulus, exponent = (_integer(named[0], key) for key in "ne")
    try:
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise EvidenceError(f"HCL claims: expected {AK_NAME} to be a key") from error
    if key.key_size != RSA_BYTES * 8:
        raise EvidenceError(f"HCL claims: expected {AK_NAME} of {RSA_BYTES} bytes")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _integer(value: object, key: str) -> int:
    text = _matching(value, key, _BASE64URL)
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise EvidenceError(f"HCL claims: expected {key} in base64url") from error
    return int.from_bytes(octets)
