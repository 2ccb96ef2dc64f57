"""A made-up NVIDIA: GPUs that sign measurements, and RIMs, with any field set.

    nvidia = Nvidia()
    evidence = array(nvidia.gpu().evidence(nonce))

Its roots are new ones each time and pinned nowhere: a policy has to name them under
`insecure_roots`, and what they sign proves nothing.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from blindai.testing.vendors.asn1 import sequence, tlv
from blindai.testing.vendors.pki import (
    Authority,
    Extensions,
    Validity,
    digest_of,
    p384,
    pem,
    raw_signature,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

FWID: Final = bytes(range(48))
MEASUREMENTS: Final = tuple(bytes([index]) * 48 for index in range(64))
"""What a made-up GPU measured, by the index that RIMs have, unless told otherwise."""
FIELDS: Final[Mapping[int, bytes]] = {
    6: bytes.fromhex("005e009601000000"),  # VBIOS 96.00.5E.00.01
    15: b"882\x00",
    17: b"1010\x00",
    18: b"0200\x00",
    3: b"550.90.07\x00",
    11: b"\xaa",
    20: FWID,
    34: b"\x01\x00",
    36: b"\x01\x00",  # SPT
}
"""The opaque data of a made-up GPU, by type, unless told otherwise."""
REQUEST_HEAD: Final = bytes.fromhex("11e001ff")
RESPONSE_HEAD: Final = bytes.fromhex("11600000")
_SHA384_OID: Final = bytes.fromhex("0609608648016503040202")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a GPU puts into an exchange; the defaults are accepted.

    Attributes:
        request_head: Version, code, attributes and operation of the request.
        slot: Of the request.
        response_head: Version, code and two parameters of the response.
        blocks: The measurement record.
        count: The number of blocks it claims; None for the true one.
        fields: Opaque data by type.
        opaque: All opaque data instead of `fields`, or None.
        key: What it is signed with instead of the GPU's key.
    """

    request_head: bytes = REQUEST_HEAD
    slot: bytes = b"\x00"
    response_head: bytes = RESPONSE_HEAD
    blocks: bytes = b"".join(
        bytes([index + 1]) + bytes.fromhex("013300013000") + value
        for index, value in enumerate(MEASUREMENTS)
    )
    count: int | None = None
    fields: Mapping[int, bytes] = field(default_factory=lambda: FIELDS)
    opaque: bytes | None = None
    key: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)


