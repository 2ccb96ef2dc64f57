"""Believing an AMD SEV-SNP report: AMD's procedure, step by step.

Documents: AMD 56860 (SEV-SNP firmware ABI) revision 1.57; AMD 57230 (VCEK certificate
and KDS interface) revision 1.00; AMD 58369 (VLEK certificate) revision 0.10; RFC 5280
(certificates).

The simulated TEE's reports are the same but for their root, so they go the same way;
`simulated` says which roots count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from blindai.verifier import roots
from blindai.verifier.certificates import (
    RSASSA_PSS_SHA384,
    is_signed_by,
    load_p384_key,
    load_rsa_key,
    parse_chain,
)
from blindai.verifier.procedure import unevaluated
from blindai.verifier.result import TOKEN, VerifiedClaims
from blindai.verifier.snp_leaf import parse_leaf
from blindai.verifier.snp_report import SigningKey, parse_report

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.protocol.attestation import Attestation
    from blindai.verifier.certificates import Certificate, Chain
    from blindai.verifier.procedure import Procedure
    from blindai.verifier.roots import Root
    from blindai.verifier.snp_leaf import Leaf
    from blindai.verifier.snp_report import Report

REPORT = "AMD 56860 7.3, ATTESTATION_REPORT"
SIGNATURE = "AMD 56860 10, Digital Signatures"
LEAF = "AMD 57230 3, VCEK certificate"
VLEK = "AMD 58369, VLEK certificate"
CHAIN = "AMD 57230, ARK and ASK certificates"

_ECDSA_P384_SHA384 = 1
_COMPONENT_BYTES = 48
_FIELD_BYTES = 72
# Family, then first and last model, of each processor line (AMD 57230, product names;
# Siena and Bergamo, models A0h to AFh, have Genoa's keys).
_MODELS = {
    "Milan": ((0x19, 0x00, 0x0F),),
    "Genoa": ((0x19, 0x10, 0x1F), (0x19, 0xA0, 0xAF)),
}


def verify(
    attestation: Attestation,
    procedure: Procedure,
    now: datetime,
    *,
    simulated: bool,
) -> VerifiedClaims:
    """Verify an SEV-SNP report.

    1. Report, certificates and AMD's extensions are well formed.
    2. The leaf certificate chains to a pinned root of AMD's; all are valid at `now`.
    3. The leaf's key signed the report.
    4. The leaf belongs to the platform that the report names.
    5. The report agrees with itself.

    Args:
        attestation: What was sent.
        procedure: Where the transcript is written.
        now: For when to verify, with a time zone.
        simulated: Whether the simulated root counts, and only it.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If a step does not hold.
    """
    report = parse_report(attestation.evidence)
    chain = parse_chain(attestation.endorsements)
    leaf = parse_leaf(chain.leaf)
    root = _verify_chain(procedure, chain, now, simulated=simulated)
    _verify_signature(procedure, report, chain.leaf)
    _verify_platform(procedure, report, leaf, root)
    _verify_consistency(procedure, report)
    return VerifiedClaims(claims=report.claims, root=root, token=TOKEN)


def _verify_chain(
    procedure: Procedure, chain: Chain, now: datetime, *, simulated: bool
) -> Root:
    """Step 2. The root's own signature adds nothing to its pinned digest.

    Raises:
        EvidenceError: If an authentic certificate holds no key of the expected kind.
        VerificationError: If the step does not hold.
    """
    root = roots.find(chain.root.digest)
    procedure.require(
        "root certificate",
        holds=root.supported and root.simulated is simulated,
        expected=roots.expected(simulated=simulated),
        actual=f"{root.name} (SHA-256 {root.digest.hex()})",
        source=CHAIN,
    )
    _verify_issued(
        procedure, "intermediate certificate", chain.intermediate, chain.root
    )
    _verify_issued(procedure, "leaf certificate", chain.leaf, chain.intermediate)
    _verify_validity(procedure, "root certificate", chain.root, now)
    _verify_validity(procedure, "intermediate certificate", chain.intermediate, now)
    _verify_validity(procedure, "leaf certificate", chain.leaf, now)
    procedure.note(
        unevaluated(
            "revocation",
            reason="AMD's revocation list is not among the endorsements",
            actual="not known",
            source=CHAIN,
        )
    )
    return root


def _verify_issued(
    procedure: Procedure, what: str, certificate: Certificate, issuer: Certificate
) -> None:
    """One link of the chain; `issuer` is authentic already.

    Raises:
        EvidenceError: If the issuer's key is not RSA of 4096 bits.
        VerificationError: If the link does not hold.
    """
    procedure.require(
        f"{what}: issuer",
        holds=certificate.issuer == issuer.subject and issuer.may_issue,
        expected="the next certificate, which may issue others",
        actual=_issuer(certificate, issuer),
        source="RFC 5280 6.1.3 (a)(4), 6.1.4 (k)(n)",
    )
    known = certificate.algorithm in RSASSA_PSS_SHA384
    procedure.require(
        f"{what}: algorithm",
        holds=known,
        expected="RSASSA-PSS, SHA-384, salt of 48 bytes",
        actual="that" if known else "another",
        source=CHAIN,
    )
    signed = is_signed_by(certificate, load_rsa_key(issuer))
    procedure.require(
        f"{what}: signature",
        holds=signed,
        expected="made by the issuer's key",
        actual="made by it" if signed else "not made by it",
        source="RFC 5280 6.1.3 (a)(1)",
    )
    procedure.require(
        f"{what}: critical extensions",
        holds=not certificate.asks_for_more,
        expected="none but basicConstraints and keyUsage",
        actual="others" if certificate.asks_for_more else "no others",
        source="RFC 5280 4.2",
    )


def _issuer(certificate: Certificate, issuer: Certificate) -> str:
    if certificate.issuer != issuer.subject:
        return "another name"
    return "that" if issuer.may_issue else "one that may not issue"


def _verify_validity(
    procedure: Procedure, what: str, certificate: Certificate, now: datetime
) -> None:
    """Raises VerificationError if `now` is outside the certificate's validity.

    Raises:
        VerificationError: If it is.
    """
    first, last = certificate.not_before, certificate.not_after
    procedure.require(
        f"{what}: validity",
        holds=first <= now <= last,
        expected=f"{first.isoformat()} to {last.isoformat()}",
        actual=now.isoformat(),
        source="RFC 5280 6.1.3 (a)(2)",
    )


def _verify_signature(
    procedure: Procedure, report: Report, certificate: Certificate
) -> None:
    """Step 3. R and S are little-endian, 48 bytes in fields of 72, the rest zero.

    Raises:
        EvidenceError: If the leaf's key is not on P-384.
        VerificationError: If the step does not hold.
    """
    procedure.require(
        "report signature: algorithm",
        holds=report.signature_algorithm == _ECDSA_P384_SHA384,
        expected="ECDSA P-384 with SHA-384 (1)",
        actual=str(report.signature_algorithm),
        source=SIGNATURE,
    )
    r, s = report.signature[:_FIELD_BYTES], report.signature[_FIELD_BYTES:144]
    padding = r[_COMPONENT_BYTES:] + s[_COMPONENT_BYTES:] + report.signature[144:]
    procedure.require(
        "report signature: padding",
        holds=not any(padding),
        expected="zeros",
        actual="other bytes" if any(padding) else "zeros",
        source=SIGNATURE,
    )
    signature = utils.encode_dss_signature(
        int.from_bytes(r, "little"), int.from_bytes(s, "little")
    )
    try:
        load_p384_key(certificate).verify(
            signature, report.signed, ec.ECDSA(hashes.SHA384())
        )
        signed = True
    except InvalidSignature:
        signed = False
    procedure.require(
        "report signature",
        holds=signed,
        expected="made by the leaf certificate's key",
        actual="made by it" if signed else "not made by it",
        source=SIGNATURE,
    )


def _verify_platform(
    procedure: Procedure, report: Report, leaf: Leaf, root: Root
) -> None:
    """Step 4. A VLEK belongs to a cloud provider and names no chip.

    Raises:
        VerificationError: If the step does not hold.
    """
    procedure.require(
        "signing key",
        holds=report.signing_key == leaf.kind,
        expected=f"{leaf.kind.name} ({leaf.kind:d})",
        actual=_signing_key(report.signing_key),
        source=REPORT,
    )
    procedure.require(
        "reported TCB",
        holds=report.reported_tcb == leaf.tcb,
        expected=f"the leaf certificate's, {leaf.tcb.hex()}",
        actual=report.reported_tcb.hex(),
        source=LEAF,
    )
    if leaf.kind is SigningKey.VCEK:
        procedure.require(
            "chip ID",
            holds=report.claims.chip_id == leaf.hwid,
            expected=f"the leaf certificate's, {leaf.hwid.hex()}",
            actual=report.claims.chip_id.hex(),
            source=LEAF,
        )
    else:
        procedure.note(
            unevaluated(
                "chip ID",
                reason=f"a VLEK names no chip, but a provider: {leaf.csp_id}",
                actual=report.claims.chip_id.hex(),
                source=VLEK,
            )
        )
    _verify_product(procedure, report, leaf, root)


def _verify_product(
    procedure: Procedure, report: Report, leaf: Leaf, root: Root
) -> None:
    """The root, the leaf and, from version 3 on, the report name one product.

    Raises:
        VerificationError: If they do not.
    """
    procedure.require(
        "product of the leaf certificate",
        holds=leaf.product == root.product,
        expected=root.product,
        actual=leaf.product,
        source=LEAF,
    )
    if report.cpuid is None:
        procedure.note(
            unevaluated(
                "product of the report",
                reason="a report of version 2 does not name its processor",
                actual="not known",
                source=REPORT,
            )
        )
        return
    family, model, stepping = report.cpuid
    procedure.require(
        "product of the report",
        holds=any(
            family == known and first <= model <= last
            for known, first, last in _MODELS[root.product]
        ),
        expected=root.product,
        actual=f"family {family:02X}h, model {model:02X}h, stepping {stepping:X}h",
        source=REPORT,
    )


def _verify_consistency(procedure: Procedure, report: Report) -> None:
    """Step 5.

    Raises:
        VerificationError: If the step does not hold.
    """
    claims = report.claims
    procedure.require(
        "chip key",
        holds=not report.mask_chip_key,
        expected="in use (MASK_CHIP_KEY 0)",
        actual="masked" if report.mask_chip_key else "in use",
        source=REPORT,
    )
    procedure.require(
        "committed TCB",
        holds=claims.committed_tcb.reaches(claims.tcb),
        expected=f"at least the reported: {claims.tcb}",
        actual=str(claims.committed_tcb),
        source=REPORT,
    )
    procedure.require(
        "current TCB",
        holds=report.current_tcb.reaches(claims.committed_tcb),
        expected=f"at least the committed: {claims.committed_tcb}",
        actual=str(report.current_tcb),
        source=REPORT,
    )
    procedure.require(
        "author key",
        holds=report.author_key_enabled is any(claims.author_key_digest),
        expected="a digest if, and only if, AUTHOR_KEY_EN is set",
        actual=claims.author_key_digest.hex(),
        source=REPORT,
    )


def _signing_key(value: int) -> str:
    names = {member.value: member.name for member in SigningKey}
    return f"{names.get(value, 'reserved')} ({value})"
