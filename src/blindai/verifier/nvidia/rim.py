"""Reference values as NVIDIA publishes them: a signed RIM for each driver and VBIOS.

ISO/IEC 19770-2 (SWID tags) as the TCG Reference Integrity Manifest Information Model
has them, enveloping a signature (W3C XML Signature 1.1):

    SoftwareIdentity
      Meta           colloquialVersion: of the driver or VBIOS; product: GH100
      Payload        Resource: type="Measurement", index, active, alternatives, Hash0..
      Signature      SignedInfo, SignatureValue, KeyInfo: the signer's chain, its first

Measurements count where they are active. One form of signature is read, the one NVIDIA
makes: ECDSA P-384 and SHA-384 over the canonical document without its signature. There
is nothing to choose, no reference but the whole document, no key but a certificate's.

    reference = verify_rim(file, Procedure(), now=now, anchors=roots.PINNED)
    policy = GpuPolicy(reference_values=(reference,))
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from blindai.errors import EvidenceError
from blindai.verifier import chains, roots
from blindai.verifier.certificates import MAX_CERTIFICATES, parse_certificate
from blindai.verifier.nvidia import xml
from blindai.verifier.nvidia.policy import MEASUREMENT_FORM, ReferenceValues
from blindai.verifier.signatures import Algorithm, ecdsa_verifies, load_ecdsa_key

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.verifier.certificates import Certificate
    from blindai.verifier.procedure import Procedure
    from blindai.verifier.roots import Anchors

RIM: Final = "TCG RIM Information Model 1.01, signed SWID tag"
SIGNATURE: Final = "W3C XML Signature 1.1, 3.2 Core Validation"
SIGNATURE_BYTES: Final = 96

_SWID: Final = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
_SHA384: Final = "http://www.w3.org/2001/04/xmlenc#sha384"
_DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
_C14N11: Final = "http://www.w3.org/2006/12/xml-c14n11"
_ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_ECDSA_SHA384: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
_DIGEST_SHA384: Final = "http://www.w3.org/2001/04/xmldsig-more#sha384"
_MAX_ALTERNATIVES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rim:
    """A RIM, cut but not believed.

    Attributes:
        values: What it lists.
        content: What is signed: the canonical document without its signature.
        digest: What SignedInfo says that its SHA-384 is.
        signed: SignedInfo, canonical.
        signature: R and S, big-endian, 48 bytes each.
        signer: Whose key signed.
        pool: The signer's chain.
    """

    values: ReferenceValues
    content: bytes = field(repr=False)
    digest: bytes
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    signer: Certificate
    pool: tuple[Certificate, ...]


def verify_rim(
    data: bytes, procedure: Procedure, now: datetime, anchors: Anchors
) -> ReferenceValues:
    """Verify a RIM and take out what it lists.

    1. It is XML of the one form, with certificates.
    2. The signer's certificate chains to NVIDIA's pinned root for RIMs; all are valid
       at `now`.
    3. SignedInfo has the document's digest.
    4. The signer's key signed SignedInfo.

    Args:
        data: The file.
        procedure: Where the transcript is written.
        now: For when to verify, with a time zone.
        anchors: The roots that count.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If a step does not hold.
    """
    rim = _parse(data)
    trust = chains.Trust(
        now=now,
        anchors=anchors,
        vendor=roots.NVIDIA_RIM,
        source=RIM,
        algorithms=frozenset({Algorithm.ECDSA_SHA384}),
    )
    chains.verify(procedure, rim.signer, rim.pool, trust)
    digest = hashlib.sha384(rim.content).digest()
    procedure.require(
        "reference digest",
        holds=hmac.compare_digest(rim.digest, digest),
        expected=f"the document's, {digest.hex()}",
        actual=rim.digest.hex(),
        source=SIGNATURE,
    )
    key = load_ecdsa_key(rim.signer.spki, ec.SECP384R1)
    made = ecdsa_verifies(Algorithm.ECDSA_SHA384, key, rim.signature, rim.signed)
    procedure.require(
        "RIM signature",
        holds=made,
        expected="made by the signer's key",
        actual="made by it" if made else "not made by it",
        source=SIGNATURE,
    )
    return rim.values


def _parse(data: bytes) -> _Rim:
    """Step 1.

    Raises:
        EvidenceError: If it does not hold.
    """
    root = xml.parse(data)
    if (root.space, root.local) != (_SWID, "SoftwareIdentity"):
        raise EvidenceError("RIM: expected a SoftwareIdentity")
    _, meta, payload, signature = _children(
        root,
        (_SWID, "Entity"),
        (_SWID, "Meta"),
        (_SWID, "Payload"),
        (_DSIG, "Signature"),
    )
    info, value, key_info = _children(
        signature,
        (_DSIG, "SignedInfo"),
        (_DSIG, "SignatureValue"),
        (_DSIG, "KeyInfo"),
    )
    pool = _certificates(key_info)
    made = _base64(value.text)
    if len(made) != SIGNATURE_BYTES:
        raise EvidenceError(f"RIM signature: expected {SIGNATURE_BYTES} bytes")
    return _Rim(
        values=_values(meta, payload),
        content=xml.canonical(root, without=signature),
        digest=_reference(info),
        signed=xml.canonical(info),
        signature=made,
        signer=pool[0],
        pool=pool,
    )


def _values(meta: xml.Element, payload: xml.Element) -> ReferenceValues:
    measurements: list[str] = []
    for resource in payload.elements:
        if (resource.space, resource.local) != (_SWID, "Resource"):
            raise EvidenceError("RIM Payload: expected Resources only")
        if resource.attribute("type") != "Measurement":
            raise EvidenceError("RIM Resource: expected measurements only")
        if _is_active(resource):
            measurements += _alternatives(resource)
    if not measurements:
        raise EvidenceError("RIM Payload: expected an active measurement")
    product, version = meta.attribute("product"), meta.attribute("colloquialVersion")
    return ReferenceValues(
        version=version,
        product=product,
        measurements=tuple(measurements),
        name=f"NVIDIA RIM {product} {version}",
    )


def _is_active(resource: xml.Element) -> bool:
    match resource.attribute("active"):
        case "True":
            return True
        case "False":
            return False
        case _:
            raise EvidenceError("RIM Resource: expected active to be True or False")


def _alternatives(resource: xml.Element) -> list[str]:
    """An active measurement's index with each value that it may have.

    Raises:
        EvidenceError: If a value is missing or malformed, or there are too many.
    """
    index, count = resource.attribute("index"), resource.attribute("alternatives")
    if not count.isascii() or not count.isdecimal() or len(count) > 2:
        raise EvidenceError("RIM Resource: expected a number of alternatives")
    if not 1 <= int(count) <= _MAX_ALTERNATIVES:
        raise EvidenceError(
            f"RIM Resource: expected 1 to {_MAX_ALTERNATIVES} alternatives"
        )
    found = [
        f"{index}:{resource.attribute(f'Hash{place}', _SHA384)}"
        for place in range(int(count))
    ]
    if not all(map(MEASUREMENT_FORM.fullmatch, found)):
        raise EvidenceError("RIM Resource: expected an index and SHA-384 digests")
    return found


def _reference(info: xml.Element) -> bytes:
    """The digest in SignedInfo, which has one form.

    Raises:
        EvidenceError: If it has another.
    """
    method, how, reference = _children(
        info,
        (_DSIG, "CanonicalizationMethod"),
        (_DSIG, "SignatureMethod"),
        (_DSIG, "Reference"),
    )
    transforms, digest_method, digest = _children(
        reference,
        (_DSIG, "Transforms"),
        (_DSIG, "DigestMethod"),
        (_DSIG, "DigestValue"),
    )
    enveloped, canonical = _children(
        transforms, (_DSIG, "Transform"), (_DSIG, "Transform")
    )
    algorithms = [
        each.attribute("Algorithm")
        for each in (method, how, enveloped, canonical, digest_method)
    ]
    if algorithms != [_C14N11, _ECDSA_SHA384, _ENVELOPED, _C14N11, _DIGEST_SHA384]:
        raise EvidenceError("RIM SignedInfo: expected ECDSA and SHA-384, C14N 1.1")
    if reference.attribute("URI"):
        raise EvidenceError("RIM SignedInfo: expected the whole document")
    return _base64(digest.text)


def _certificates(key_info: xml.Element) -> tuple[Certificate, ...]:
    (data,) = _children(key_info, (_DSIG, "X509Data"))
    listed = data.elements
    if not 1 <= len(listed) <= MAX_CERTIFICATES:
        raise EvidenceError(
            f"RIM KeyInfo: expected 1 to {MAX_CERTIFICATES} certificates"
        )
    _children(data, *[(_DSIG, "X509Certificate")] * len(listed))
    return tuple(parse_certificate(_base64(each.text)) for each in listed)


def _children(element: xml.Element, *names: tuple[str, str]) -> tuple[xml.Element, ...]:
    """Exactly these elements, in this order, and nothing but blanks between them.

    Raises:
        EvidenceError: If there is anything else.
    """
    found = element.elements
    if tuple((each.space, each.local) for each in found) != names:
        expected = ", ".join(local for _, local in names)
        raise EvidenceError(f"RIM {element.local}: expected {expected}")
    if element.text.strip():
        raise EvidenceError(f"RIM {element.local}: expected no text")
    return found


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise EvidenceError("RIM: expected base64") from error
