"""Believing a Nitro attestation document: AWS's procedure, step by step.

Documents: AWS Nitro Enclaves NSM API, "Nitro Enclaves Attestation Process", 3.2
(validation); RFC 9052, 4.4 and RFC 9053, 2.1 (signature); RFC 5280 (certificates).

The certificate that signs a document lives for three hours, so a document is refused
after that whatever the policy says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from blindai.protocol import der
from blindai.verifier import chains, roots
from blindai.verifier.certificates import parse_certificate
from blindai.verifier.claims import Claims
from blindai.verifier.endorsed import gather
from blindai.verifier.nitro.claims import NitroClaims
from blindai.verifier.nitro.document import PROTECTED_ES384, parse_document
from blindai.verifier.result import TOKEN, VerifiedClaims
from blindai.verifier.signatures import Algorithm, ecdsa_verifies, load_ecdsa_key

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.protocol.attestation import Evidence
    from blindai.verifier.certificates import Certificate
    from blindai.verifier.nitro.document import Document, SignedDocument
    from blindai.verifier.procedure import Procedure
    from blindai.verifier.roots import Anchors

TEE: Final = "nitro"
CHAIN: Final = "AWS Nitro Enclaves Attestation Process 3.2.3, Semantical validation"
SIGNATURE: Final = "AWS Nitro Enclaves Attestation Process 3.1, COSE and CBOR"

_KEY_USAGE: Final = bytes.fromhex("551d0f")  # 2.5.29.15
_DIGITAL_SIGNATURE: Final = 0x80  # bit 0 of KeyUsage (RFC 5280, 4.2.1.3)


def verify(
    evidence: Evidence, procedure: Procedure, now: datetime, anchors: Anchors
) -> VerifiedClaims:
    """Verify an attestation document.

    1. The COSE_Sign1 structure, the document in it and its certificates are well
       formed.
    2. The document's certificate chains to AWS's pinned root; all are valid at `now`.
    3. Its key may sign documents, and signed this one with ES384.

    Args:
        evidence: What was sent.
        procedure: Where the transcript is written.
        now: For when to verify, with a time zone.
        anchors: The roots that count.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If a step does not hold.
    """
    signed = parse_document(evidence.evidence)
    document = signed.document
    certificate = parse_certificate(document.certificate)
    pool = tuple(parse_certificate(each) for each in document.cabundle)
    trust = chains.Trust(
        now=now,
        anchors=anchors,
        vendor=roots.AWS,
        source=CHAIN,
        algorithms=frozenset({Algorithm.ECDSA_SHA384}),
        crls=gather(evidence.endorsements).crls,
        unlisted=2,  # the enclave's and its instance's, which live for hours
    )
    root = chains.verify(procedure, certificate, pool, trust)
    _verify_usage(procedure, certificate)
    _verify_signature(procedure, signed, certificate)
    return VerifiedClaims(claims=_claims(document, now), root=root, token=TOKEN)


def _verify_usage(procedure: Procedure, certificate: Certificate) -> None:
    """Step 3, first half (AWS, 3.2.3.2 and 3.2.3.3).

    Raises:
        EvidenceError: If the extension is malformed.
        VerificationError: If it is an authority's, or its key is not for signatures.
    """
    usage = _key_usage(certificate)
    holds = usage & _DIGITAL_SIGNATURE != 0 and not certificate.may_issue
    procedure.require(
        "leaf certificate: key usage",
        holds=holds,
        expected="digitalSignature, and no authority",
        actual="that" if holds else "another",
        source=f"{CHAIN}, key usage",
    )


def _key_usage(certificate: Certificate) -> int:
    """The first eight bits of KeyUsage, none where the extension is missing."""
    extension = certificate.extensions.get(_KEY_USAGE)
    if extension is None:
        return 0
    bits = der.only(extension.value, der.BIT_STRING, "keyUsage")
    return int.from_bytes(bits[1:2])


def _verify_signature(
    procedure: Procedure, signed: SignedDocument, certificate: Certificate
) -> None:
    """Step 3, second half.

    Raises:
        EvidenceError: If the certificate's key is not on P-384.
        VerificationError: If the step does not hold.
    """
    procedure.require(
        "document signature: algorithm",
        holds=signed.protected == PROTECTED_ES384,
        expected="ES384 (-35), and no other header",
        actual=f"the header {signed.protected.hex()}",
        source=SIGNATURE,
    )
    key = load_ecdsa_key(certificate.spki, ec.SECP384R1)
    made = ecdsa_verifies(Algorithm.ECDSA_SHA384, key, signed.signature, signed.signed)
    procedure.require(
        "document signature",
        holds=made,
        expected="made by the leaf certificate's key",
        actual="made by it" if made else "not made by it",
        source=SIGNATURE,
    )


def _claims(document: Document, now: datetime) -> Claims:
    """What an authentic document says; in debug mode, the image is not measured."""
    return Claims(
        tee=TEE,
        measurement=document.pcrs[0],
        report_data=document.user_data or b"",
        debug=not any(document.pcrs[0]),
        nonce=document.nonce,
        details=NitroClaims(
            module_id=document.module_id,
            timestamp=document.timestamp,
            age=now - document.timestamp,
            pcrs=document.pcrs,
            public_key=document.public_key,
        ),
    )
