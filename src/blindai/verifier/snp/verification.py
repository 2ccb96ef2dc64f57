"""Believing an AMD SEV-SNP report: AMD's procedure, step by step.

Documents: AMD 56860 (SEV-SNP firmware ABI) revision 1.58; AMD 57230 (VCEK certificate
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
from blindai.verifier.snp.claims import SigningKey, SnpClaims
from blindai.verifier.snp.leaf import is_leaf, parse_leaf
from blindai.verifier.snp.report import parse_report

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
CHAIN = "AMD 57230, ARK and ASK certificates; AMD 58369, ASVK certificate"

_ECDSA_P384_SHA384 = 1
_COMPONENT_BYTES = 48
_FIELD_BYTES = 72
_CHIP_ID_BYTES = 64


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
    _verify_consistency(procedure, report, leaf)
    claims = Claims(
        tee=TEE,
        measurement=report.measurement,
        report_data=report.report_data,
        debug=report.guest_policy.debug,
        details=_details(report, leaf),
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
            holds=report.chip_id == leaf.hwid.ljust(_CHIP_ID_BYTES, b"\x00"),
            expected=f"the leaf certificate's, {leaf.hwid.hex()}",
            actual=report.chip_id.hex(),
            source=LEAF,
        )
    else:
        procedure.note(
            unevaluated(
                "chip ID",
                reason=f"a VLEK names no chip, but a provider: {leaf.csp_id}",
                actual=report.chip_id.hex(),
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
        holds=leaf.product.name == root.product,
        expected=root.product,
        actual=leaf.product.name,
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
        holds=leaf.product.has(report.cpuid),
        expected=leaf.product.name,
        actual=f"family {family:02X}h, model {model:02X}h, stepping {stepping:X}h",
        source=REPORT,
    )


def _verify_consistency(procedure: Procedure, report: Report, leaf: Leaf) -> None:
    """Step 5. MASK_CHIP_KEY keeps the firmware from signing with the chip's key.

    Raises:
        VerificationError: If the step does not hold.
    """
    procedure.require(
        "chip key",
        holds=leaf.kind is SigningKey.VLEK or not report.mask_chip_key,
        expected="in use (MASK_CHIP_KEY 0), or a VLEK instead",
        actual="masked" if report.mask_chip_key else "in use",
        source=REPORT,
    )
    reported, committed, current = (
        leaf.product.tcb(levels)
        for levels in (report.reported_tcb, report.committed_tcb, report.current_tcb)
    )
    procedure.require(
        "committed TCB",
        holds=committed.reaches(reported),
        expected=f"at least the reported: {reported}",
        actual=str(committed),
        source=REPORT,
    )
    procedure.require(
        "current TCB",
        holds=current.reaches(committed),
        expected=f"at least the committed: {committed}",
        actual=str(current),
        source=REPORT,
    )
    procedure.require(
        "author key",
        holds=report.author_key_enabled is any(report.author_key_digest),
        expected="a digest if, and only if, AUTHOR_KEY_EN is set",
        actual=report.author_key_digest.hex(),
        source=REPORT,
    )


def _details(report: Report, leaf: Leaf) -> SnpClaims:
    """What the report says, its TCBs read as the leaf's processor line has them."""
    tcb = leaf.product.tcb
    return SnpClaims(
        version=report.version,
        vmpl=report.vmpl,
        guest_policy=report.guest_policy,
        guest_svn=report.guest_svn,
        family_id=report.family_id,
        image_id=report.image_id,
        host_data=report.host_data,
        id_key_digest=report.id_key_digest,
        author_key_digest=report.author_key_digest,
        report_id=report.report_id,
        report_id_ma=report.report_id_ma,
        signing_key=leaf.kind,
        csp_id=leaf.csp_id,
        chip_id=report.chip_id,
        platform=report.platform,
        tcb=tcb(report.reported_tcb),
        current_tcb=tcb(report.current_tcb),
        committed_tcb=tcb(report.committed_tcb),
        launch_tcb=tcb(report.launch_tcb),
        current_version=report.current_version,
        committed_version=report.committed_version,
        launch_mitigations=report.launch_mitigations,
        current_mitigations=report.current_mitigations,
    )


def _signing_key(value: int) -> str:
    names = {member.value: member.name for member in SigningKey}
    return f"{names.get(value, 'reserved')} ({value})"
