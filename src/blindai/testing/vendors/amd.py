"""A made-up AMD: a root for each processor line, leaves, reports and lists.

    amd = MadeUpAmd("Turin")
    evidence = amd.evidence(report_data, vmpl=1)
    evidence = amd.evidence_of(amd.provider_platform("CN=a.cloud"), report_data)
    policy = Policy(sev_snp=..., insecure_roots=(amd.insecure_root,))

The RSA keys are those of the simulation, which everybody has; its root is another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from blindai.attester.simulated import (
    SimulatedPlatform,
    insecure_ark_key,
    insecure_ask_key,
)
from blindai.attester.simulated_report import (
    CHIP_ID,
    leaf_extensions,
    sign,
    write_report,
)
from blindai.protocol.attestation import (
    CRL_TYPE,
    PEM_CHAIN_TYPE,
    SEV_SNP_REPORT_TYPE,
    Endorsement,
    Evidence,
)
from blindai.testing.vendors.pki import Authority, Validity, digest_of, p384, pem
from blindai.verifier import InsecureRoot
from blindai.verifier.roots import AMD, Anchors, Root

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

ASK_SERIAL = 0x010001
ASVK_SERIAL = 0x010101
VLEK = 1 << 2  # SIGNING_KEY in a report's flags

_MILAN_TCB = bytes([4, 0, 0, 0, 0, 0, 24, 219])
_TURIN_TCB = bytes([1, 2, 0, 4, 0, 0, 0, 72])
PLATFORMS = {
    "Milan": SimulatedPlatform(
        cpuid=(0x19, 0x01, 0x01),
        tcb=_MILAN_TCB,
        committed_tcb=_MILAN_TCB,
        current_tcb=_MILAN_TCB,
        launch_tcb=_MILAN_TCB,
        leaf_tcb=_MILAN_TCB,
        leaf_product="Milan-B0",
    ),
    "Genoa": SimulatedPlatform(),
    "Turin": SimulatedPlatform(
        version=5,
        cpuid=(0x1A, 0x02, 0x01),
        chip_id=CHIP_ID[:8].ljust(64, b"\x00"),
        tcb=_TURIN_TCB,
        committed_tcb=_TURIN_TCB,
        current_tcb=_TURIN_TCB,
        launch_tcb=_TURIN_TCB,
        leaf_tcb=_TURIN_TCB,
        leaf_product="Turin",
        leaf_struct_version=1,
        leaf_hwid=CHIP_ID[:8],
    ),
}
"""What an honest machine of each processor line says of itself."""


@dataclass(frozen=True, slots=True)
class _Authorities:
    ark: Authority
    ask: Authority
    asvk: Authority


@cache
def _authorities(product: str) -> _Authorities:
    ark = Authority.root(f"Made-up ARK-{product}", insecure_ark_key(), hashes.SHA384())
    ask = ark.authority(
        f"Made-up SEV-{product}", insecure_ask_key(), serial=ASK_SERIAL, path_length=0
    )
    asvk = ark.authority(
        f"Made-up SEV-VLEK-{product}",
        insecure_ask_key(),
        serial=ASVK_SERIAL,
        path_length=0,
    )
    return _Authorities(ark, ask, asvk)


@cache
def _leaf_key() -> ec.EllipticCurvePrivateKey:
    return p384()


@dataclass(frozen=True, slots=True)
class MadeUpAmd:
    """AMD, as far as one processor line is concerned.

    Attributes:
        product: Milan, Genoa or Turin.
    """

    product: str = "Genoa"

    @property
    def root(self) -> Root:
        """Its root, which no release policy has."""
        ark = _authorities(self.product).ark.certificate
        return Root(
            name=f"Made-up ARK-{self.product}",
            vendor=AMD,
            product=self.product,
            simulated=True,
            digest=digest_of(ark),
        )

    @property
    def anchors(self) -> Anchors:
        """Its root alone."""
        return Anchors((self.root,))

    @property
    def insecure_root(self) -> InsecureRoot:
        """Its root, as a policy names it."""
        return InsecureRoot(
            vendor=AMD, sha256=self.root.digest, product=self.root.product
        )

    def platform(self, **changes: object) -> SimulatedPlatform:
        """An honest machine, but for what is changed."""
        return replace(PLATFORMS[self.product], **changes)  # type: ignore[arg-type]  # one of many

    def provider_platform(self, csp_id: str, /, **changes: object) -> SimulatedPlatform:
        """A cloud provider's machine, which hides its chip and signs with a VLEK."""
        hidden = {"flags": VLEK, "chip_id": bytes(64), "leaf_hwid": None}
        return self.platform(**{**hidden, "leaf_csp_id": csp_id, **changes})

    def chain(self, platform: SimulatedPlatform) -> tuple[x509.Certificate, ...]:
        """Leaf, ASK or ASVK, and ARK for a machine."""
        authorities = _authorities(self.product)
        vlek = platform.leaf_csp_id is not None
        issuer = authorities.asvk if vlek else authorities.ask
        leaf = issuer.issue(
            "Made-up SEV-VLEK" if vlek else "Made-up SEV-VCEK",
            _leaf_key().public_key(),
            serial=1,
            validity=Validity(platform.leaf_not_before, platform.leaf_not_after),
            extensions=tuple((each, False) for each in leaf_extensions(platform)),
        )
        return leaf, issuer.certificate, authorities.ark.certificate

    def crl(
        self, revoked: Iterable[int] = (), validity: Validity | None = None
    ) -> bytes:
        """The ARK's list of revoked certificates, in DER."""
        return _authorities(self.product).ark.crl(revoked, validity)

    def evidence_of(
        self,
        platform: SimulatedPlatform,
        report_data: bytes = bytes(64),
        crls: Iterable[bytes] = (),
    ) -> Evidence:
        """What a machine shows: report, chain and the lists that come with them."""
        chain = Endorsement(PEM_CHAIN_TYPE, pem(*self.chain(platform)))
        return Evidence(
            media_type=SEV_SNP_REPORT_TYPE,
            evidence=sign(write_report(platform, report_data), _leaf_key()),
            endorsements=(chain, *(Endorsement(CRL_TYPE, crl) for crl in crls)),
        )

    def evidence(
        self, report_data: bytes = bytes(64), /, **changes: object
    ) -> Evidence:
        """What an honest machine shows, but for what is changed."""
        return self.evidence_of(self.platform(**changes), report_data)
