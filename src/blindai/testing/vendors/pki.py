"""Authorities, certificates and lists of revoked ones, for made-up vendors.

root = Authority.root("Made-up Root CA", p256())
below = root.authority("Made-up Intermediate CA", p256())
leaf = below.issue("Made-up Leaf", key.public_key())
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

if TYPE_CHECKING:
    from collections.abc import Iterable

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Digest = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
Extensions = tuple[tuple[x509.ExtensionType, bool], ...]
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
LAST = datetime(2045, 1, 1, tzinfo=UTC)
_LEAF_EXTENSIONS: Extensions = (
    (x509.BasicConstraints(ca=False, path_length=None), True),
)
_PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)


def p256() -> ec.EllipticCurvePrivateKey:
    """A new key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def p384() -> ec.EllipticCurvePrivateKey:
    """A new key on P-384."""
    return ec.generate_private_key(ec.SECP384R1())


@dataclass(frozen=True, slots=True)
class Validity:
    """The first and the last second at which something counts."""

    first: datetime = FIRST
    last: datetime = LAST


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Who issues certificates.

    Attributes:
        certificate: Its own.
        key: What it signs with: RSASSA-PSS with SHA-384 as AMD has it if it is RSA.
        digest: What it hashes with.
    """

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    digest: Digest = field(default_factory=hashes.SHA256)

    @classmethod
    def root(
        cls,
        name: str,
        key: PrivateKey,
        digest: Digest | None = None,
        validity: Validity | None = None,
    ) -> Self:
        """An authority that nobody issued."""
        subject, digest = _name(name), digest or hashes.SHA256()
        builder = _builder(subject, key.public_key(), 1, validity or Validity())
        builder = builder.issuer_name(subject)
        for extension, critical in _authority_extensions(None):
            builder = builder.add_extension(extension, critical)
        return cls(
            certificate=_sign_certificate(builder, key, digest), key=key, digest=digest
        )

    def authority(
        self,
        name: str,
        key: PrivateKey,
        *,
        serial: int = 2,
        validity: Validity | None = None,
        path_length: int | None = None,
    ) -> Authority:
        """An authority below this one."""
        certificate = self.issue(
            name,
            key.public_key(),
            serial=serial,
            validity=validity,
            extensions=_authority_extensions(path_length),
        )
        return Authority(certificate=certificate, key=key, digest=self.digest)

    def issue(
        self,
        name: str,
        key: PublicKey,
        *,
        serial: int = 3,
        validity: Validity | None = None,
        extensions: Extensions = (),
    ) -> x509.Certificate:
        """A certificate for a key; without extensions given, one that may not issue."""
        builder = _builder(_name(name), key, serial, validity or Validity())
        builder = builder.issuer_name(self.certificate.subject)
        for extension, critical in extensions or _LEAF_EXTENSIONS:
            builder = builder.add_extension(extension, critical)
        return _sign_certificate(builder, self.key, self.digest)

    def crl(
        self, revoked: Iterable[int] = (), validity: Validity | None = None
    ) -> bytes:
        """Its list of revoked certificates, in DER."""
        validity = validity or Validity()
        key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self.key.public_key()
        )
        builder = (
            x509.CertificateRevocationListBuilder(
                issuer_name=self.certificate.subject,
                last_update=validity.first,
                next_update=validity.last,
            )
            .add_extension(key_id, critical=False)
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        for serial in revoked:
            entry = x509.RevokedCertificateBuilder(serial, validity.first)
            builder = builder.add_revoked_certificate(entry.build())
        signed = builder.sign(self.key, self.digest, rsa_padding=_padding(self.key))
        return signed.public_bytes(serialization.Encoding.DER)


def raw_signature(
    key: ec.EllipticCurvePrivateKey, signed: bytes, digest: Digest
) -> bytes:
    """An ECDSA signature as R and S, big-endian, of the key's size each."""
    r, s = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(digest)))
    size = key.key_size // 8
    return r.to_bytes(size) + s.to_bytes(size)


def pem(*certificates: x509.Certificate) -> bytes:
    """Certificates in PEM, one after the other."""
    encoding = serialization.Encoding.PEM
    return b"".join(each.public_bytes(encoding) for each in certificates)


def der(certificate: x509.Certificate) -> bytes:
    """A certificate in DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def digest_of(certificate: x509.Certificate) -> bytes:
    """SHA-256 of a certificate's DER, 32 bytes, as a policy names roots."""
    return certificate.fingerprint(hashes.SHA256())


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, key: PublicKey, serial: int, validity: Validity
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        public_key=key,
        serial_number=serial,
        not_valid_before=validity.first,
        not_valid_after=validity.last,
    )


def _authority_extensions(path_length: int | None) -> Extensions:
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    return ((constraints, True), (usage, True))


def _sign_certificate(
    builder: x509.CertificateBuilder, key: PrivateKey, digest: Digest
) -> x509.Certificate:
    return builder.sign(key, digest, rsa_padding=_padding(key))


def _padding(key: PrivateKey) -> padding.PSS | None:
    return _PSS if isinstance(key, rsa.RSAPrivateKey) else None
