"""A made-up AWS: a Nitro hypervisor that signs documents with any field set.

    aws = Aws()
    document = aws.document({"user_data": digest}, now=NOW)

Its root is a new one each time and pinned nowhere: a policy has to name it under
`insecure_roots`, and what it signs proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from blindai.testing.vendors.pki import (
    Authority,
    Validity,
    der,
    digest_of,
    p384,
    raw_signature,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

MODULE_ID: Final = "i-0123456789abcdef0-enc0123456789abcdef"
PCRS: Final[Mapping[int, bytes]] = MappingProxyType(
    {
        number: bytes([number + 1]) * 48 if number in {0, 1, 2, 3, 4, 8} else bytes(48)
        for number in range(16)
    }
)
"""What the made-up hypervisor measured, unless it is told otherwise."""
PROTECTED: Final = bytes.fromhex("a1013822")  # {1 (alg): -35 (ES384)}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LEAF_LIFE: Final = timedelta(hours=3)
LEAF_AGE: Final = timedelta(minutes=5)  # a hypervisor's key is not made for a document


@dataclass(frozen=True, slots=True, kw_only=True)
class Cose:
    """How a document is signed; the defaults are AWS's.

    Attributes:
        protected: The protected header, encoded.
        unprotected: The unprotected header.
        tagged: Whether it stands below tag 18.
        key: What it is signed with instead of the hypervisor's key.
    """

    protected: bytes = PROTECTED
    unprotected: object = field(default_factory=dict)
    tagged: bool = False
    key: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)


class Aws:
    """A root, the authorities of a region, a zone and an instance, and a hypervisor.

    Attributes:
        root: The authority whose certificate would be pinned.
        region: The authority below it.
        zone: The authority below that.
        instance: The authority that certifies hypervisors' keys.
        key: The hypervisor's.
    """

    def __init__(self) -> None:
        digest = hashes.SHA384()
        name = "INSECURE made-up aws.nitro-enclaves"
        self.root = Authority.root(name, p384(), digest)
        self.region = self.root.authority(f"region.{name}", p384(), path_length=2)
        self.zone = self.region.authority(f"zone.{name}", p384(), path_length=1)
        self.instance = self.zone.authority(f"instance.{name}", p384(), path_length=0)
        self.key = p384()

    @property
    def root_digest(self) -> bytes:
        """SHA-256 of the root certificate, for a policy's `insecure_roots`."""
        return digest_of(self.root.certificate)

    @property
    def cabundle(self) -> list[bytes]:
        """The authorities' certificates in DER, the root first."""
        chain = (self.root, self.region, self.zone, self.instance)
        return [der(each.certificate) for each in chain]

    def leaf(
        self,
        now: datetime,
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] | None = None,
    ) -> bytes:
        """A certificate for the hypervisor's key that lives for three hours, in DER."""
        return der(
            self.instance.issue(
                MODULE_ID,
                (key or self.key).public_key(),
                validity=Validity(now - LEAF_AGE, now - LEAF_AGE + LEAF_LIFE),
                extensions=leaf_extensions() if extensions is None else extensions,
            )
        )

    def fields(self, now: datetime) -> dict[str, object]:
        """The fields of a document that is made now."""
        return {
            "module_id": MODULE_ID,
            "digest": "SHA384",
            "timestamp": (now - _EPOCH) // timedelta(milliseconds=1),
            "pcrs": dict(PCRS),
            "certificate": self.leaf(now),
            "cabundle": self.cabundle,
            "public_key": None,
            "user_data": None,
            "nonce": None,
        }

    def document(
        self,
        changes: Mapping[str, object] | None = None,
        *,
        now: datetime,
        cose: Cose | None = None,
        without: str = "",
    ) -> bytes:
        """A signed document.

        Args:
            changes: Fields that are not as usual, with any value.
            now: When it is made.
            cose: How it is signed, where that is not as usual.
            without: A field to leave out.
        """
        fields = self.fields(now) | dict(changes or {})
        fields.pop(without, None)
        return self.sign(cbor2.dumps(fields), cose)

    def sign(self, payload: bytes, cose: Cose | None = None) -> bytes:
        """COSE_Sign1 of a payload (RFC 9052, 4.2), with ES384 (RFC 9053, 2.1)."""
        how = cose or Cose()
        signed = cbor2.dumps(["Signature1", how.protected, b"", payload])
        signature = raw_signature(how.key or self.key, signed, hashes.SHA384())
        parts = [how.protected, how.unprotected, payload, signature]
        return (b"\xd2" if how.tagged else b"") + cbor2.dumps(parts)


def leaf_extensions(
    *, authority: bool = False, digital_signature: bool = True
) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """The extensions that AWS writes into a hypervisor's certificate."""
    usage = x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=not digital_signature,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    constraints = x509.BasicConstraints(ca=authority, path_length=None)
    return ((constraints, True), (usage, False))
