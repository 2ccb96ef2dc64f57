"""Made-up reference values: RIMs that a made-up NVIDIA signs, with any part set.

    Rim(version="550.90.07").file(Nvidia())

The text is canonical as it is written, so nothing here canonicalises.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blindai.testing.vendors.nvidia import MEASUREMENTS, ecdsa
from blindai.testing.vendors.pki import der

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    from blindai.testing.vendors.nvidia import Nvidia

SWID: Final = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
SHA384: Final = "http://www.w3.org/2001/04/xmlenc#sha384"
DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
C14N11: Final = "http://www.w3.org/2006/12/xml-c14n11"
ENVELOPED: Final = f"{DSIG}enveloped-signature"
ECDSA_SHA384: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
DIGEST_SHA384: Final = "http://www.w3.org/2001/04/xmldsig-more#sha384"
ENTITY: Final = '<Entity name="NVIDIA"></Entity>'


def resource(index: int, *values: bytes, active: str = "True") -> str:
    """A Resource element that lists a measurement's values."""
    by_name = sorted(range(len(values)), key=str)  # as the canonical form has them
    hashes = "".join(f' h:Hash{n}="{values[n].hex()}"' for n in by_name)
    return (
        f'<Resource active="{active}" alternatives="{len(values)}" index="{index}"'
        f' type="Measurement"{hashes}></Resource>'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rim:
    """A RIM; the defaults are accepted.

    Attributes:
        version: colloquialVersion.
        product: The chip.
        resources: What lies in Payload.
        before: What lies before Meta.
        after: What lies after Payload.
        algorithms: Of canonicalisation, signature, the two transforms and the digest.
        uri: What SignedInfo refers to.
        digest: What it says of the document, or None for the truth.
        key: What it is signed with instead of the signer's key.
        signature: What stands as the signature, or None for a true one.
        chain: Certificates, or None for the signer's and the root's.
        key_info: What lies in X509Data instead of the chain, or None.
    """

    version: str = "550.90.07"
    product: str = "GH100"
    resources: str = "".join(
        resource(index, MEASUREMENTS[index]) for index in (7, 8, 9)
    )
    before: str = ENTITY
    after: str = ""
    algorithms: tuple[str, str, str, str, str] = (
        C14N11,
        ECDSA_SHA384,
        ENVELOPED,
        C14N11,
        DIGEST_SHA384,
    )
    uri: str = ""
    digest: bytes | None = None
    key: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)
    signature: bytes | None = None
    chain: Sequence[x509.Certificate] | None = None
    key_info: str | None = None

    def file(self, vendor: Nvidia) -> bytes:
        """The signed document."""
        head, tail = self._document()
        truth = hashlib.sha384((head + tail).encode()).digest()
        scope = f' xmlns="{SWID}" xmlns:ds="{DSIG}" xmlns:h="{SHA384}"'
        info = self._signed_info(truth if self.digest is None else self.digest)
        signed = info.replace("<ds:SignedInfo>", f"<ds:SignedInfo{scope}>")
        made = self.signature
        if made is None:
            made = ecdsa(self.key or vendor.rim_key, signed.encode())
        chain = self.chain
        if chain is None:
            chain = (vendor.rim_signer, vendor.rim_root.certificate)
        listed = "".join(
            f"<ds:X509Certificate>{_base64(der(each))}</ds:X509Certificate>"
            for each in chain
        )
        certificates = listed if self.key_info is None else self.key_info
        envelope = (
            f'<ds:Signature xmlns:ds="{DSIG}">{info}'
            f"<ds:SignatureValue>{_base64(made)}</ds:SignatureValue>"
            f"<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo>"
            "</ds:Signature>"
        )
        return (head + envelope + tail).encode()

    def _document(self) -> tuple[str, str]:
        """What stands before and after the signature."""
        head = (
            f'<SoftwareIdentity xmlns="{SWID}" xmlns:h="{SHA384}">{self.before}'
            f'<Meta colloquialVersion="{self.version}" product="{self.product}"></Meta>'
            f"<Payload>{self.resources}</Payload>{self.after}"
        )
        return head, "</SoftwareIdentity>"

    def _signed_info(self, digest: bytes) -> str:
        method, how, first, second, digested = self.algorithms
        return (
            "<ds:SignedInfo>"
            f'<ds:CanonicalizationMethod Algorithm="{method}">'
            "</ds:CanonicalizationMethod>"
            f'<ds:SignatureMethod Algorithm="{how}"></ds:SignatureMethod>'
            f'<ds:Reference URI="{self.uri}"><ds:Transforms>'
            f'<ds:Transform Algorithm="{first}"></ds:Transform>'
            f'<ds:Transform Algorithm="{second}"></ds:Transform></ds:Transforms>'
            f'<ds:DigestMethod Algorithm="{digested}"></ds:DigestMethod>'
            f"<ds:DigestValue>{_base64(digest)}</ds:DigestValue>"
            "</ds:Reference></ds:SignedInfo>"
        )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
