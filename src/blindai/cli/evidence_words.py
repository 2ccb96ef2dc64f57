"""What evidence and endorsements say, decoded and not believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.cli.encodings import decode_json
from blindai.cli.evidence_files import tee_of
from blindai.errors import ConfigurationError, EvidenceError
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    SEV_SNP_REPORT_TYPE,
    SIMULATED_SEV_SNP_REPORT_TYPE,
)
from blindai.verifier.certificates import common_name, parse_pem
from blindai.verifier.crl import parse_crl
from blindai.verifier.snp.report import parse_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from _typeshed import DataclassInstance

    from blindai.protocol.attestation import Endorsement, Evidence

# How evidence is cut into fields: a line for each kind.
_READERS: Final[Mapping[str, Callable[[Evidence], DataclassInstance]]] = {
    SEV_SNP_REPORT_TYPE: lambda evidence: parse_report(evidence.evidence),
    SIMULATED_SEV_SNP_REPORT_TYPE: lambda evidence: parse_report(evidence.evidence),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSaid:
    """What a certificate says of itself.

    Attributes:
        subject: Whose it is.
        issuer: Who signed it, as it says.
        serial: Its number.
        not_before: First second at which it counts.
        not_after: Last second at which it counts.
        sha256: Its digest.
    """

    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlSaid:
    """What a list of revoked certificates says.

    Attributes:
        issuer: Who signed it, as it says.
        this_update: When it was made.
        next_update: Last second at which it counts.
        revoked: How many certificates it lists.
    """

    issuer: str
    this_update: datetime
    next_update: datetime
    revoked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralSaid:
    """What Intel's statements in a collateral say of themselves.

    Attributes:
        statement: Which.
        fmspc: The kind of platform that it is about; empty where it is about none.
        version: Of its format.
        issue_date: When it was made.
        next_update: When the next is due.
        tcb_evaluation_data_number: The round of Intel's evaluation.
    """

    statement: str
    fmspc: str
    version: str
    issue_date: str
    next_update: str
    tcb_evaluation_data_number: str


def decode_evidence(evidence: Evidence) -> DataclassInstance:
    """What the hardware wrote, cut into fields.

    Raises:
        ConfigurationError: If this release cannot decode it.
        EvidenceError: If it is malformed.
    """
    reader = _READERS.get(evidence.media_type)
    if reader is None:
        raise ConfigurationError(
            f"evidence: this release does not decode {tee_of(evidence.media_type)}"
        )
    return reader(evidence)


def decode_endorsement(
    endorsement: Endorsement,
) -> Iterator[tuple[str, DataclassInstance]]:
    """What a vendor wrote, cut into fields, each part with its name.

    Raises:
        EvidenceError: If it is malformed.
    """
    if endorsement.media_type == CRL_TYPE:
        crl = parse_crl(endorsement.content)
        said = CrlSaid(
            issuer=common_name(crl.issuer),
            this_update=crl.this_update,
            next_update=crl.next_update,
            revoked=len(crl.revoked),
        )
        yield "list of revoked certificates", said
    elif endorsement.media_type == INTEL_COLLATERAL_TYPE:
        for collateral in _collateral(endorsement.content):
            yield "Intel's collateral", collateral
    else:
        for each in parse_pem(endorsement.content):
            certificate = CertificateSaid(
                subject=each.name,
                issuer=common_name(each.issuer),
                serial=f"{each.serial:x}",
                not_before=each.not_before,
                not_after=each.not_after,
                sha256=each.digest,
            )
            yield "certificate", certificate


def _collateral(content: bytes) -> Iterator[CollateralSaid]:
    fields = decode_json(content)
    if not isinstance(fields, dict):
        raise EvidenceError("Intel collateral: expected a JSON object")
    for name in ("tcb_info", "qe_identity"):
        said = decode_json(str(fields.get(name, "")).encode())
        if not isinstance(said, dict):
            raise EvidenceError(f"Intel collateral: {name}: expected a JSON object")
        yield CollateralSaid(
            statement=f"{name} ({said.get('id', 'SGX')})",
            fmspc=str(said.get("fmspc", "")),
            version=str(said.get("version", "")),
            issue_date=str(said.get("issueDate", "")),
            next_update=str(said.get("nextUpdate", "")),
            tcb_evaluation_data_number=str(said.get("tcbEvaluationDataNumber", "")),
        )
