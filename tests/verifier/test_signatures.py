"""Signatures of vendors: what is known, and who made one."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import (
    dsa,
    ec,
    ed25519,
    padding,
    rsa,
    utils,
)

from blindai.errors import EvidenceError
from blindai.testing.vendors.pki import Authority, Digest, der, p256, p384
from blindai.verifier.certificates import parse_certificate
from blindai.verifier.signatures import (
    Algorithm,
    algorithm_of,
    ecdsa_verifies,
    is_signed_by,
    load_ecdsa_key,
    load_key,
    verifies,
)

RSA = rsa.generate_private_key(65537, 2048)
SMALL = rsa.generate_private_key(65537, 1024)  # noqa: S505  to be refused
P256, P384 = p256(), p384()
P521 = ec.generate_private_key(ec.SECP521R1())
PKCS1 = padding.PKCS1v15()


def spki(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined,no-any-return]  # any public key
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def issued(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    digest: Digest,
    scheme: padding.PKCS1v15 | None,
) -> x509.Certificate:
    root = Authority.root("Made-up Root", P256).certificate
    builder = x509.CertificateBuilder(
        issuer_name=root.subject,
        subject_name=root.subject,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=root.not_valid_before_utc,
        not_valid_after=root.not_valid_after_utc,
    ).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, digest, rsa_padding=scheme)


@pytest.mark.parametrize(
    ("key", "digest", "scheme", "algorithm"),
    [
        (P256, hashes.SHA256(), None, Algorithm.ECDSA_SHA256),
        (P384, hashes.SHA384(), None, Algorithm.ECDSA_SHA384),
        (P521, hashes.SHA512(), None, Algorithm.ECDSA_SHA512),
        (RSA, hashes.SHA256(), PKCS1, Algorithm.RSA_SHA256),
        (RSA, hashes.SHA384(), PKCS1, Algorithm.RSA_SHA384),
        (RSA, hashes.SHA512(), PKCS1, Algorithm.RSA_SHA512),
    ],
    ids=lambda value: value.name if isinstance(value, Algorithm) else "",
)
def test_each_algorithm_is_known_and_holds_for_its_key_only(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    digest: Digest,
    scheme: padding.PKCS1v15 | None,
    algorithm: Algorithm,
) -> None:
    certificate = parse_certificate(der(issued(key, digest, scheme)))
    others = [each for each in (P256, P384, RSA) if each is not key]

    assert algorithm_of(certificate) is algorithm
    assert is_signed_by(certificate, spki(key.public_key()))
    for other in others:
        assert not is_signed_by(certificate, spki(other.public_key()))


def test_an_unknown_algorithm_signs_nothing() -> None:
    signed = issued(P256, hashes.SHA256(), None)
    certificate = parse_certificate(
        der(signed).replace(bytes.fromhex("2a8648ce3d040302"), b"\x2a" * 8)
    )

    assert algorithm_of(certificate) is None
    assert not is_signed_by(certificate, spki(P256.public_key()))


def test_raw_signatures_are_two_numbers() -> None:
    r, s = utils.decode_dss_signature(P256.sign(b"data", ec.ECDSA(hashes.SHA256())))
    raw = r.to_bytes(32) + s.to_bytes(32)
    key = P256.public_key()

    assert ecdsa_verifies(Algorithm.ECDSA_SHA256, key, raw, b"data")
    assert not ecdsa_verifies(Algorithm.ECDSA_SHA256, key, raw, b"other")
    assert not ecdsa_verifies(Algorithm.ECDSA_SHA256, key, bytes(64), b"data")


def test_an_rsa_signature_needs_its_own_algorithm() -> None:
    signature = RSA.sign(b"data", PKCS1, hashes.SHA256())

    assert verifies(Algorithm.RSA_SHA256, RSA.public_key(), signature, b"data")
    assert not verifies(Algorithm.RSA_SHA384, RSA.public_key(), signature, b"data")
    assert not verifies(Algorithm.ECDSA_SHA256, RSA.public_key(), signature, b"data")


def test_keys_of_vendors_are_loaded() -> None:
    for key in (RSA, P256, P384, P521):
        assert load_key(spki(key.public_key())) == key.public_key()
    assert load_ecdsa_key(spki(P384.public_key()), ec.SECP384R1) == P384.public_key()


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(SMALL, id="small RSA"),
        pytest.param(ec.generate_private_key(ec.SECP256K1()), id="another curve"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), id="Ed25519"),
    ],
)
def test_other_keys_are_refused(key: dsa.DSAPrivateKey) -> None:
    with pytest.raises(EvidenceError, match="certificate key: expected ECDSA"):
        load_key(spki(key.public_key()))


@pytest.mark.parametrize("key", [P256, RSA], ids=["P-256", "RSA"])
def test_a_key_of_another_kind_is_refused(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> None:
    with pytest.raises(EvidenceError, match="expected ECDSA on secp384r1"):
        load_ecdsa_key(spki(key.public_key()), ec.SECP384R1)


def test_a_key_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(EvidenceError, match="one that can be read"):
        load_key(b"\x30\x00")
