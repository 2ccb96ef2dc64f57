"""Who speaks for Intel: the platform's certificate, and statements about it.

Documents: Intel SGX PCK Certificate and Certificate Revocation List Profile
Specification, revision 1.5; Intel SGX and TDX Provisioning Certification Service API,
version 4. The tree has three kinds of branches, told apart by the names in it:

    Intel SGX Root CA
      Intel SGX PCK Platform CA or Intel SGX PCK Processor CA
        Intel SGX PCK Certificate      has the key that signs quoting enclaves' reports
      Intel SGX TCB Signing            has the key that signs statements
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from blindai.verifier import chains, roots
from blindai.verifier.certificates import common_name
from blindai.verifier.intel.qe_identity import parse_qe_identity
from blindai.verifier.intel.tcb_info import parse_tcb_info
from blindai.verifier.signatures import Algorithm, ecdsa_verifies, load_ecdsa_key

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.verifier.certificates import Certificate
    from blindai.verifier.intel.collateral import Collateral, SignedText
    from blindai.verifier.intel.qe_identity import QeIdentity
    from blindai.verifier.intel.quote import Quote
    from blindai.verifier.intel.tcb_info import TcbInfo
    from blindai.verifier.procedure import Procedure
    from blindai.verifier.roots import Anchors, Root

PROFILE: Final = "Intel SGX PCK Certificate and CRL Profile 1.5"
TCB_INFO: Final = "Intel PCS API v4, Get TCB Info"
QE_IDENTITY: Final = "Intel PCS API v4, Get Quoting Enclave Identity"
PCK: Final = "Intel SGX PCK Certificate"
PCK_AUTHORITIES: Final = ("Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA")
TCB_SIGNING: Final = "Intel SGX TCB Signing"


@dataclass(frozen=True, slots=True)
class Authority:
    """A root that was found to stand above a platform.

    Attributes:
        root: Which of those that count.
        certificate: Its certificate.
    """

    root: Root
    certificate: Certificate


def verify_platform_certificate(
    procedure: Procedure, quote: Quote, collateral: Collateral, trust: chains.Trust
) -> Authority:
    """Believe the platform's certificate.

    1. It leads to a root that counts; nothing on the way is expired or revoked.
    2. It is a platform's, by its name and its issuer's.
    3. Both lists of revoked certificates are there: the issuer's and the root's.

    Raises:
        EvidenceError: If an authentic certificate holds no key that is known here.
        VerificationError: If a step does not hold.
    """
    leaf = quote.certificates[0]
    pool = (*quote.certificates, *collateral.certificates)
    root = chains.verify(procedure, leaf, pool, replace(trust, chain="PCK"))
    certificate = next(each for each in pool if each.digest == root.digest)
    issuer = common_name(leaf.issuer)
    procedure.require(
        "PCK leaf certificate: role",
        holds=leaf.name == PCK and issuer in PCK_AUTHORITIES,
        expected=f"{PCK} of {' or '.join(PCK_AUTHORITIES)}",
        actual=f"{leaf.name} of {issuer}",
        source=f"{PROFILE}, certificates",
    )
    lists = [collateral.root_ca_crl.issuer, collateral.pck_crl.issuer]
    procedure.require(
        "revocation lists",
        holds=lists == [certificate.subject, leaf.issuer],
        expected=f"those of {certificate.name} and of {issuer}",
        actual=f"of {' and of '.join(map(common_name, lists))}",
        source=f"{PROFILE}, CRLs",
    )
    return Authority(root, certificate)


def verify_tcb_info(
    procedure: Procedure,
    collateral: Collateral,
    authority: Authority,
    trust: chains.Trust,
) -> TcbInfo:
    """Believe what Intel says of the kind of platform; only then is it read.

    Raises:
        EvidenceError: If it is authentic, but malformed.
        VerificationError: If it is not Intel's, or not current.
    """
    signed = collateral.tcb_info
    trust = replace(trust, chain="TCB signing")
    _verify_signer(procedure, signed, authority, trust)
    _verify_text(procedure, "TCB info", signed, TCB_INFO)
    info = parse_tcb_info(signed.text)
    dates = (info.issue_date, info.next_update)
    _verify_dates(procedure, "TCB info", dates, trust.now, TCB_INFO)
    return info


def verify_qe_identity(
    procedure: Procedure,
    collateral: Collateral,
    authority: Authority,
    trust: chains.Trust,
) -> QeIdentity:
    """Believe what Intel says of its quoting enclave; only then is it read.

    Raises:
        EvidenceError: If it is authentic, but malformed.
        VerificationError: If it is not Intel's, or not current.
    """
    signed = collateral.qe_identity
    if signed.signer.encoding != collateral.tcb_info.signer.encoding:
        trust = replace(trust, chain="QE identity signing")
        _verify_signer(procedure, signed, authority, trust)
    _verify_text(procedure, "QE identity", signed, QE_IDENTITY)
    identity = parse_qe_identity(signed.text)
    dates = (identity.issue_date, identity.next_update)
    _verify_dates(procedure, "QE identity", dates, trust.now, QE_IDENTITY)
    return identity


def trust_in_intel(
    collateral: Collateral, now: datetime, anchors: Anchors
) -> chains.Trust:
    """What Intel's certificates are held against."""
    return chains.Trust(
        now=now,
        anchors=anchors,
        vendor=roots.INTEL,
        source=PROFILE,
        algorithms=frozenset({Algorithm.ECDSA_SHA256}),
        crls=collateral.crls,
    )


def _verify_signer(
    procedure: Procedure, signed: SignedText, authority: Authority, trust: chains.Trust
) -> None:
    """A statement's signer is one who signs statements, directly below the same root.

    Raises:
        EvidenceError: If an authentic certificate holds no key that is known here.
        VerificationError: If it is not.
    """
    signer = signed.signer
    pool = (*signed.chain, authority.certificate)
    chains.verify(procedure, signer, pool, trust)
    root = authority.certificate
    procedure.require(
        trust.named("leaf certificate: role"),
        holds=signer.name == TCB_SIGNING and signer.issuer == root.subject,
        expected=f"{TCB_SIGNING} of {root.name}",
        actual=f"{signer.name} of {common_name(signer.issuer)}",
        source=f"{PROFILE}, certificates",
    )


def _verify_text(
    procedure: Procedure, what: str, signed: SignedText, source: str
) -> None:
    """Raises VerificationError if a statement is not its signer's.

    Raises:
        EvidenceError: If the signer's key is not on P-256.
        VerificationError: If it is not.
    """
    key = load_ecdsa_key(signed.signer.spki, ec.SECP256R1)
    text = signed.text.encode()
    holds = ecdsa_verifies(Algorithm.ECDSA_SHA256, key, signed.signature, text)
    procedure.require(
        f"{what}: signature",
        holds=holds,
        expected="made by the signer's key",
        actual="made by it" if holds else "not made by it",
        source=source,
    )


def _verify_dates(
    procedure: Procedure,
    what: str,
    dates: tuple[datetime, datetime],
    now: datetime,
    source: str,
) -> None:
    first, last = dates
    procedure.require_current(
        f"{what}: validity", first=first, last=last, now=now, source=source
    )