class Nvidia:
    """Device and RIM roots, and the authorities between them and GPUs.

    Attributes:
        root: The authority whose certificate would be pinned for devices.
        identity: The authority of a product.
        provisioner: The authority that certifies boot ROMs.
        rim_root: The authority whose certificate would be pinned for RIMs.
        rim_signer: Who signs RIMs.
        rim_key: Its key.
    """

    def __init__(self) -> None:
        digest = hashes.SHA384()
        name = "INSECURE made-up NVIDIA"
        self.root = Authority.root(f"{name} Device Identity CA", p384(), digest)
        self.identity = self.root.authority(f"{name} GH100 Identity", p384())
        self.provisioner = self.identity.authority(f"{name} Provisioner", p384())
        self.rim_root = Authority.root(f"{name} CoRIM Root CA", p384(), digest)
        self.rim_key = p384()
        self.rim_signer = self.rim_root.issue(
            f"{name} RIM Signer", self.rim_key.public_key(), extensions=leaf_usage()
        )

    @property
    def root_digest(self) -> bytes:
        """SHA-256 of the device root, for a policy's `insecure_roots`."""
        return digest_of(self.root.certificate)

    def gpu(self, model: str = "GH100 A01 GSP BROM", **changes: object) -> Gpu:
        """A GPU, different from all others.

        Args:
            model: What its boot ROM's certificate calls it.
            changes: Attributes of `Gpu` that are not as usual.
        """
        rom = self.provisioner.authority(model, p384())
        return Gpu(vendor=self, rom=rom, **changes)  # type: ignore[arg-type]  # any of them


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU with its certificate.

    Attributes:
        vendor: Whose it is.
        rom: The authority in its boot ROM.
        key: What it signs with.
        fwid: The firmware that its certificate vouches for: the extension.
        validity: Of its certificate.
        report: What its exchanges have, unless told otherwise.
    """

    vendor: Nvidia
    rom: Authority
    key: ec.EllipticCurvePrivateKey = field(default_factory=p384, repr=False)
    fwid: Extensions = field(default_factory=lambda: composite_device_id(FWID))
    validity: Validity | None = None
    report: Report = field(default_factory=Report)

    @cached_property
    def leaf(self) -> x509.Certificate:
        """The certificate of the key that signs."""
        return self.rom.issue(
            "GH100 A01 GSP FMC LF",
            self.key.public_key(),
            validity=self.validity,
            extensions=(*leaf_usage(), *self.fwid),
        )

    @cached_property
    def chain(self) -> bytes:
        """Its certificates in PEM, its own first."""
        vendor = self.vendor
        above = (self.rom, vendor.provisioner, vendor.identity, vendor.root)
        return pem(self.leaf, *(each.certificate for each in above))

    def exchange(self, nonce: bytes, report: Report | None = None) -> bytes:
        """Request and response, signed."""
        said = report or self.report
        opaque = fields(said.fields) if said.opaque is None else said.opaque
        count = len(said.blocks) // 55 if said.count is None else said.count
        signed = (
            said.request_head
            + nonce
            + said.slot
            + said.response_head
            + bytes([count])
            + len(said.blocks).to_bytes(3, "little")
            + said.blocks
            + bytes(32)
            + len(opaque).to_bytes(2, "little")
            + opaque
        )
        return signed + ecdsa(said.key or self.key, signed)

    def evidence(
        self, nonce: bytes, *, chain: bytes | None = None, **changes: object
    ) -> dict[str, str]:
        """Its member of NVIDIA's array.

        Args:
            nonce: What it is asked to sign, 32 bytes.
            chain: Other certificates, in PEM.
            changes: Attributes of `Report` that are not as usual.
        """
        report = replace(self.report, **changes)  # type: ignore[arg-type]  # any of them
        exchange = self.exchange(nonce, report)
        return {
            "arch": "HOPPER",
            "nonce": nonce.hex(),
            "evidence": base64.b64encode(exchange).decode(),
            "certificate": base64.b64encode(chain or self.chain).decode(),
        }


def array(*gpus: dict[str, str]) -> bytes:
    """NVIDIA's JSON array."""
    return json.dumps(gpus).encode()


def fields(by_type: Mapping[int, bytes]) -> bytes:
    """Opaque data: type, size and value, one after the other."""
    return b"".join(
        kind.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value
        for kind, value in by_type.items()
    )


def composite_device_id(fwid: bytes) -> Extensions:
    """The extension of a Hopper GPU's certificate that has its FWID."""
    key = bytes.fromhex("3003020100")  # where the device's key would be
    value = sequence(b"\x02\x01\x01" + key + _fwid(fwid))
    oid = x509.ObjectIdentifier("2.23.133.5.4.1")
    return ((x509.UnrecognizedExtension(oid, value), False),)


def dice_tcb_info(*fwids: bytes) -> Extensions:
    """The extension of a Blackwell GPU's certificate that has its FWIDs."""
    listed = b"".join(map(_fwid, fwids))
    value = sequence(b"\x80\x06NVIDIA" + b"\x83\x01\x01" + tlv(0xA6, listed))
    oid = x509.ObjectIdentifier("2.23.133.5.4.1.1")
    return ((x509.UnrecognizedExtension(oid, value), False),)


def leaf_usage() -> Extensions:
    """The KeyUsage of a certificate whose key signs."""
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return ((usage, True),)


def ecdsa(key: ec.EllipticCurvePrivateKey, signed: bytes) -> bytes:
    """R and S, big-endian, 48 bytes each, with SHA-384."""
    return raw_signature(key, signed, hashes.SHA384())


def _fwid(digest: bytes) -> bytes:
    return sequence(_SHA384_OID + tlv(0x04, digest))
