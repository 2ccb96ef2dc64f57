"""What another verifier says of the same quote: `dcap-qvl`, written by others.

It is asked last, about what our own procedure has found authentic, with the same root
and the same time. If it sees anything else, it is not known which of us is wrong, so
the quote is refused. Where it refuses by a rule of its own what a policy may reasonably
accept, it is not asked, and the transcript names the rule.

Its errors are ValueErrors with texts; here, and nowhere else, they become a line.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.verifier.intel.attributes import (
    MIGRATABLE,
    SEPT_VE_DISABLE,
    enclave_debug,
    td_debug,
)
from blindai.verifier.intel.enclave_report import EnclaveReport
from blindai.verifier.procedure import unevaluated

if TYPE_CHECKING:
    from datetime import datetime
    from types import ModuleType

    from blindai.verifier.intel.authority import Authority
    from blindai.verifier.intel.collateral import Collateral
    from blindai.verifier.intel.quote import Quote
    from blindai.verifier.intel.standing import Standing
    from blindai.verifier.intel.tcb_info import TcbInfo
    from blindai.verifier.procedure import Procedure

NAME: Final = "second opinion: dcap-qvl"
SOURCE: Final = "blindai design: second opinion on DCAP quotes"
_MAX_CHARACTERS: Final = 200
_REFUSES: Final = "dcap-qvl refuses, whatever a policy says,"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was found authentic.

    Attributes:
        quote: The quote.
        collateral: Intel's endorsements of its platform.
        info: Intel's levels, read.
        authority: The root above them.
        standing: What we found of the platform by Intel's rule.
        now: For when to verify.
    """

    quote: Quote
    collateral: Collateral
    info: TcbInfo
    authority: Authority
    standing: Standing
    now: datetime


def seek(procedure: Procedure, question: Question) -> None:
    """Ask the other verifier, and compare status and advisories.

    Raises:
        VerificationError: If it sees anything else.
    """
    ours = question.standing
    expected = _words(ours.status, ours.advisory_ids)
    library, reason = _library(), _rule(question)
    if library is None or reason:
        procedure.note(
            unevaluated(
                NAME,
                reason=reason or "the package dcap-qvl is not installed",
                actual=expected,
                source=SOURCE,
            )
        )
        return
    actual = _ask(library, question)
    procedure.require(
        NAME, holds=actual == expected, expected=expected, actual=actual, source=SOURCE
    )


def _library() -> ModuleType | None:
    """The other verifier; there is none for every platform. Loaded when first asked."""
    try:
        return importlib.import_module("dcap_qvl")
    except ImportError:
        return None


def _rule(question: Question) -> str:
    """The rule by which it refuses such a quote whatever a policy says; empty if none.

    These were found by asking version 0.7.0; the tests hold it to them.
    """
    body = question.quote.body
    if question.info.version == 2:
        return "dcap-qvl reads no TCB info of version 2"
    if isinstance(body, EnclaveReport):
        return f"{_REFUSES} an enclave in debug mode" if enclave_debug(body) else ""
    for holds, what in (
        (td_debug(body), "a trust domain in debug mode"),
        (not body.td_attributes & SEPT_VE_DISABLE, "one without SEPT_VE_DISABLE"),
        (bool(body.td_attributes & MIGRATABLE), "one that is migratable"),
        (any(body.mr_service_td), "one with a service trust domain"),
    ):
        if holds:
            return f"{_REFUSES} {what}"
    return ""


def _ask(library: ModuleType, question: Question) -> str:
    collateral = question.collateral
    try:
        report = library.verify_with_root_ca(
            question.quote.encoding,
            library.QuoteCollateralV3(
                pck_crl_issuer_chain=collateral.pck_crl_chain_pem,
                root_ca_crl=collateral.root_ca_crl_der,
                pck_crl=collateral.pck_crl_der,
                tcb_info_issuer_chain=collateral.tcb_info.chain_pem,
                tcb_info=collateral.tcb_info.text,
                tcb_info_signature=collateral.tcb_info.signature,
                qe_identity_issuer_chain=collateral.qe_identity.chain_pem,
                qe_identity=collateral.qe_identity.text,
                qe_identity_signature=collateral.qe_identity.signature,
            ),
            question.authority.certificate.encoding,
            int(question.now.timestamp()),
        )
    except ValueError as error:
        return f"refused: {ascii(str(error))[1:-1][:_MAX_CHARACTERS]}"
    return _words(report.status, tuple(sorted(report.advisory_ids)))


def _words(status: str, advisory_ids: tuple[str, ...]) -> str:
    return f"{status}, {', '.join(advisory_ids) or 'no advisory'}"
