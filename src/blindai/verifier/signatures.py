"""The signatures that vendors make, and the keys that make them.

Every primitive is `cryptography`'s. Which algorithm a certificate or list is signed
with is decided by its AlgorithmIdentifier, byte for byte (RFC 4055, RFC 5758): there is
no parameter to interpret.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

from blindai.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Mapping

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
MIN_RSA_BITS = 2048

# RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes (RFC 4055, 3.1).
# AMD writes the default trailer field in some certificates and leaves it out in others.
_SHA384 = bytes.fromhex("300d06096086480165030402020500")
_MGF1_SHA384 = bytes.fromhex("301a06092a864886f70d010108") + _SHA384
_PSS_OID = bytes.fromhex("06092a864886f70d01010a")
_PSS_FIELDS = (
    b"\xa0\x0f" + _SHA384 + b"\xa1\x1c" + _MGF1_SHA384 + b"\xa2\x03\x02\x01\x30"
)
_PSS_TRAILER = b"\xa3\x03\x02\x01\x01"


class Algorithm(Enum):
    """Signature algorithms by their AlgorithmIdentifiers in DER."""

    RSASSA_PSS_SHA384 = (
        b"\x30\x41" + _PSS_OID + b"\x30\x34" + _PSS_FIELDS,
        b"\x30\x46" + _PSS_OID + b"\x30\x39" + _PSS_FIELDS + _PSS_TRAILER,
    )
    RSA_SHA256 = (bytes.fromhex("300d06092a864886f70d01010b0500"),)
    RSA_SHA384 = (bytes.fromhex("300d06092a864886f70d01010c0500"),)
    RSA_SHA512 = (bytes.fromhex("300d06092a864886f70d01010d0500"),)
    ECDSA_SHA256 = (bytes.fromhex("300a06082a8648ce3d040302"),)
    ECDSA_SHA384 = (bytes.fromhex("300a06082a8648ce3d040303"),)
    ECDSA_SHA512 = (bytes.fromhex("300a06082a8648ce3d040304"),)


_HASHES = {
    Algorithm.RSASSA_PSS_SHA384: hashes.SHA384(),
    Algorithm.RSA_SHA256: hashes.SHA256(),
    Algorithm.RSA_SHA384: hashes.SHA384(),
    Algorithm.RSA_SHA512: hashes.SHA512(),
    Algorithm.ECDSA_SHA256: hashes.SHA256(),
    Algorithm.ECDSA_SHA384: hashes.SHA384(),
    Algorithm.ECDSA_SHA512: hashes.SHA512(),
}
_RSA_PADDINGS: Mapping[Algorithm, padding.AsymmetricPadding] = {
    Algorithm.RSASSA_PSS_SHA384: padding.PSS(padding.MGF1(hashes.SHA384()), 48),
    Algorithm.RSA_SHA256: padding.PKCS1v15(),
    Algorithm.RSA_SHA384: padding.PKCS1v15(),
    Algorithm.RSA_SHA512: padding.PKCS1v15(),
}
_BY_IDENTIFIER = {
    each: algorithm for algorithm in Algorithm for each in algorithm.value
}
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class Signed(Protocol):
    """A certificate, or a list of revoked ones."""

    @property
    def tbs(self) -> bytes:
        """The signed part, in DER."""

    @property
    def algorithm(self) -> bytes:
        """The AlgorithmIdentifier, in DER."""

    @property
    def signature(self) -> bytes:
        """The signature, as X.509 has it."""


def algorithm_of(signed: Signed) -> Algorithm | None:
    """What something is signed with; None for an algorithm that is not known here."""
    return _BY_IDENTIFIER.get(signed.algorithm)


def is_signed_by(signed: Signed, spki: bytes) -> bool:
    """Whether a key made the signature, with an algorithm that is known here.

    Args:
        signed: Certificate or list.
        spki: SubjectPublicKeyInfo of the issuer, who is authentic already.

    Raises:
        EvidenceError: If the issuer's key is none that is known here.
    """
    algorithm = algorithm_of(signed)
    if algorithm is None:
        return False
    return verifies(algorithm, load_key(spki), signed.signature, signed.tbs)


def verifies(
    algorithm: Algorithm, key: PublicKey, signature: bytes, data: bytes
) -> bool:
    """Whether a key made a signature over data.

    Args:
        algorithm: What it is made with.
        key: Whose it should be; a key for another algorithm made none.
        signature: RSA's octets, or ECDSA's in DER.
        data: What was signed.
    """
    digest, scheme = _HASHES[algorithm], _RSA_PADDINGS.get(algorithm)
    try:
        if isinstance(key, rsa.RSAPublicKey) and scheme is not None:
            key.verify(signature, data, scheme, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and scheme is None:
            key.verify(signature, data, ec.ECDSA(digest))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def ecdsa_verifies(
    algorithm: Algorithm, key: PublicKey, signature: bytes, data: bytes
) -> bool:
    """As `verifies`, for an ECDSA signature R || S, big-endian, of equal lengths."""
    half = len(signature) // 2
    r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
    return verifies(algorithm, key, utils.encode_dss_signature(r, s), data)


def load_key(spki: bytes) -> PublicKey:
    """A vendor's key: ECDSA on P-256, P-384 or P-521, or RSA of at least 2048 bits.

    Raises:
        EvidenceError: If it is anything else.
    """
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise EvidenceError("certificate key: expected one that can be read") from error
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return key
    raise EvidenceError(
        f"certificate key: expected ECDSA on a NIST curve or RSA of {MIN_RSA_BITS} bits"
    )


def load_ecdsa_key(
    spki: bytes, curve: type[ec.EllipticCurve]
) -> ec.EllipticCurvePublicKey:
    """A vendor's ECDSA key on one curve.

    Raises:
        EvidenceError: If it is anything else.
    """
    key = load_key(spki)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
        key.curve, curve
    ):
        raise EvidenceError(f"certificate key: expected ECDSA on {curve.name}")
    return key
