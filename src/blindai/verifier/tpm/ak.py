"""Whose attestation key signed a quote: what an AK certificate says.

Google certifies the attestation keys of the vTPMs of its confidential virtual machines,
under "EK/AK CA Root". Such a certificate names the machine in an extension,
1.3.6.1.4.1.11129.2.1.21 (go-tpm-tools, server/verify.go, describes it):

    SEQUENCE
      zone UTF8String, project number INTEGER, project id UTF8String,
      instance id INTEGER, instance name UTF8String
      [0] SEQUENCE of [0] security version INTEGER, [1] is production BOOLEAN, ...

An attestation key signs, so its key usage is digitalSignature (RFC 5280, 4.2.1.3), and
an extended key usage, if there is one, has tcg-kp-AIKCertificate, 2.23.133.8.3 (TCG OID
Registry). Google certifies endorsement keys too, for encryption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.protocol import der
from blindai.verifier import chains, roots
from blindai.verifier.signatures import Algorithm
from blindai.verifier.tpm.claims import GoogleInstance

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.verifier.certificates import Certificate
    from blindai.verifier.endorsed import Endorsements
    from blindai.verifier.procedure import Procedure
    from blindai.verifier.roots import Anchors, Root

CHAIN: Final = "Google Cloud, EK/AK CA certificates"
USAGE: Final = "RFC 5280 4.2.1.3; TCG OID Registry, tcg-kp-AIKCertificate"
INSTANCE: Final = "go-tpm-tools, GCE instance information"
MAX_NAME_BYTES: Final = 128

_ALGORITHMS: Final = frozenset(
    {
        Algorithm.RSA_SHA256,
        Algorithm.RSA_SHA384,
        Algorithm.ECDSA_SHA256,
        Algorithm.ECDSA_SHA384,
    }
)
_KEY_USAGE: Final = bytes.fromhex("551d0f")  # 2.5.29.15
_EXTENDED_KEY_USAGE: Final = bytes.fromhex("551d25")  # 2.5.29.37
_AIK_CERTIFICATE: Final = bytes.fromhex("6781050803")  # 2.23.133.8.3
_INSTANCE: Final = bytes.fromhex("2b06010401d679020115")
_DIGITAL_SIGNATURE: Final = b"\x07\x80"  # bit 0 alone
_INSTANCE_FIELDS: Final = (
    der.UTF8_STRING,
    der.INTEGER,
    der.UTF8_STRING,
    der.INTEGER,
    der.UTF8_STRING,
    der.CONTEXT_0,
)
_IS_PRODUCTION: Final = 0xA1  # [1]
_TRUE: Final = b"\x01\x01\xff"


def ak_certificate(endorsements: Endorsements) -> Certificate:
    """The one certificate that may not issue others; nothing is believed for that.

    Raises:
        EvidenceError: If there is none, or more than one.
    """
    leaves = [each for each in endorsements.certificates if not each.may_issue]
    if len(leaves) != 1:
        raise EvidenceError(
            f"endorsements: expected one AK certificate, got {len(leaves)}"
        )
    return leaves[0]


def verify_ak(
    procedure: Procedure, endorsements: Endorsements, now: datetime, anchors: Anchors
) -> tuple[Certificate, GoogleInstance, Root]:
    """Verify an AK certificate.

    1. It chains to a pinned root of Google's.
    2. It is an attestation key's.
    3. It is of a machine in production.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If a step does not hold.
    """
    certificate = ak_certificate(endorsements)
    trust = chains.Trust(
        now=now,
        anchors=anchors,
        vendor=roots.GOOGLE,
        source=CHAIN,
        algorithms=_ALGORITHMS,
        crls=endorsements.crls,
        unlisted=1,  # its certificate names no list, those above do
    )
    root = chains.verify(procedure, certificate, endorsements.certificates, trust)
    _verify_usage(procedure, certificate)
    return certificate, _verify_instance(procedure, certificate), root


def _verify_usage(procedure: Procedure, certificate: Certificate) -> None:
    """Step 2.

    Raises:
        EvidenceError: If the extensions are malformed.
        VerificationError: If the step does not hold.
    """
    usage = certificate.extensions.get(_KEY_USAGE)
    bits = der.only(usage.value, der.BIT_STRING, "keyUsage") if usage else b""
    extended = certificate.extensions.get(_EXTENDED_KEY_USAGE)
    purposes = _purposes(extended.value) if extended else {_AIK_CERTIFICATE}
    holds = bits == _DIGITAL_SIGNATURE and _AIK_CERTIFICATE in purposes
    procedure.require(
        "AK certificate: key usage",
        holds=holds,
        expected="digital signatures, as an attestation key",
        actual="that" if holds else "another",
        source=USAGE,
    )


def _purposes(value: bytes) -> set[bytes]:
    listed = der.only(value, der.SEQUENCE, "extKeyUsage")
    return {each.content for each in der.elements(listed, "extKeyUsage")}


def _verify_instance(procedure: Procedure, certificate: Certificate) -> GoogleInstance:
    """Step 3.

    Raises:
        EvidenceError: If the extension is missing or malformed.
        VerificationError: If the step does not hold.
    """
    extension = certificate.extensions.get(_INSTANCE)
    if extension is None:
        raise EvidenceError("AK certificate: expected Google's instance information")
    what = "instance information"
    content = der.only(extension.value, der.SEQUENCE, what)
    zone, number, project, instance, name, security = der.fields(
        content, _INSTANCE_FIELDS, what
    )
    properties = der.elements(der.only(security.content, der.SEQUENCE, what), what)
    production = (_IS_PRODUCTION, _TRUE) in {(p.tag, p.content) for p in properties}
    procedure.require(
        "AK certificate: instance",
        holds=production,
        expected="a machine in production",
        actual="that" if production else "another",
        source=INSTANCE,
    )
    return GoogleInstance(
        zone=_text(zone),
        project_number=der.integer(number.content, "project number"),
        project_id=_text(project),
        instance_id=der.integer(instance.content, "instance id"),
        instance_name=_text(name),
    )


def _text(element: der.Element) -> str:
    text = element.content.decode("latin-1")
    if len(text) > MAX_NAME_BYTES or not (text.isascii() and text.isprintable()):
        raise EvidenceError(
            f"instance information: expected at most {MAX_NAME_BYTES} ASCII letters"
        )
    return text
