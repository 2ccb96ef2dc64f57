"""A made-up Intel: SGX and TDX quotes, and Intel's endorsements, with any field set.

    intel = Intel()
    evidence = intel.evidence(TrustDomain(), report_data)

    replace(intel, revoked_by_authority=(PCK_SERIAL,))     an attack is one argument

Its root is in no release policy; one that names `intel.root_digest` in its
`insecure_roots` believes it. `replace` keeps the keys, so only what is named changes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from blindai.protocol.attestation import (
    INTEL_COLLATERAL_TYPE,
    SGX_QUOTE_TYPE,
    TDX_QUOTE_TYPE,
    Endorsement,
    Evidence,
)
from blindai.testing.vendors import intel_parts
from blindai.testing.vendors.intel_parts import (
    SGX,
    TDX,
    Enclave,
    Header,
    Json,
    Platform,
    QuoteParts,
    TrustDomain,
)
from blindai.testing.vendors.pki import (
    Authority,
    Validity,
    digest_of,
    p256,
    pem,
    raw_signature,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["Enclave", "Intel", "Keys", "Platform", "TrustDomain"]

ROOT: Final = "Intel SGX Root CA"
PLATFORM_AUTHORITY: Final = "Intel SGX PCK Platform CA"
PROCESSOR_AUTHORITY: Final = "Intel SGX PCK Processor CA"
TCB_SIGNING: Final = "Intel SGX TCB Signing"
PCK: Final = "Intel SGX PCK Certificate"
AUTHORITY_SERIAL: Final = 2
PCK_SERIAL: Final = 3
TCB_SIGNING_SERIAL: Final = 4
ISSUED: Final = datetime(2026, 5, 20, tzinfo=UTC)
NEXT_UPDATE: Final = datetime(2026, 6, 19, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Keys:
    """All private keys of a made-up Intel and of one of its platforms."""

    root: ec.EllipticCurvePrivateKey = field(default_factory=p256)
    authority: ec.EllipticCurvePrivateKey = field(default_factory=p256)
    tcb_signing: ec.EllipticCurvePrivateKey = field(default_factory=p256)
    pck: ec.EllipticCurvePrivateKey = field(default_factory=p256)
    attestation: ec.EllipticCurvePrivateKey = field(default_factory=p256)


def _root() -> Authority:
    return Authority.root(ROOT, p256())


def _unchanged(statement: Json) -> Json:
    return statement


@dataclass(frozen=True, kw_only=True)
class Intel:
    """Intel, one of its platforms, and what Intel says of that; all made up.

    Attributes:
        root: Above everything.
        keys: All private keys below the root.
        authority_name: What the issuer of platforms' certificates is called.
        pck_name: What a platform's certificate is called.
        tcb_signing_name: What the signer of statements is called.
        pck_validity: When the platform's certificate counts.
        tcb_signing_validity: When the certificate of statements' signer counts.
        root_list: When the root's list of revoked certificates counts.
        authority_list: When the list of the platforms' authority counts.
        revoked_by_root: Serial numbers in the root's list.
        revoked_by_authority: Serial numbers in the list of the platforms' authority.
        platform: What the platform's certificate says.
        qe: The quoting enclave; None for the one that Intel describes.
        change_tcb_info: Makes another statement about the platform.
        change_qe_identity: Makes another statement about the quoting enclave.
        statements: When the statements count.
    """

    root: Authority = field(default_factory=_root)
    keys: Keys = field(default_factory=Keys)
    authority_name: str = PLATFORM_AUTHORITY
    pck_name: str = PCK
    tcb_signing_name: str = TCB_SIGNING
    pck_validity: Validity = field(default_factory=Validity)
    tcb_signing_validity: Validity = field(default_factory=Validity)
    root_list: Validity = field(default_factory=Validity)
    authority_list: Validity = field(default_factory=Validity)
    revoked_by_root: tuple[int, ...] = ()
    revoked_by_authority: tuple[int, ...] = ()
    platform: Platform = field(default_factory=Platform)
    qe: Enclave | None = None
    change_tcb_info: Callable[[Json], Json] = _unchanged
    change_qe_identity: Callable[[Json], Json] = _unchanged
    statements: Validity = field(default_factory=lambda: Validity(ISSUED, NEXT_UPDATE))

    @property
    def root_digest(self) -> bytes:
        """SHA-256 of the root certificate, 32 bytes, as a policy names it."""
        return digest_of(self.root.certificate)

    @cached_property
    def authority(self) -> Authority:
        """The issuer of platforms' certificates."""
        return self.root.authority(
            self.authority_name,
            self.keys.authority,
            serial=AUTHORITY_SERIAL,
            path_length=0,
        )

    @cached_property
    def pck(self) -> x509.Certificate:
        """The platform's certificate."""
        return self.authority.issue(
            self.pck_name,
            self.keys.pck.public_key(),
            serial=PCK_SERIAL,
            validity=self.pck_validity,
            extensions=(
                (x509.BasicConstraints(ca=False, path_length=None), True),
                (self.platform.extension(), False),
            ),
        )

    @cached_property
    def tcb_signing(self) -> x509.Certificate:
        """The certificate of who signs statements."""
        return self.root.issue(
            self.tcb_signing_name,
            self.keys.tcb_signing.public_key(),
            serial=TCB_SIGNING_SERIAL,
            validity=self.tcb_signing_validity,
        )

    def quote_parts(
        self, body: Enclave | TrustDomain, report_data: bytes, version: int
    ) -> QuoteParts:
        """A quote about an enclave or a trust domain, in its parts."""
        tee = SGX if isinstance(body, Enclave) else TDX
        encoded = body.encode(report_data)
        signed = Header(version=version, tee=tee).encode(encoded) + encoded
        key, authentication_data = _point(self.keys.attestation), bytes(range(32))
        qe = self.qe or intel_parts.quoting_enclave(tee)
        bound = hashlib.sha256(key + authentication_data).digest() + bytes(32)
        qe_report = qe.encode(bound)
        chain = pem(self.pck, self.authority.certificate, self.root.certificate)
        return QuoteParts(
            version=version,
            signed=signed,
            signature=sign(self.keys.attestation, signed),
            attestation_key=key,
            qe_report=qe_report,
            qe_report_signature=sign(self.keys.pck, qe_report),
            authentication_data=authentication_data,
            certificates=chain + b"\x00",
        )

    def quote(
        self,
        body: Enclave | TrustDomain,
        report_data: bytes = bytes(64),
        version: int | None = None,
    ) -> bytes:
        """A quote: version 3 for SGX, 5 for TDX 1.5 and 4 for TDX 1.0, if not given."""
        if version is None and isinstance(body, Enclave):
            version = 3
        elif version is None:
            version = 5 if body.newer else 4  # type: ignore[union-attr]  # no enclave
        return self.quote_parts(body, report_data, version).encode()

    def collateral(self, tee: int) -> dict[str, str]:
        """Intel's endorsements of the platform for a kind of TEE, in a PCCS's shape."""
        first, last = (
            f"{each:%Y-%m-%dT%H:%M:%SZ}"
            for each in (self.statements.first, self.statements.last)
        )
        info = intel_parts.tcb_info(tee, self.platform.fmspc, first, last)
        identity = intel_parts.qe_identity(tee, first, last)
        signers = pem(self.tcb_signing, self.root.certificate).decode()
        issuers = pem(self.authority.certificate, self.root.certificate).decode()
        root_crl = self.root.crl(self.revoked_by_root, self.root_list)
        pck_crl = self.authority.crl(self.revoked_by_authority, self.authority_list)
        return {
            "pck_crl_issuer_chain": issuers,
            "root_ca_crl": root_crl.hex(),
            "pck_crl": pck_crl.hex(),
            "tcb_info_issuer_chain": signers,
            **self._signed("tcb_info", self.change_tcb_info(info)),
            "qe_identity_issuer_chain": signers,
            **self._signed("qe_identity", self.change_qe_identity(identity)),
        }

    def evidence(
        self, body: Enclave | TrustDomain, report_data: bytes = bytes(64)
    ) -> Evidence:
        """A quote with Intel's endorsements."""
        tee = SGX if isinstance(body, Enclave) else TDX
        return evidence_of(tee, self.quote(body, report_data), self.collateral(tee))

    def _signed(self, key: str, statement: Json) -> dict[str, str]:
        text = json.dumps(statement, separators=(",", ":"))
        signature = sign(self.keys.tcb_signing, text.encode())
        return {key: text, f"{key}_signature": signature.hex()}


def evidence_of(
    tee: int, quote: bytes, collateral: dict[str, str], event_log: bytes = b""
) -> Evidence:
    """Evidence with these parts."""
    content = json.dumps(collateral).encode()
    return Evidence(
        media_type=TDX_QUOTE_TYPE if tee == TDX else SGX_QUOTE_TYPE,
        evidence=quote,
        endorsements=(Endorsement(INTEL_COLLATERAL_TYPE, content),),
        event_log=event_log,
    )


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """An ECDSA signature as Intel writes it: R and S, of the key's size each."""
    return raw_signature(key, data, hashes.SHA256())


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """X and Y of the public key."""
    public = key.public_key()
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
