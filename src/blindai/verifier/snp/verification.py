"""Believing an AMD SEV-SNP report: AMD's procedure, step by step.

Documents: AMD 56860 (SEV-SNP firmware ABI) revision 1.57; AMD 57230 (VCEK certificate
and KDS interface) revision 1.00; AMD 58369 (VLEK certificate) revision 0.10; RFC 5280
(certificates).

The simulated TEE's reports are the same but for their root, so they go the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, utils

from blindai.errors import EvidenceError
from blindai.verifier import chains, roots
from blindai.verifier.claims import Claims
from blindai.verifier.endorsed import gather
from blindai.verifier.procedure import unevaluated
from blindai.verifier.result import TOKEN, VerifiedClaims
from blindai.verifier.signatures import Algorithm, load_ecdsa_key, verifies
from blindai.verifier.snp.leaf import is_leaf, parse_leaf
from blindai.verifier.snp.report import SigningKey, parse_report

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.protocol.attestation import Evidence
    from blindai.verifier.certificates import Certificate
    from blindai.verifier.endorsed import Endorsements
    from blindai.verifier.procedure import Procedure
    from blindai.verifier.roots import Anchors, Root
    from blindai.verifier.snp.leaf import Leaf
    from blindai.verifier.snp.report import Report

TEE = "sev-snp"
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
    evidence: Evidence, procedure: Procedure, now: datetime, anchors: Anchors
) -> VerifiedClaims:
    """Verify an SEV-SNP report.

    1. Report, certificates and AMD's extensions are well formed.
    2. The leaf certificate chains to a pinned root of AMD's; all are valid at `now`.
    3. The leaf's key signed the report.
    4. The leaf belongs to the platform that the report names.
    5. The report agrees with itself.

    Args:
        evidence: What was sent.
        procedure: Where the transcript is written.
        now: For when to verify, with a time zone.
        anchors: The roots that count.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If a step does not hold.
    """
    report = parse_report(evidence.evidence)
    endorsements = gather(evidence.endorsements)
    certificate = _leaf_certificate(endorsements)
    leaf = parse_leaf(certificate)
    trust = chains.Trust(
        now=now,
        anchors=anchors,
        vendor=roots.AMD,
        source=CHAIN,
        algorithms=frozenset({Algorithm.RSASSA_PSS_SHA384}),
        crls=endorsements.crls,
        unlisted=1,  # a leaf ends with its TCB; all leaves have the serial number 0
    )
    root = chains.verify(procedure, certificate, endorsements.certificates, trust)
    _verify_signature(procedure, report, certificate)
    _verify_platform(procedure, report, leaf, root)
    _verify_consistency(procedure, report)
    claims = Claims(
        tee=TEE,
        measurement=report.measurement,
        report_data=report.report_data,
        debug=report.claims.guest_policy.debug,
        details=report.claims,
    )
    return VerifiedClaims(claims=claims, root=root, token=TOKEN)


def _leaf_certificate(endorsements: Endorsements) -> Certificate:
    """The one VCEK or VLEK; nothing is believed for that.

    Raises:
        EvidenceError: If there is none, or more than one.
    """
    leaves = [each for each in endorsements.certificates if is_leaf(each)]
    if len(leaves) != 1:
        raise EvidenceError(
            f"endorsements: expected one VCEK or VLEK certificate, got {len(leaves)}"
        )
    return leaves[0]


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
    key = load_ecdsa_key(certificate.spki, ec.SECP384R1)
    signed = verifies(Algorithm.ECDSA_SHA384, key, signature, report.signed)
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
