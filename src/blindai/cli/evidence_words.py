"""What evidence says, decoded and not believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.cli.evidence_files import tee_of
from blindai.errors import ConfigurationError
from blindai.protocol.attestation import (
    NITRO_DOCUMENT_TYPE,
    SEV_SNP_REPORT_TYPE,
    SIMULATED_SEV_SNP_REPORT_TYPE,
)
from blindai.verifier.nitro.document import parse_document
from blindai.verifier.snp.report import parse_report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed import DataclassInstance

    from blindai.protocol.attestation import Evidence

# How evidence is cut into fields: a line for each kind.
_READERS: Final[Mapping[str, Callable[[Evidence], DataclassInstance]]] = {
    SEV_SNP_REPORT_TYPE: lambda evidence: parse_report(evidence.evidence),
    SIMULATED_SEV_SNP_REPORT_TYPE: lambda evidence: parse_report(evidence.evidence),
    NITRO_DOCUMENT_TYPE: lambda evidence: parse_document(evidence.evidence).document,
}


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
