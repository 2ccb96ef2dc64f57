"""Believing an SGX or TDX quote: Intel's procedure, step by step.

Documents: Intel SGX DCAP ECDSA Quote Library API; Intel TDX DCAP Quoting Library API;
Intel SGX PCK Certificate and CRL Profile 1.5; Intel SGX and TDX Provisioning
Certification Service API, version 4; Intel Software Developer's Manual, volume 3D;
Intel TDX Module ABI specification (348551).

The root may come with the quote or the collateral, but counts only by its pinned
digest. All of Intel's endorsements are needed: without lists of revoked certificates
or without TCB information there is no verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindai.errors import EvidenceError
from blindai.verifier.claims import Claims
from blindai.verifier.endorsed import gather
from blindai.verifier.intel import attributes, authority, signing
from blindai.verifier.intel.claims import SGX, TDX, SgxClaims, TdxClaims
from blindai.verifier.intel.collateral import parse_collateral
from blindai.verifier.intel.enclave_report import EnclaveReport
from blindai.verifier.intel.event_log import verify_event_log
from blindai.verifier.intel.pck import parse_platform
from blindai.verifier.intel.qe_identity import SGX_QE, TDX_QE
from blindai.verifier.intel.quote import parse_quote
from blindai.verifier.intel.second_opinion import Question, seek
from blindai.verifier.intel.tcb import verify_tcb
from blindai.verifier.intel.td_report import TdReport
from blindai.verifier.result import TOKEN, VerifiedClaims

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.protocol.attestation import Evidence
    from blindai.verifier.intel.claims import PlatformClaims
    from blindai.verifier.intel.quote import Quote
    from blindai.verifier.procedure import Procedure
    from blindai.verifier.roots import Anchors


def verify_sgx(
    evidence: Evidence, procedure: Procedure, now: datetime, anchors: Anchors
) -> VerifiedClaims:
    """Verify the quote of an SGX enclave: the steps of `_verify`, and two more.

    6. The enclave has no attribute that is not known.
    7. Another verifier says the same.

    Args:
        evidence: What was sent.
        procedure: Where the transcript is written.
        now: For when to verify, with a time zone.
        anchors: The roots that count.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If a step does not hold.
    """
    quote = parse_quote(evidence.evidence)
    report = quote.body
    if not isinstance(report, EnclaveReport):
        raise EvidenceError("quote: expected an SGX enclave's, got a trust domain's")
    question, platform = _verify(quote, evidence, procedure, now, anchors)
    attributes.verify_enclave_attributes(procedure, report)
    seek(procedure, question)
    claims = Claims(
        tee=SGX,
        measurement=report.mr_enclave,
        report_data=report.report_data,
        debug=attributes.enclave_debug(report),
        details=_sgx_claims(report, platform),
    )
    return VerifiedClaims(claims=claims, root=question.authority.root, token=TOKEN)


def verify_tdx(
    evidence: Evidence, procedure: Procedure, now: datetime, anchors: Anchors
) -> VerifiedClaims:
    """Verify the quote of a TDX trust domain: the steps of `_verify`, and three more.

    6. The trust domain has no attribute that is not known.
    7. Its event log, if there is one, replays to its registers.
    8. Another verifier says the same.

    Args:
        evidence: What was sent.
        procedure: Where the transcript is written.
        now: For when to verify, with a time zone.
        anchors: The roots that count.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If a step does not hold.
    """
    quote = parse_quote(evidence.evidence)
    report = quote.body
    if not isinstance(report, TdReport):
        raise EvidenceError("quote: expected a trust domain's, got an SGX enclave's")
    question, platform = _verify(quote, evidence, procedure, now, anchors)
    attributes.verify_td_attributes(procedure, report)
    verify_event_log(procedure, evidence.event_log, report)
    seek(procedure, question)
    claims = Claims(
        tee=TDX,
        measurement=report.mr_td,
        report_data=report.report_data,
        debug=attributes.td_debug(report),
        details=_tdx_claims(report, platform),
    )
    return VerifiedClaims(claims=claims, root=question.authority.root, token=TOKEN)


def _verify(
    quote: Quote,
    evidence: Evidence,
    procedure: Procedure,
    now: datetime,
    anchors: Anchors,
) -> tuple[Question, PlatformClaims]:
    """What SGX and TDX have in common.

    1. Quote, collateral and Intel's extension of the PCK certificate are well formed.
    2. The PCK certificate chains to a root that counts, and is not revoked.
    3. TCB information and QE identity are signed by Intel, and current.
    4. The PCK's key signed the report of Intel's quoting enclave, which names the
       attestation key, which signed the quote.
    5. The platform, its quoting enclave and its TDX module each reach a level of
       security that Intel lists.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If a step does not hold.
    """
    collateral = parse_collateral(gather(evidence.endorsements).intel_collateral)
    platform = parse_platform(quote.certificates[0])
    trust = authority.trust_in_intel(collateral, now, anchors)
    above = authority.verify_platform_certificate(procedure, quote, collateral, trust)
    info = authority.verify_tcb_info(procedure, collateral, above, trust)
    identity = authority.verify_qe_identity(procedure, collateral, above, trust)
    kind = TDX_QE if isinstance(quote.body, TdReport) else SGX_QE
    signing.verify_quoting_enclave(procedure, quote, identity, kind)
    signing.verify_quote_signature(procedure, quote)
    found, by_rule = verify_tcb(procedure, quote, platform, info, identity)
    question = Question(
        quote=quote,
        collateral=collateral,
        info=info,
        authority=above,
        standing=by_rule,
        now=now,
    )
    return question, found


def _sgx_claims(report: EnclaveReport, platform: PlatformClaims) -> SgxClaims:
    return SgxClaims(
        mr_enclave=report.mr_enclave,
        mr_signer=report.mr_signer,
        isv_prod_id=report.isv_prod_id,
        isv_svn=report.isv_svn,
        isv_ext_prod_id=report.isv_ext_prod_id,
        isv_family_id=report.isv_family_id,
        attributes=report.attributes,
        misc_select=report.misc_select,
        config_id=report.config_id,
        config_svn=report.config_svn,
        platform=platform,
    )


def _tdx_claims(report: TdReport, platform: PlatformClaims) -> TdxClaims:
    return TdxClaims(
        mr_td=report.mr_td,
        rtmr=report.rtmr,
        td_attributes=report.td_attributes,
        xfam=report.xfam,
        mr_config_id=report.mr_config_id,
        mr_owner=report.mr_owner,
        mr_owner_config=report.mr_owner_config,
        mr_seam=report.mr_seam,
        mr_signer_seam=report.mr_signer_seam,
        tee_tcb_svn=report.tee_tcb_svn,
        tee_tcb_svn2=report.tee_tcb_svn2,
        mr_service_td=report.mr_service_td,
        platform=platform,
    )
