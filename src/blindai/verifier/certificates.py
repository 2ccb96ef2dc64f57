"""X.509 certificates (RFC 5280) as AMD issues them, and a chain of three of them.

`cryptography` verifies signatures here, but does not read certificates: every leaf of
AMD's has the serial number 0, which it will refuse, and its path validation refuses the
parameters with which AMD encodes RSASSA-PSS. So the fields are cut here, strictly:
exactly the eight fields that AMD's certificates have, in DER, within limits.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from blindai.errors import EvidenceError
from blindai.verifier import der

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CERTIFICATE_BYTES = 4096
MAX_CHAIN_BYTES = 16 * 1024
RSA_KEY_BITS = 4096

# RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes (RFC 4055, 3.1).
# AMD writes the default trailer field in some certificates and leaves it out in others.
_SHA384 = bytes.fromhex("300d06096086480165030402020500")
_MGF1_SHA384 = bytes.fromhex("301a06092a864886f70d010108") + _SHA384
_PSS_OID = bytes.fromhex("06092a864886f70d01010a")
_PSS_FIELDS = (
    b"\xa0\x0f" + _SHA384 + b"\xa1\x1c" + _MGF1_SHA384 + b"\xa2\x03\x02\x01\x30"
)
_PSS_TRAILER = b"\xa3\x03\x02\x01\x01"
RSASSA_PSS_SHA384 = (
    b"\x30\x41" + _PSS_OID + b"\x30\x34" + _PSS_FIELDS,
    b"\x30\x46" + _PSS_OID + b"\x30\x39" + _PSS_FIELDS + _PSS_TRAILER,
)
_PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)

_BASIC_CONSTRAINTS = bytes.fromhex("551d13")  # 2.5.29.19
_KEY_USAGE = bytes.fromhex("551d0f")  # 2.5.29.15
_KEY_CERT_SIGN = 0x04  # bit 5 of KeyUsage (RFC 5280, 4.2.1.3)
_VERSION_3 = bytes.fromhex("020102")
_TBS_FIELDS = (
    der.CONTEXT_0,
    der.INTEGER,
    der.SEQUENCE,
    der.SEQUENCE,
    der.SEQUENCE,
    der.SEQUENCE,
    der.SEQUENCE,
    der.CONTEXT_3,
)
_PEM_BLOCK = re.compile(
    r"-----BEGIN CERTIFICATE-----\r?\n"
    r"([A-Za-z0-9+/=\r\n]+)"
    r"-----END CERTIFICATE-----\r?\n?"
)


@dataclass(frozen=True, slots=True)
class Extension:
    """What an extension says, not interpreted.

    Attributes:
        critical: Whether who does not know the extension must refuse the certificate.
        value: What lies in its OCTET STRING.
    """

    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The fields of a certificate, cut but not believed.

    Attributes:
        digest: SHA-256 of the DER, 32 bytes.
        tbs: The signed part, in DER.
        algorithm: The AlgorithmIdentifier of the signature, in DER.
        signature: The issuer's signature over `tbs`.
        issuer: The issuer's Name, in DER.
        subject: The subject's Name, in DER.
        not_before: First second of validity.
        not_after: Last second of validity.
        spki: SubjectPublicKeyInfo, in DER.
        extensions: By the content octets of their object identifiers.
        may_issue: Whether it is a CA's and may sign certificates (RFC 5280, 4.2.1.3
            and 4.2.1.9).
    """

    digest: bytes
    tbs: bytes = field(repr=False)
    algorithm: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    subject: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    spki: bytes = field(repr=False)
    extensions: Mapping[bytes, Extension] = field(repr=False)
    may_issue: bool

    @property
    def asks_for_more(self) -> bool:
        """Whether a critical extension is none that is known here (RFC 5280, 4.2)."""
        known = {_BASIC_CONSTRAINTS, _KEY_USAGE}
        return any(
            extension.critical and oid not in known
            for oid, extension in self.extensions.items()
        )


@dataclass(frozen=True, slots=True)
class Chain:
    """The three certificates of an AMD chain, in the order in which they travel."""

    leaf: Certificate
    intermediate: Certificate
    root: Certificate


def parse_chain(pem: bytes) -> Chain:
    """Read exactly three certificates in PEM (RFC 7468), the leaf first.

    Raises:
        EvidenceError: If the bytes are anything else, or more than 16 KiB.
    """
    if len(pem) > MAX_CHAIN_BYTES:
        raise EvidenceError(
            f"endorsements: expected at most {MAX_CHAIN_BYTES} bytes, got {len(pem)}"
        )
    text = pem.decode("latin-1")
    blocks = _PEM_BLOCK.findall(text)
    if len(blocks) != 3 or _PEM_BLOCK.sub("", text).strip("\r\n"):
        raise EvidenceError("endorsements: expected three PEM certificates, no more")
    leaf, intermediate, root = (parse_certificate(_base64(block)) for block in blocks)
    return Chain(leaf, intermediate, root)


