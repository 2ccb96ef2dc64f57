"""What AMD says in a VCEK or VLEK certificate about the platform it belongs to.

AMD 57230 revision 1.00, chapter 3, and AMD 58369 revision 0.10 for a VLEK: extensions
below 1.3.6.1.4.1.3704.1.

    1        struct version, INTEGER: 0 for Milan and Genoa, 1 for Turin
    2        product name, IA5String: Milan-B0, Genoa, Turin
    3.1..9   patch levels, INTEGER 0..255: boot loader, TEE, SNP, 4, 5, 6, 7, microcode,
             FMC; of which struct version 0 has no 9 and struct version 1 has no 4
    4        HWID, OCTET STRING, or its 64 bytes (Turin: 8) as they are (VCEK only)
    5        name of the cloud provider, IA5String (VLEK only)

AMD 57230 has the tag of the HWID; genuine certificates without it exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blindai.errors import EvidenceError
from blindai.protocol import der
from blindai.verifier.snp.claims import SigningKey
from blindai.verifier.snp.products import BY_LEAF_NAME

if TYPE_CHECKING:
    from blindai.verifier.certificates import Certificate
    from blindai.verifier.snp.products import Product

MAX_NAME_BYTES = 128

_AMD = bytes.fromhex("2b060104019c7801")
_STRUCT_VERSION = _AMD + b"\x01"
_PRODUCT_NAME = _AMD + b"\x02"
_PATCH_LEVELS = _AMD + b"\x03"
_HWID = _AMD + b"\x04"
_CSP_ID = _AMD + b"\x05"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """The platform that a leaf certificate belongs to.

    Attributes:
        kind: VCEK, one chip's key, or VLEK, one cloud provider's.
        product: The processor line, whatever the stepping.
        tcb: The firmware for which the key was derived, 8 bytes as in a report.
        hwid: Names the chip, 64 bytes or Turin's 8; empty in a VLEK.
        csp_id: Names the cloud provider; empty in a VCEK.
    """

    kind: SigningKey
    product: Product
    tcb: bytes
    hwid: bytes
    csp_id: str


def is_leaf(certificate: Certificate) -> bool:
    """Whether a certificate has the extensions of a VCEK or VLEK."""
    return not certificate.extensions.keys().isdisjoint({_HWID, _CSP_ID})


def parse_leaf(certificate: Certificate) -> Leaf:
    """Read AMD's extensions.

    Raises:
        EvidenceError: If one is missing, malformed or another product's, or if both
            HWID and provider are there.
    """
    product = _product(certificate)
    vlek = _CSP_ID in certificate.extensions
    if vlek is (_HWID in certificate.extensions):
        raise EvidenceError("leaf: expected either a HWID or a cloud provider's name")
    return Leaf(
        kind=SigningKey.VLEK if vlek else SigningKey.VCEK,
        product=product,
        tcb=bytes(_patch_level(certificate, each) for each in product.patch_levels),
        hwid=b"" if vlek else _hwid(certificate, product.hwid_bytes),
        csp_id=_text(certificate, _CSP_ID, "provider") if vlek else "",
    )


def _product(certificate: Certificate) -> Product:
    """What the certificate says that it is of; the struct version has to be its.

    Raises:
        EvidenceError: If the product is not known here, or the struct version is not.
    """
    name = _text(certificate, _PRODUCT_NAME, "leaf product").partition("-")[0]
    product = BY_LEAF_NAME.get(name)
    if product is None:
        known = ", ".join(BY_LEAF_NAME)
        raise EvidenceError(f"leaf product: expected one of {known}, got another")
    version = _integer(certificate, _STRUCT_VERSION, "leaf struct version")
    if version != product.struct_version:
        raise EvidenceError(
            f"leaf struct version: expected {product.struct_version} for"
            f" {product.name}, got {version}"
        )
    return product


def _hwid(certificate: Certificate, length: int) -> bytes:
    """The HWID, with or without a tag before it; the length says which.

    Raises:
        EvidenceError: If it is not exactly `length` bytes.
    """
    hwid = value = certificate.extensions[_HWID].value
    if len(value) != length:
        hwid = der.only(value, der.OCTET_STRING, "leaf HWID")
    if len(hwid) != length:
        raise EvidenceError(f"leaf HWID: expected {length} bytes, got {len(hwid)}")
    return hwid


def _patch_level(certificate: Certificate, number: int) -> int:
    oid = _PATCH_LEVELS + bytes([number])
    level = _integer(certificate, oid, "leaf patch level")
    if level > 0xFF:
        raise EvidenceError(f"leaf patch level: expected at most 255, got {level}")
    return level


def _integer(certificate: Certificate, oid: bytes, what: str) -> int:
    value = _value(certificate, oid, what)
    return der.integer(der.only(value, der.INTEGER, what), what)


def _text(certificate: Certificate, oid: bytes, what: str) -> str:
    value = _value(certificate, oid, what)
    text = der.only(value, der.IA5_STRING, what)
    decoded = text.decode("latin-1")
    printable = decoded.isascii() and decoded.isprintable()
    if len(text) > MAX_NAME_BYTES or not printable:
        raise EvidenceError(f"{what}: expected at most {MAX_NAME_BYTES} ASCII letters")
    return decoded


def _value(certificate: Certificate, oid: bytes, what: str) -> bytes:
    extension = certificate.extensions.get(oid)
    if extension is None:
        raise EvidenceError(f"{what}: expected the extension, got none")
    return extension.value
