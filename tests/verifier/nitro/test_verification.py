"""AWS's procedure: one test for each line that can refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from blindai.errors import EvidenceError, VerificationError
from blindai.protocol.attestation import NITRO_DOCUMENT_TYPE, Evidence
from blindai.testing import NOW
from blindai.testing.vendors.aws import (
    LEAF_AGE,
    LEAF_LIFE,
    PCRS,
    Aws,
    Cose,
    leaf_extensions,
)
from blindai.testing.vendors.pki import Authority, der, p256, p384
from blindai.verifier import nitro, roots
from blindai.verifier.nitro.claims import NitroClaims
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import VerifiedClaims
from blindai.verifier.roots import Anchors

Verify = Callable[..., VerifiedClaims]
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def test_the_claims_are_the_document_s(aws: Aws, verify: Verify) -> None:
    fields = {"user_data": b"d" * 32, "nonce": b"n" * 32, "public_key": b"k"}

    claims = verify(aws.document(fields, now=NOW), NOW + SECOND).claims

    assert claims.tee == "nitro"
    assert claims.measurement == PCRS[0]
    assert claims.report_data == b"d" * 32
    assert claims.nonce == b"n" * 32
    assert not claims.debug
    details = claims.of(NitroClaims)
    assert details.pcrs == PCRS
    assert details.timestamp == NOW
    assert details.age == SECOND
    assert details.public_key == b"k"


def test_a_document_that_binds_nothing_says_so(aws: Aws, verify: Verify) -> None:
    claims = verify(aws.document(now=NOW)).claims

    assert claims.report_data == b""
    assert claims.nonce is None


def test_zeros_in_pcr0_are_debug_mode(aws: Aws, verify: Verify) -> None:
    document = aws.document({"pcrs": dict(PCRS) | {0: bytes(48)}}, now=NOW)

    assert verify(document).claims.debug


# 1. Form.


@pytest.mark.parametrize("field", ["certificate", "cabundle"])
def test_what_is_no_certificate_is_refused(
    aws: Aws, verify: Verify, field: str
) -> None:
    junk: object = b"\x30\x00" if field == "certificate" else [b"\x30\x00"]

    with pytest.raises(EvidenceError, match="certificate: expected 3 elements"):
        verify(aws.document({field: junk}, now=NOW))


# 2. The chain.


def test_a_root_that_is_not_pinned_is_refused(aws: Aws, verify: Verify) -> None:
    document = aws.document(now=NOW)

    with pytest.raises(
        VerificationError,
        match=r"^root certificate: expected aws.nitro-enclaves, got unknown",
    ):
        verify(document, believed=roots.PINNED)


def test_another_vendor_s_root_is_refused(aws: Aws, verify: Verify) -> None:
    root = roots.Root(name="x", vendor=roots.NVIDIA, digest=aws.root_digest)

    with pytest.raises(VerificationError, match=r"^root certificate: .*got unknown"):
        verify(aws.document(now=NOW), believed=roots.Anchors((root,)))


@pytest.mark.parametrize("missing", [0, 1, 2, 3])
def test_a_missing_issuer_is_refused(aws: Aws, verify: Verify, missing: int) -> None:
    bundle = [each for place, each in enumerate(aws.cabundle) if place != missing]

    with pytest.raises(VerificationError, match=r"^certificate chain: .*no issuer"):
        verify(aws.document({"cabundle": bundle}, now=NOW))


def test_a_certificate_that_another_key_signed_is_refused(
    aws: Aws, verify: Verify
) -> None:
    forger = Authority(
        certificate=aws.instance.certificate, key=p384(), digest=hashes.SHA384()
    )
    leaf = forger.issue("x", aws.key.public_key(), extensions=leaf_extensions())

    with pytest.raises(VerificationError, match=r"^leaf certificate: signature"):
        verify(aws.document({"certificate": der(leaf)}, now=NOW))


def test_sha_256_below_aws_is_refused(aws: Aws, verify: Verify) -> None:
    other = Authority(
        certificate=aws.instance.certificate, key=aws.instance.key
    )  # with SHA-256
    leaf = other.issue("x", aws.key.public_key(), extensions=leaf_extensions())

    with pytest.raises(VerificationError, match=r"^leaf certificate: algorithm"):
        verify(aws.document({"certificate": der(leaf)}, now=NOW))


def test_an_authority_below_the_last_one_is_refused(aws: Aws, verify: Verify) -> None:
    more = aws.instance.authority("one more", p384())
    leaf = more.issue("x", aws.key.public_key(), extensions=leaf_extensions())
    bundle = [*aws.cabundle, der(more.certificate)]
    document = aws.document({"certificate": der(leaf), "cabundle": bundle}, now=NOW)

    with pytest.raises(VerificationError, match=r"issuer: .*not issue so far down"):
        verify(document)


def test_an_unread_critical_extension_is_refused(aws: Aws, verify: Verify) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"")
    leaf = aws.leaf(NOW, extensions=(*leaf_extensions(), (unknown, True)))

    with pytest.raises(VerificationError, match=r"^leaf certificate: critical ext"):
        verify(aws.document({"certificate": leaf}, now=NOW))


def test_the_certificate_s_three_hours_are_kept(aws: Aws, verify: Verify) -> None:
    document = aws.document(now=NOW)

    first = NOW - LEAF_AGE
    last = first + LEAF_LIFE

    verify(document, first)
    verify(document, last)
    for now in (first - SECOND, last + SECOND):
        with pytest.raises(VerificationError, match=r"^leaf certificate: validity"):
            verify(document, now)


def test_a_revoked_authority_is_refused(aws: Aws, verify: Verify) -> None:
    listed = aws.root.crl([aws.region.certificate.serial_number])

    with pytest.raises(VerificationError, match=r"certificate 1: revocation: .*in the"):
        verify(aws.document(now=NOW), crls=(listed,))


def test_a_list_that_names_another_is_no_matter(aws: Aws, verify: Verify) -> None:
    verify(aws.document(now=NOW), crls=(aws.root.crl([4711]),))


# 3. The signature.


def test_lists_are_required_of_aws_certificates_that_live_for_more_than_hours(
    aws: Aws, anchors: Anchors
) -> None:
    procedure = Procedure()
    evidence = Evidence(media_type=NITRO_DOCUMENT_TYPE, evidence=aws.document(now=NOW))
    strict = replace(anchors, require_revocation=True)

    nitro.verify(evidence, procedure, NOW, strict)

    lines = procedure.transcript.checks
    required = [each.required for each in lines if each.name.endswith("revocation")]
    assert required == [True, True, False, False]


DECIPHER_ONLY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=True,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=True,
)


@pytest.mark.parametrize(
    "extensions",
    [
        pytest.param(leaf_extensions(authority=True), id="an authority"),
        pytest.param(leaf_extensions(digital_signature=False), id="another usage"),
        pytest.param(leaf_extensions()[:1], id="no usage"),
        pytest.param(
            (leaf_extensions()[0], (DECIPHER_ONLY, False)),
            id="a usage in the ninth bit",
        ),
    ],
)
def test_a_key_that_is_not_for_signatures_is_refused(
    aws: Aws,
    verify: Verify,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...],
) -> None:
    leaf = aws.leaf(NOW, extensions=extensions)

    with pytest.raises(VerificationError, match=r"^leaf certificate: key usage"):
        verify(aws.document({"certificate": leaf}, now=NOW))


@pytest.mark.parametrize(
    "protected",
    [
        pytest.param("a10126", id="ES256"),
        pytest.param("a1013823", id="ES512"),
        pytest.param("a0", id="none"),
        pytest.param("", id="empty"),
        pytest.param("a201382204414b", id="a key ID too"),
        pytest.param("a101390022", id="long form"),
    ],
)
def test_another_algorithm_is_refused(aws: Aws, verify: Verify, protected: str) -> None:
    how = Cose(protected=bytes.fromhex(protected))

    with pytest.raises(VerificationError, match=r"^document signature: algorithm"):
        verify(aws.document(now=NOW, cose=how))


def test_a_document_that_another_key_signed_is_refused(
    aws: Aws, verify: Verify
) -> None:
    document = aws.document(now=NOW, cose=Cose(key=p384()))

    with pytest.raises(VerificationError, match=r"^document signature: expected made"):
        verify(document)


def test_a_certificate_for_another_key_is_refused(aws: Aws, verify: Verify) -> None:
    document = aws.document({"certificate": aws.leaf(NOW, key=p384())}, now=NOW)

    with pytest.raises(VerificationError, match=r"^document signature: expected made"):
        verify(document)


@pytest.mark.parametrize("curve", [p256(), ec.generate_private_key(ec.SECP521R1())])
def test_a_key_on_another_curve_is_refused(
    aws: Aws, verify: Verify, curve: ec.EllipticCurvePrivateKey
) -> None:
    document = aws.document({"certificate": aws.leaf(NOW, key=curve)}, now=NOW)

    with pytest.raises(EvidenceError, match="expected ECDSA on secp384r1"):
        verify(document)


def test_the_tag_changes_nothing(aws: Aws, verify: Verify) -> None:
    verify(aws.document(now=NOW, cose=Cose(tagged=True)))