def parse_certificate(data: bytes) -> Certificate:
    """Cut a certificate in DER into its fields (RFC 5280, 4.1).

    Raises:
        EvidenceError: If the bytes are not a version 3 certificate with extensions, or
            more than 4096.
    """
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise EvidenceError(
            f"certificate: expected at most {MAX_CERTIFICATE_BYTES} bytes,"
            f" got {len(data)}"
        )
    body = der.only(data, der.SEQUENCE, "certificate")
    shape = (der.SEQUENCE, der.SEQUENCE, der.BIT_STRING)
    tbs, algorithm, signature = der.fields(body, shape, "certificate")
    version, serial, tbs_algorithm, issuer, validity, subject, spki, extensions = (
        der.fields(tbs.content, _TBS_FIELDS, "certificate")
    )
    if version.content != _VERSION_3:
        raise EvidenceError("certificate version: expected 3, got another")
    if tbs_algorithm.encoding != algorithm.encoding:
        raise EvidenceError("certificate: expected one signature algorithm, got two")
    der.integer(serial.content, "certificate serial number")
    not_before, not_after = _validity(validity.content)
    found = _extensions(extensions.content)
    return Certificate(
        digest=hashlib.sha256(data).digest(),
        tbs=tbs.encoding,
        algorithm=algorithm.encoding,
        signature=_octets(signature.content),
        issuer=issuer.encoding,
        subject=subject.encoding,
        not_before=not_before,
        not_after=not_after,
        spki=spki.encoding,
        extensions=found,
        may_issue=_is_ca(found) and _may_sign_certificates(found),
    )


def load_rsa_key(certificate: Certificate) -> rsa.RSAPublicKey:
    """The issuer key of a certificate that is itself authentic.

    Raises:
        EvidenceError: If it is not an RSA key of 4096 bits.
    """
    key = _load_key(certificate)
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != RSA_KEY_BITS:
        raise EvidenceError(f"issuer key: expected RSA of {RSA_KEY_BITS} bits")
    return key


def load_p384_key(certificate: Certificate) -> ec.EllipticCurvePublicKey:
    """The leaf key of a certificate that is itself authentic.

    Raises:
        EvidenceError: If it is not an ECDSA key on P-384.
    """
    key = _load_key(certificate)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
        key.curve, ec.SECP384R1
    ):
        raise EvidenceError("leaf key: expected ECDSA on P-384")
    return key


def is_signed_by(certificate: Certificate, key: rsa.RSAPublicKey) -> bool:
    """Whether `key` signed the certificate, with RSASSA-PSS as AMD uses it."""
    try:
        key.verify(certificate.signature, certificate.tbs, _PSS, hashes.SHA384())
    except InvalidSignature:
        return False
    return True


def _load_key(certificate: Certificate) -> object:
    try:
        return load_der_public_key(certificate.spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise EvidenceError("certificate key: expected one that can be read") from error


def _base64(block: str) -> bytes:
    try:
        return base64.b64decode("".join(block.split()), validate=True)
    except binascii.Error as error:
        raise EvidenceError("endorsements: expected base64 in PEM") from error


def _validity(content: bytes) -> tuple[datetime, datetime]:
    times = der.elements(content, "validity")
    if len(times) != 2:
        raise EvidenceError(f"validity: expected 2 times, got {len(times)}")
    return _time(times[0]), _time(times[1])


def _time(element: der.Element) -> datetime:
    """A time in UTC, to the second (RFC 5280, 4.1.2.5).

    Raises:
        EvidenceError: If it is written in any other way, or does not exist.
    """
    digits = element.content.decode("latin-1")
    match element.tag:
        case der.UTC_TIME if re.fullmatch(r"[0-9]{12}Z", digits):
            digits = ("19" if digits >= "50" else "20") + digits
        case der.GENERALIZED_TIME if re.fullmatch(r"[0-9]{14}Z", digits):
            pass
        case _:
            raise EvidenceError("validity: expected UTCTime or GeneralizedTime with Z")
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise EvidenceError("validity: expected a time that exists") from error


def _extensions(content: bytes) -> Mapping[bytes, Extension]:
    found: dict[bytes, Extension] = {}
    listed = der.only(content, der.SEQUENCE, "extensions")
    for element in der.elements(listed, "extensions"):
        oid, *critical, value = _extension_fields(element)
        if oid.content in found:
            raise EvidenceError("extensions: expected each at most once")
        found[oid.content] = Extension(bool(critical), value.content)
    return MappingProxyType(found)


def _extension_fields(element: der.Element) -> tuple[der.Element, ...]:
    """Identifier, TRUE if it is critical, and value (RFC 5280, 4.1).

    Raises:
        EvidenceError: If the extension is made of anything else.
    """
    parts = der.elements(element.content, "extension")
    match [part.tag for part in parts]:
        case [der.OBJECT_IDENTIFIER, der.OCTET_STRING]:
            return parts
        case [der.OBJECT_IDENTIFIER, der.BOOLEAN, der.OCTET_STRING] if (
            parts[1].content == b"\xff"
        ):
            return parts
        case _:
            raise EvidenceError("extension: expected identifier, criticality and value")


def _octets(bit_string: bytes) -> bytes:
    if bit_string[:1] != b"\x00":
        raise EvidenceError("certificate signature: expected whole octets")
    return bit_string[1:]


def _is_ca(extensions: Mapping[bytes, Extension]) -> bool:
    """Whether BasicConstraints are there and begin with cA = TRUE."""
    extension = extensions.get(_BASIC_CONSTRAINTS)
    if extension is None:
        return False
    listed = der.only(extension.value, der.SEQUENCE, "basicConstraints")
    parts = der.elements(listed, "basicConstraints")
    return bool(parts) and parts[0].encoding == b"\x01\x01\xff"


def _may_sign_certificates(extensions: Mapping[bytes, Extension]) -> bool:
    """Whether KeyUsage is there and has the bit keyCertSign."""
    extension = extensions.get(_KEY_USAGE)
    if extension is None:
        return False
    bits = der.only(extension.value, der.BIT_STRING, "keyUsage")
    return len(bits) >= 2 and bool(bits[1] & _KEY_CERT_SIGN)
