"""X.509 certificates (RFC 5280) as the vendors of TEEs issue them.

`cryptography` verifies signatures (`signatures.py`), but does not read certificates
here: every leaf of AMD's has the serial number 0, which it will refuse, and its path
validation refuses the parameters with which AMD encodes RSASSA-PSS. So the fields are
cut here, strictly: exactly the eight fields that vendors' certificates have, in DER,
within limits. What they say is not believed before `chains.verify` has passed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from blindai.errors import EvidenceError
from blindai.protocol import der

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_CERTIFICATE_BYTES = 4096
MAX_CERTIFICATES = 16

_COMMON_NAME = bytes.fromhex("550403")  # 2.5.4.3
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
    r"-----END CERTIFICATE-----(?:\r?\n|$)"
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
        encoding: All of it, in DER.
        tbs: The signed part, in DER.
        serial: Its number, which names it to its issuer.
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
        path_length: How many authorities may stand below it; None for any number.
    """

    encoding: bytes = field(repr=False)
    tbs: bytes = field(repr=False)
    serial: int
    algorithm: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    subject: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    spki: bytes = field(repr=False)
    extensions: Mapping[bytes, Extension] = field(repr=False)
    may_issue: bool
    path_length: int | None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the DER, 32 bytes."""
        return hashlib.sha256(self.encoding).digest()

    @property
    def name(self) -> str:
        """The subject's common name, for people; its digest where there is none."""
        return common_name(self.subject) or f"SHA-256 {self.digest.hex()}"

    def asks_for_more(self, understood: frozenset[bytes]) -> bool:
        """Whether a critical extension is none that is known (RFC 5280, 4.2).

        Args:
            understood: Identifiers, content octets, that whoever asks will look at.
        """
        known = understood | {_BASIC_CONSTRAINTS, _KEY_USAGE}
        return any(
            extension.critical and oid not in known
            for oid, extension in self.extensions.items()
        )


def parse_pem(pem: bytes) -> tuple[Certificate, ...]:
    """Read one or more certificates in PEM (RFC 7468), at most 16.

    Raises:
        EvidenceError: If the bytes are anything else.
    """
    if len(pem) > 2 * MAX_CERTIFICATES * MAX_CERTIFICATE_BYTES:
        raise EvidenceError(
            f"certificates: expected at most {MAX_CERTIFICATES}, got {len(pem)} bytes"
        )
    text = pem.decode("latin-1")
    blocks = _PEM_BLOCK.findall(text)
    if not blocks or _PEM_BLOCK.sub("", text).strip("\r\n"):
        raise EvidenceError("certificates: expected PEM certificates and nothing else")
    if len(blocks) > MAX_CERTIFICATES:
        raise EvidenceError(
            f"certificates: expected at most {MAX_CERTIFICATES}, got {len(blocks)}"
        )
    return tuple(parse_certificate(_base64(block)) for block in blocks)


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
    not_before, not_after = _validity(validity.content)
    found = parse_extensions(extensions.content)
    return Certificate(
        encoding=data,
        tbs=tbs.encoding,
        serial=der.integer(serial.content, "certificate serial number"),
        algorithm=algorithm.encoding,
        signature=octets(signature.content, "certificate signature"),
        issuer=issuer.encoding,
        subject=subject.encoding,
        not_before=not_before,
        not_after=not_after,
        spki=spki.encoding,
        extensions=found,
        may_issue=_is_ca(found) and _may_sign_certificates(found),
        path_length=_path_length(found),
    )


def common_name(name: bytes) -> str:
    """The common name in a Name in DER; empty where it has none that can be shown.

    Raises:
        EvidenceError: If the bytes are no Name.
    """
    listed = der.only(name, der.SEQUENCE, "name")
    for relative in der.elements(listed, "name"):
        for attribute in der.elements(relative.content, "name"):
            oid, value = _attribute(attribute)
            if oid == _COMMON_NAME:
                text = value.decode("latin-1")
                return text if text.isascii() and text.isprintable() else ""
    return ""


def octets(bit_string: bytes, what: str) -> bytes:
    """The octets in the content of a BIT STRING.

    Raises:
        EvidenceError: If it is not made of whole octets.
    """
    if bit_string[:1] != b"\x00":
        raise EvidenceError(f"{what}: expected whole octets")
    return bit_string[1:]


def parse_extensions(content: bytes) -> Mapping[bytes, Extension]:
    """Read the content of an Extensions field: each at most once (RFC 5280, 4.2).

    Raises:
        EvidenceError: If it is anything else.
    """
    found: dict[bytes, Extension] = {}
    listed = der.only(content, der.SEQUENCE, "extensions")
    for element in der.elements(listed, "extensions"):
        oid, *critical, value = _extension_fields(element)
        if oid.content in found:
            raise EvidenceError("extensions: expected each at most once")
        found[oid.content] = Extension(bool(critical), value.content)
    return MappingProxyType(found)


def _base64(block: str) -> bytes:
    text = "".join(block.split())
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise EvidenceError("certificates: expected base64 in PEM") from error
    if base64.b64encode(data).decode() != text:  # RFC 4648, 3.5: pad bits
        raise EvidenceError("certificates: expected the one base64 of its bytes in PEM")
    return data


def _validity(content: bytes) -> tuple[datetime, datetime]:
    times = der.elements(content, "validity")
    if len(times) != 2:
        raise EvidenceError(f"validity: expected 2 times, got {len(times)}")
    return der.time(times[0]), der.time(times[1])


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


def _attribute(element: der.Element) -> tuple[bytes, bytes]:
    """Identifier and value of one attribute of a name.

    Raises:
        EvidenceError: If it is made of anything else.
    """
    parts = der.elements(element.content, "name")
    if len(parts) != 2 or parts[0].tag != der.OBJECT_IDENTIFIER:
        raise EvidenceError("name: expected identifier and value")
    return parts[0].content, parts[1].content


def _basic_constraints(
    extensions: Mapping[bytes, Extension],
) -> tuple[der.Element, ...]:
    extension = extensions.get(_BASIC_CONSTRAINTS)
    if extension is None:
        return ()
    listed = der.only(extension.value, der.SEQUENCE, "basicConstraints")
    return der.elements(listed, "basicConstraints")


def _is_ca(extensions: Mapping[bytes, Extension]) -> bool:
    """Whether BasicConstraints are there and begin with cA = TRUE."""
    parts = _basic_constraints(extensions)
    return bool(parts) and parts[0].encoding == b"\x01\x01\xff"


def _path_length(extensions: Mapping[bytes, Extension]) -> int | None:
    """How many authorities may stand below (RFC 5280, 4.2.1.9), if it says.

    Raises:
        EvidenceError: If something else stands in its place.
    """
    match _basic_constraints(extensions)[1:]:
        case ():
            return None
        case (der.Element(tag=der.INTEGER, content=content),):
            return der.integer(content, "pathLenConstraint")
        case _:
            raise EvidenceError("basicConstraints: expected cA and pathLenConstraint")


def _may_sign_certificates(extensions: Mapping[bytes, Extension]) -> bool:
    """Whether KeyUsage is there and has the bit keyCertSign."""
    extension = extensions.get(_KEY_USAGE)
    if extension is None:
        return False
    bits = der.only(extension.value, der.BIT_STRING, "keyUsage")
    return len(bits) >= 2 and bool(bits[1] & _KEY_CERT_SIGN)
