"""What AMD's key distribution service has for an SEV-SNP report.

AMD 57230 revision 1.00, chapters 2 and 4: below the service's address,

    /vcek/v1/{product}/{hwid}?blSPL=&teeSPL=&snpSPL=&ucodeSPL=   the chip's key, DER
    /vcek/v1/{product}/cert_chain                                ASK and ARK, PEM
    /vcek/v1/{product}/crl                                       what ARK revoked, DER

and the last two below /vlek for a VLEK, which only its cloud provider is given and the
host hands to the guest. Turin's HWID has 8 bytes, and its key belongs to an fmcSPL too.

This much is read of a report (AMD 56860 revision 1.57, 7.3, table ATTESTATION_REPORT):

    000 VERSION u32      180 REPORTED_TCB 8           188 CPUID family, from version 3
    048 flags u32:       1A0 CHIP_ID 64               189 CPUID model, likewise
        2..4 SIGNING_KEY, 0 VCEK, 1 VLEK

    REPORTED_TCB, 2.2: 0 boot loader, 1 TEE, 6 SNP, 7 microcode;
    Turin:             0 FMC, 1 boot loader, 2 TEE, 3 SNP, 7 microcode
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.endorsements import expiry
from blindai.endorsements.documents import Kind, Request
from blindai.errors import EvidenceError
from blindai.protocol.attestation import CRL_TYPE, PEM_CHAIN_TYPE, Endorsement
from blindai.protocol.endorsements import certificates, encode_pem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from blindai.endorsements.documents import Answer

REPORT_BYTES: Final = 0x4A0
_REPORTED_TCB: Final = 0x180
_EARLY_PRODUCTS: Final = ("Milan", "Genoa")
_VCEK, _VLEK = 0, 1
_TURIN = "Turin"
_CLASSIC_LEVELS: Final = {"blSPL": 0, "teeSPL": 1, "snpSPL": 6, "ucodeSPL": 7}
_TURIN_LEVELS: Final = {
    "fmcSPL": 0,
    "blSPL": 1,
    "teeSPL": 2,
    "snpSPL": 3,
    "ucodeSPL": 7,
}
# Which extension of a leaf has a level: AMD 57230, 3.
_LEVEL: Final = bytes.fromhex("060a2b060104019c780103")
_EXTENSIONS: Final = {"blSPL": 1, "teeSPL": 2, "snpSPL": 3, "ucodeSPL": 8, "fmcSPL": 9}
# Family, first and last model, product as the service calls it: AMD 56860, 7.3, and
# for Bergamo and Siena (A0h) AMD 57230, which keeps them under Genoa.
_PRODUCTS: Final = (
    (0x19, 0x00, 0x0F, "Milan"),
    (0x19, 0x10, 0x1F, "Genoa"),
    (0x19, 0xA0, 0xAF, "Genoa"),
    (0x1A, 0x00, 0x1F, _TURIN),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpPlan:
    """The documents that belong to one report; None what the evidence has already.

    Attributes:
        own: What the evidence brings along.
        leaf: The key that signed.
        issuers: The certificates above it.
        revoked: What the root revoked.
    """

    own: tuple[Endorsement, ...]
    leaf: Request | None
    issuers: Request | None
    revoked: Request

    @property
    def requests(self) -> tuple[Request, ...]:
        """What has to be fetched, the most important first."""
        wanted = (self.leaf, self.issuers, self.revoked)
        return tuple(request for request in wanted if request is not None)

    def assemble(
        self, answers: Mapping[Request, Answer], now: datetime
    ) -> tuple[Endorsement, ...]:
        """What the evidence brings along, and what of the rest is there."""
        pem = b""
        if self.leaf is not None and self.leaf in answers:
            pem += encode_pem(answers[self.leaf].content)
        if self.issuers is not None and self.issuers in answers:
            pem += answers[self.issuers].content
        chain = (Endorsement(PEM_CHAIN_TYPE, pem),) if pem else ()
        return (*self._chains(answers), *chain, *self._lists(answers, now))

    def _chains(self, answers: Mapping[Request, Answer]) -> Iterator[Endorsement]:
        """The evidence's own certificates, without a leaf that another one replaces.

        A host may hand over the key of firmware that ran before an update.
        """
        chains = (each for each in self.own if each.media_type == PEM_CHAIN_TYPE)
        if self.leaf is None or self.leaf not in answers:
            yield from chains
            return
        for each in chains:
            issuers = [
                der
                for der in certificates(each.content)
                if self.leaf.mentions not in der
            ]
            if issuers:
                pem = b"".join(map(encode_pem, issuers))
                yield Endorsement(PEM_CHAIN_TYPE, pem)

    def _lists(
        self, answers: Mapping[Request, Answer], now: datetime
    ) -> tuple[Endorsement, ...]:
        """The list of revoked certificates, if there is a current one.

        A relying party looks at every list that it is given, and refuses one that has
        expired; without a list, its policy decides. So an expired one is left out.
        """
        fetched = answers.get(self.revoked)
        if fetched is not None and fetched.expires_at > now:
            return (Endorsement(CRL_TYPE, fetched.content),)
        lists = (each for each in self.own if each.media_type == CRL_TYPE)
        return tuple(each for each in lists if _is_current(each.content, now))


def plan_report(
    report: bytes, own: tuple[Endorsement, ...], address: str
) -> tuple[SnpPlan, ...]:
    """What to fetch for a report: more than one way where it does not say its product.

    Args:
        report: As the hardware made it, 1184 bytes.
        own: What the evidence brings along.
        address: Of the key distribution service.

    Raises:
        EvidenceError: If no key can be asked for.
    """
    if len(report) != REPORT_BYTES:
        raise EvidenceError(f"report: expected {REPORT_BYTES} bytes, got {len(report)}")
    signing_key = int.from_bytes(report[0x048:0x04C], "little") >> 2 & 0b111
    if signing_key not in {_VCEK, _VLEK}:
        raise EvidenceError("report: expected one that a VCEK or VLEK signed")
    products = _products(report, tuple(_certificates(own)))
    if signing_key == _VLEK:
        return tuple(
            _plan_vlek(product, own, f"{address}/vlek/v1/{product}")
            for product in products
        )
    return tuple(
        _plan_vcek(report, product, own, f"{address}/vcek/v1/{product}")
        for product in products
    )


def _plan_vcek(
    report: bytes, product: str, own: tuple[Endorsement, ...], below: str
) -> SnpPlan:
    brought = list(_certificates(own))
    hwid = _hwid(report, product)
    leaves = [der for der in brought if hwid in der]
    fits = any(_is_for(der, report, product) for der in leaves)
    return SnpPlan(
        own=own,
        leaf=None if fits else _leaf(report, product, below),
        issuers=_issuers(product, below, len(brought) - len(leaves)),
        revoked=_revoked(product, below),
    )


def _plan_vlek(product: str, own: tuple[Endorsement, ...], below: str) -> SnpPlan:
    brought = list(_certificates(own))
    return SnpPlan(
        own=own,
        leaf=None,
        issuers=_issuers(product, below, len(brought) - 1),
        revoked=_revoked(product, below),
    )


def _certificates(own: tuple[Endorsement, ...]) -> Iterator[bytes]:
    for each in own:
        if each.media_type == PEM_CHAIN_TYPE:
            yield from certificates(each.content)


def _is_for(leaf: bytes, report: bytes, product: str) -> bool:
    """Whether a VCEK was derived for the firmware that the report names.

    AMD 57230, 3: extension 1.3.6.1.4.1.3704.1.3.N is the level N, an INTEGER.
    """
    return all(
        _LEVEL + bytes([number]) + _integer(report[_REPORTED_TCB + byte]) in leaf
        for byte, number in (
            (byte, _EXTENSIONS[name]) for name, byte in _levels(product).items()
        )
    )


def _integer(value: int) -> bytes:
    """A level in an OCTET STRING, in DER."""
    content = value.to_bytes(1 + (value > 0x7F))
    return bytes([0x04, len(content) + 2, 0x02, len(content)]) + content


def _is_current(crl: bytes, now: datetime) -> bool:
    try:
        return expiry.of_der(crl) > now
    except EvidenceError:
        return False


def _issuers(product: str, below: str, brought: int) -> Request | None:
    """The request for intermediate and root, if fewer than both came along."""
    if brought >= 2:
        return None
    return Request(
        name=f"AMD {product} chain",
        url=f"{below}/cert_chain",
        kind=Kind.CHAIN,
        mentions=f"ARK-{product}".encode(),
    )


def _revoked(product: str, below: str) -> Request:
    return Request(
        name=f"AMD {product} CRL",
        url=f"{below}/crl",
        kind=Kind.CRL,
        mentions=f"ARK-{product}".encode(),
        revised=True,
    )


def _leaf(report: bytes, product: str, below: str) -> Request:
    """The request for a VCEK.

    Raises:
        EvidenceError: If the host hides which chip it is.
    """
    hwid = _hwid(report, product)
    if not any(hwid):
        raise EvidenceError("report: expected a chip id, got none (MASK_CHIP_ID)")
    query = "&".join(
        f"{name}={report[_REPORTED_TCB + byte]:02}"
        for name, byte in _levels(product).items()
    )
    return Request(
        name=f"AMD {product} VCEK",
        url=f"{below}/{hwid.hex()}?{query}",
        kind=Kind.CERTIFICATE,
        mentions=hwid,
    )


def _levels(product: str) -> dict[str, int]:
    return _TURIN_LEVELS if product == _TURIN else _CLASSIC_LEVELS


def _hwid(report: bytes, product: str) -> bytes:
    return report[0x1A0 : 0x1A0 + (8 if product == _TURIN else 64)]


def _products(report: bytes, brought: tuple[bytes, ...]) -> tuple[str, ...]:
    """The product, or those that it may be: version 2 has no CPUID.

    Then a certificate that came along says it, for AMD's names end in the product.

    Raises:
        EvidenceError: If it is none that is known.
    """
    if int.from_bytes(report[:4], "little") < 3:
        named = [
            product
            for product in _EARLY_PRODUCTS
            if any(product.encode() in der for der in brought)
        ]
        return tuple(named) or _EARLY_PRODUCTS
    family, model = report[0x188], report[0x189]
    for known, first, last, product in _PRODUCTS:
        if family == known and first <= model <= last:
            return (product,)
    raise EvidenceError(
        f"report CPUID: expected Milan, Genoa or Turin, got family {family:#x}, "
        f"model {model:#x}"
    )
