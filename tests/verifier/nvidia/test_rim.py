"""NVIDIA's signed reference values: one form, and each check that can refuse."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from blindai.errors import EvidenceError, VerificationError
from blindai.testing import NOW
from blindai.testing.vendors.nvidia import MEASUREMENTS, Nvidia, leaf_usage
from blindai.testing.vendors.pki import Validity, p256, p384
from blindai.testing.vendors.rim import (
    C14N11,
    DIGEST_SHA384,
    ECDSA_SHA384,
    ENTITY,
    ENVELOPED,
    Rim,
    resource,
)
from blindai.verifier import roots
from blindai.verifier.nvidia.policy import ReferenceValues
from blindai.verifier.nvidia.rim import verify_rim
from blindai.verifier.procedure import Procedure
from blindai.verifier.roots import Anchors

A, B = b"\xaa" * 48, b"\xbb" * 48
DAY = timedelta(days=1)


class Reader:
    """Signs RIMs and reads them again."""

    def __init__(self, vendor: Nvidia, anchors: Anchors) -> None:
        self.vendor = vendor
        self.anchors = anchors

    def __call__(self, now: datetime = NOW, **changes: object) -> ReferenceValues:
        rim = Rim(**changes)  # type: ignore[arg-type]  # one of many
        return self.read(rim.file(self.vendor), now)

    def read(self, file: bytes, now: datetime = NOW) -> ReferenceValues:
        return verify_rim(file, Procedure(), now, self.anchors)


@pytest.fixture(scope="session")
def read(vendor: Nvidia, anchors: Anchors) -> Reader:
    return Reader(vendor, anchors)


def test_what_it_lists_is_taken_out(read: Reader) -> None:
    assert read() == ReferenceValues(
        version="550.90.07",
        product="GH100",
        measurements=tuple(f"{n}:{MEASUREMENTS[n].hex()}" for n in (7, 8, 9)),
        name="NVIDIA RIM GH100 550.90.07",
    )


def test_base64_may_be_written_in_lines(read: Reader) -> None:
    file = Rim().file(read.vendor)
    lines = re.sub(rb"(SignatureValue>.{9})", rb"\1\n  ", file, count=1)

    assert lines != file
    assert read.read(lines) == read()


def test_only_what_is_active_counts(read: Reader) -> None:
    listed = resource(1, A) + resource(2, B, active="False")

    assert read(resources=listed).by_index == {1: {A}}


def test_alternatives_are_all_accepted(read: Reader) -> None:
    assert read(resources=resource(12, A, B)).by_index == {12: {A, B}}


def test_limits_are_included(read: Reader) -> None:
    values = [bytes([number]) * 48 for number in range(64)]
    chain = (read.vendor.rim_signer, *[read.vendor.rim_root.certificate] * 15)

    assert read(resources=resource(12, *values)).by_index == {12: set(values)}
    assert read(chain=chain).version == "550.90.07"


def test_blanks_between_elements_are_no_matter(read: Reader) -> None:
    assert read(before=f"\n  {ENTITY}\n  ", after="\n") == read()


# 1. Form.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"before": ""}, "expected Entity, Meta, Payload", id="no Entity"),
        pytest.param({"before": ENTITY * 2}, "expected Entity, Meta", id="two"),
        pytest.param({"before": ENTITY + "text"}, "expected no text", id="text"),
        pytest.param({"after": "<Payload></Payload>"}, "expected Ent", id="two lists"),
        pytest.param({"resources": ""}, "an active measurement", id="nothing listed"),
        pytest.param(
            {"resources": resource(1, A, active="False")},
            "an active measurement",
            id="nothing active",
        ),
        pytest.param({"resources": "<File></File>"}, "Resources only", id="file"),
        pytest.param(
            {"resources": "<h:Resource></h:Resource>"}, "Resources only", id="space"
        ),
        pytest.param(
            {"resources": "<Resource></Resource>"}, "the attribute type", id="no type"
        ),
        pytest.param(
            {"resources": '<Resource type="File"></Resource>'},
            "measurements only",
            id="other type",
        ),
        pytest.param(
            {"resources": resource(1, A, active="true")}, "True or False", id="active"
        ),
        pytest.param({"resources": resource(1)}, "1 to 64 alternatives", id="none"),
        pytest.param(
            {"resources": resource(1, *[A] * 65)}, "1 to 64 alternatives", id="65"
        ),
        pytest.param(
            {"resources": resource(1, *[A] * 100)}, "a number of alt", id="100"
        ),
        pytest.param(
            {"resources": resource(1, A).replace('s="1"', 's="x"')},
            "a number of alternatives",
            id="no number",
        ),
        pytest.param(
            {"resources": resource(1, A).replace('s="1"', 's="²"')},
            "a number of alternatives",
            id="no digit",
        ),
        pytest.param(
            {"resources": resource(1, A).replace('s="1"', 's="2"')},
            "the attribute Hash1",
            id="missing value",
        ),
        pytest.param(
            {"resources": resource(1, A).replace('x="1"', 'x="-1"')},
            "an index and SHA-384",
            id="index",
        ),
        pytest.param({"resources": resource(1, A[1:])}, "an index and SHA", id="short"),
        pytest.param({"signature": bytes(95)}, "expected 96 bytes", id="signature"),
        pytest.param({"chain": ()}, "1 to 16 certificates", id="no certificate"),
        pytest.param(
            {"key_info": "<ds:X509CRL></ds:X509CRL>"}, "X509Certificate", id="CRL"
        ),
        pytest.param(
            {"key_info": "<ds:X509Certificate>YQ</ds:X509Certificate>"},
            "expected base64",
            id="base64",
        ),
        pytest.param(
            {"key_info": "<ds:X509Certificate>YQ==.</ds:X509Certificate>"},
            "expected base64",
            id="a dot in base64",
        ),
        pytest.param(
            {"key_info": "<ds:X509Certificate>é</ds:X509Certificate>"},
            "expected base64",
            id="letters",
        ),
        pytest.param(
            {"key_info": "<ds:X509Certificate>YQ==</ds:X509Certificate>"},
            "certificate: expected",
            id="no certificate in it",
        ),
        pytest.param({"uri": "#part"}, "the whole document", id="a part"),
    ],
)
def test_another_form_is_refused(
    read: Reader, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(EvidenceError, match=message):
        read(**changes)  # type: ignore[arg-type]  # one of many


def test_seventeen_certificates_are_refused(read: Reader) -> None:
    with pytest.raises(EvidenceError, match="1 to 16 certificates"):
        read(chain=[read.vendor.rim_signer] * 17)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "algorithm",
    [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
    ],
)
def test_another_algorithm_is_refused(read: Reader, place: int, algorithm: str) -> None:
    chosen = [C14N11, ECDSA_SHA384, ENVELOPED, C14N11, DIGEST_SHA384]
    chosen[place] = algorithm

    with pytest.raises(EvidenceError, match="SignedInfo: expected ECDSA and SHA-384"):
        read(algorithms=tuple(chosen))


def test_another_document_is_refused(read: Reader) -> None:
    for document in (b"<a></a>", b'<SoftwareIdentity xmlns="x"></SoftwareIdentity>'):
        with pytest.raises(EvidenceError, match="expected a SoftwareIdentity"):
            read.read(document)


def test_a_second_reference_is_refused(read: Reader) -> None:
    file = Rim().file(read.vendor).decode()
    start, end = file.index("<ds:Reference"), file.index("</ds:SignedInfo>")

    with pytest.raises(EvidenceError, match="SignedInfo: expected Canonicalization"):
        read.read((file[:end] + file[start:end] + file[end:]).encode())


# 2. The chain.


def test_another_root_is_refused(read: Reader) -> None:
    file = Rim().file(read.vendor)

    with pytest.raises(VerificationError, match=r"^root certificate: .*got unknown"):
        verify_rim(file, Procedure(), NOW, roots.PINNED)


def test_the_root_of_devices_does_not_count(read: Reader) -> None:
    vendor = read.vendor
    key = p384()
    signer = vendor.root.issue("x", key.public_key(), extensions=leaf_usage())

    with pytest.raises(VerificationError, match=r"^root certificate: .*got unknown"):
        read(key=key, chain=(signer, vendor.root.certificate))


def test_the_root_of_rims_does_not_count_for_devices() -> None:
    assert roots.NVIDIA_REFERENCES.vendor != roots.NVIDIA_DEVICE.vendor
    assert roots.PINNED.find(roots.NVIDIA_REFERENCES.digest, roots.NVIDIA) not in (
        roots.PINNED.roots
    )


def test_an_expired_signer_is_refused(read: Reader) -> None:
    vendor, key = read.vendor, p384()
    signer = vendor.rim_root.issue(
        "x",
        key.public_key(),
        validity=Validity(NOW - DAY, NOW + DAY),
        extensions=leaf_usage(),
    )
    chain = (signer, vendor.rim_root.certificate)

    read(key=key, chain=chain, now=NOW + DAY)
    for now in (NOW - DAY * 2, NOW + DAY * 2):
        with pytest.raises(VerificationError, match=r"^leaf certificate: validity"):
            read(key=key, chain=chain, now=now)


# 3. The digest, 4. the signature.


def test_another_digest_is_refused(read: Reader) -> None:
    for digest in (b"", bytes(48), bytes(32)):
        with pytest.raises(VerificationError, match=r"^reference digest: expected"):
            read(digest=digest)


def test_a_changed_document_is_refused(read: Reader) -> None:
    file = Rim(version="550.90.07").file(read.vendor)

    with pytest.raises(VerificationError, match=r"^reference digest: expected"):
        read.read(file.replace(b"550.90.07", b"550.90.08"))


def test_text_that_was_added_is_refused(read: Reader) -> None:
    file = Rim().file(read.vendor)

    with pytest.raises(VerificationError, match=r"^reference digest: expected"):
        read.read(file.replace(b"<Payload>", b"\n<Payload>"))


def test_a_changed_signed_info_is_refused(read: Reader) -> None:
    file = Rim().file(read.vendor)

    with pytest.raises(VerificationError, match=r"^RIM signature: expected made by"):
        read.read(file.replace(b"<ds:DigestMethod", b" <ds:DigestMethod"))


def test_another_key_is_refused(read: Reader) -> None:
    with pytest.raises(VerificationError, match=r"^RIM signature: expected made by"):
        read(key=p384())


def test_another_signature_is_refused(read: Reader) -> None:
    with pytest.raises(VerificationError, match=r"^RIM signature: expected made by"):
        read(signature=bytes(96))


@pytest.mark.parametrize("key", [p256(), ec.generate_private_key(ec.SECP521R1())])
def test_a_key_on_another_curve_is_refused(
    read: Reader, key: ec.EllipticCurvePrivateKey
) -> None:
    vendor = read.vendor
    signer = vendor.rim_root.issue("x", key.public_key(), extensions=leaf_usage())

    with pytest.raises(EvidenceError, match="expected ECDSA on secp384r1"):
        read(signature=bytes(96), chain=(signer, vendor.rim_root.certificate))


def test_the_order_of_the_chain_s_rest_is_no_matter(read: Reader) -> None:
    vendor = read.vendor
    below = vendor.rim_root.authority("below", p384())
    key = p384()
    signer = below.issue("x", key.public_key(), extensions=leaf_usage())
    chain = (signer, vendor.rim_root.certificate, below.certificate)

    assert read(key=key, chain=chain).version == "550.90.07"


def test_a_signature_elsewhere_is_refused(read: Reader) -> None:
    file = Rim().file(read.vendor).decode()
    start, end = file.index("<ds:Signature "), file.index("</ds:Signature>") + 15
    moved = file[:start] + file[end:]
    moved = moved.replace("<Payload>", f"<Payload>{file[start:end]}")

    with pytest.raises(EvidenceError, match="RIM SoftwareIdentity: expected Entity"):
        read.read(moved.encode())
