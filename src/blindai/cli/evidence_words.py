"""What evidence says, decoded and not believed: one reader for each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.protocol.attestation import (
    AZURE_SNP_TYPE,
    AZURE_TDX_TYPE,
    NITRO_DOCUMENT_TYPE,
    NVIDIA_GPU_TYPE,
    SEV_SNP_REPORT_TYPE,
    SGX_QUOTE_TYPE,
    SIMULATED_SEV_SNP_REPORT_TYPE,
    TDX_QUOTE_TYPE,
    TPM_QUOTE_TYPE,
)
from blindai.protocol.tpm import (
    parse_azure_snp_evidence,
    parse_azure_tdx_evidence,
    parse_tpm_evidence,
)
from blindai.verifier.intel.quote import parse_quote
from blindai.verifier.nitro.document import parse_document
from blindai.verifier.nvidia.evidence import parse_evidence
from blindai.verifier.nvidia.opaque import parse_opaque
from blindai.verifier.nvidia.spdm import parse_exchange
from blindai.verifier.snp.report import parse_report
from blindai.verifier.tpm.hcl import parse_hcl_report, parse_runtime_claims
from blindai.verifier.tpm.quote import parse_quote as parse_tpm_quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed import DataclassInstance

    from blindai.protocol.attestation import Evidence
    from blindai.protocol.tpm import Pcrs, TpmEvidence
    from blindai.verifier.nvidia.evidence import GpuEvidence
    from blindai.verifier.nvidia.opaque import OpaqueData
    from blindai.verifier.tpm.claims import AzureConfiguration
    from blindai.verifier.tpm.quote import Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmSaid:
    """What a TPM's evidence says.

    Attributes:
        quote: What the TPM signed.
        pcrs: The registers that it signed a digest of.
    """

    quote: Quote
    pcrs: Pcrs


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureSaid:
    """What the evidence of an Azure VM says.

    Attributes:
        hardware: The processor's report, or the quote of it.
        configuration: What the paravisor says about the virtual machine.
        tpm: What the vTPM in the paravisor says.
    """

    hardware: DataclassInstance
    configuration: AzureConfiguration
    tpm: TpmSaid


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSaid:
    """What one GPU's evidence says.

    Attributes:
        nonce: What it was asked with, 32 bytes.
        opaque: What NVIDIA adds.
        measurements: What was measured, 48 bytes each, by index, from 1.
    """

    nonce: bytes
    opaque: OpaqueData
    measurements: Mapping[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpusSaid:
    """What the evidence of GPUs says.

    Attributes:
        gpu: Each of them, from 0.
    """

    gpu: Mapping[int, GpuSaid]


def decode_evidence(evidence: Evidence) -> DataclassInstance:
    """What the hardware wrote, cut into fields.

    Raises:
        EvidenceError: If it is malformed.
    """
    return _READERS[evidence.media_type](evidence.evidence)


def _nitro(data: bytes) -> DataclassInstance:
    return parse_document(data).document


def _tpm(sent: TpmEvidence) -> TpmSaid:
    return TpmSaid(quote=parse_tpm_quote(sent.quote), pcrs=sent.pcrs)


def _azure(sent: TpmEvidence) -> AzureSaid:
    hcl = parse_hcl_report(sent.hcl_report)
    if sent.td_quote:
        hardware: DataclassInstance = parse_quote(sent.td_quote)
    else:
        hardware = parse_report(hcl.payload)
    configuration = parse_runtime_claims(hcl.claims).configuration
    return AzureSaid(hardware=hardware, configuration=configuration, tpm=_tpm(sent))


def _gpus(data: bytes) -> GpusSaid:
    return GpusSaid(gpu=dict(enumerate(map(_gpu, parse_evidence(data)))))


def _gpu(evidence: GpuEvidence) -> GpuSaid:
    exchange = parse_exchange(evidence.exchange)
    return GpuSaid(
        nonce=exchange.nonce,
        opaque=parse_opaque(exchange.opaque),
        measurements=exchange.blocks,
    )


_READERS: Final[Mapping[str, Callable[[bytes], DataclassInstance]]] = {
    SEV_SNP_REPORT_TYPE: parse_report,
    SIMULATED_SEV_SNP_REPORT_TYPE: parse_report,
    SGX_QUOTE_TYPE: parse_quote,
    TDX_QUOTE_TYPE: parse_quote,
    NITRO_DOCUMENT_TYPE: _nitro,
    TPM_QUOTE_TYPE: lambda data: _tpm(parse_tpm_evidence(data)),
    AZURE_SNP_TYPE: lambda data: _azure(parse_azure_snp_evidence(data)),
    AZURE_TDX_TYPE: lambda data: _azure(parse_azure_tdx_evidence(data)),
    NVIDIA_GPU_TYPE: _gpus,
}
