"""How a TPM's evidence travels: deterministic CBOR, one map (RFC 8949, 4.2.1).

    application/vnd.blindai.tpm-quote+cbor    a TPM whose key a certificate vouches for
      quote      TPMS_ATTEST as the TPM signed it
      signature  TPMT_SIGNATURE
      pcrs       {"sha256": {"0": digest, ...}, ...}: exactly the registers quoted

    application/vnd.blindai.azure-snp+cbor    the vTPM of an Azure confidential VM
      quote, signature, pcrs
      hcl_report the paravisor's report, from NV index 01400001h

    application/vnd.blindai.azure-tdx+cbor
      quote, signature, pcrs, hcl_report
      td_quote   the quote that Intel's enclave made of the report inside `hcl_report`

There is no key in it: the key that must have signed is the one in the AK certificate,
an endorsement, or the one that the hardware report vouches for. The attester writes
this and the verifier reads it; both do so here. Nothing is believed for being read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from blindai.errors import EvidenceError, ProtocolError
from blindai.protocol import cbor

Pcrs = Mapping[str, Mapping[int, bytes]]
"""Register values: by the bank's algorithm, then by number."""

# TPM_ALG_ID (TCG Algorithm Registry 1.34, table 3), and the sizes of digests.
HASHES: Final = MappingProxyType(
    {0x0004: "sha1", 0x000B: "sha256", 0x000C: "sha384", 0x000D: "sha512"}
)
HASH_NUMBERS: Final = MappingProxyType({name: each for each, name in HASHES.items()})
HASH_BYTES: Final = MappingProxyType(
    {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
)
RSASSA: Final = 0x0014
ECDSA: Final = 0x0018
PCR_COUNT: Final = 24
MAX_QUOTE_BYTES: Final = 1024
MAX_SIGNATURE_BYTES: Final = 1024
MAX_HCL_REPORT_BYTES: Final = 8 * 1024
MAX_TD_QUOTE_BYTES: Final = 32 * 1024

_INDICES: Final = MappingProxyType({str(each): each for each in range(PCR_COUNT)})
_COMMON: Final = ("quote", "signature", "pcrs")


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmEvidence:
    """What a TPM signed, and the registers that it signed a digest of.

    Attributes:
        quote: TPMS_ATTEST, at most 1 KiB.
        signature: TPMT_SIGNATURE, at most 1 KiB.
        pcrs: The registers that are quoted.
        hcl_report: The report of Azure's paravisor, at most 8 KiB; empty elsewhere.
        td_quote: The TD quote of the report inside, at most 32 KiB; empty unless the
            VM is a TD.
    """

    quote: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    pcrs: Pcrs = field(repr=False)
    hcl_report: bytes = field(default=b"", repr=False)
    td_quote: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """The map; what is empty is left out."""
        pcrs = {
            bank: {str(index): digest for index, digest in values.items()}
            for bank, values in self.pcrs.items()
        }
        fields = {"quote": self.quote, "signature": self.signature, "pcrs": pcrs}
        for name in ("hcl_report", "td_quote"):
            if getattr(self, name):
                fields[name] = getattr(self, name)
        return cbor.encode(fields)


def parse_tpm_evidence(data: bytes) -> TpmEvidence:
    """Take apart what a TPM with an AK certificate sent.

    Raises:
        EvidenceError: If the bytes are not that, or pass a limit.
    """
    return _parse(data, ())


def parse_azure_snp_evidence(data: bytes) -> TpmEvidence:
    """Take apart what an Azure VM on SEV-SNP sent.

    Raises:
        EvidenceError: If the bytes are not that, or pass a limit.
    """
    return _parse(data, ("hcl_report",))


def parse_azure_tdx_evidence(data: bytes) -> TpmEvidence:
    """Take apart what an Azure VM on TDX sent.

    Raises:
        EvidenceError: If the bytes are not that, or pass a limit.
    """
    return _parse(data, ("hcl_report", "td_quote"))


def _parse(data: bytes, more: tuple[str, ...]) -> TpmEvidence:
    try:
        fields = cbor.decode(data)
    except ProtocolError as error:
        raise EvidenceError(f"TPM evidence: {error.message}") from error
    keys = {*_COMMON, *more}
    if not isinstance(fields, Mapping) or fields.keys() != keys:
        raise EvidenceError(
            f"TPM evidence: expected a map of {', '.join(sorted(keys))}"
        )
    return TpmEvidence(
        quote=_limited(fields, "quote", MAX_QUOTE_BYTES),
        signature=_limited(fields, "signature", MAX_SIGNATURE_BYTES),
        pcrs=_pcrs(fields["pcrs"]),
        hcl_report=_limited(fields, "hcl_report", MAX_HCL_REPORT_BYTES),
        td_quote=_limited(fields, "td_quote", MAX_TD_QUOTE_BYTES),
    )


def _limited(fields: Mapping[object, object], key: str, limit: int) -> bytes:
    value = fields.get(key, b"")
    if not isinstance(value, bytes) or len(value) > limit:
        raise EvidenceError(f"{key}: expected at most {limit} bytes")
    return value


def _pcrs(value: object) -> Pcrs:
    if not isinstance(value, Mapping) or not value.keys() <= HASH_BYTES.keys():
        raise EvidenceError(f"pcrs: expected banks of {', '.join(HASH_BYTES)}")
    return MappingProxyType(
        {bank: _bank(bank, digests) for bank, digests in value.items()}
    )


def _bank(bank: str, value: object) -> Mapping[int, bytes]:
    if not isinstance(value, Mapping) or not value.keys() <= _INDICES.keys():
        raise EvidenceError(f"pcrs: expected registers 0 to {PCR_COUNT - 1}")
    for digest in value.values():
        if not isinstance(digest, bytes) or len(digest) != HASH_BYTES[bank]:
            raise EvidenceError(f"pcrs: expected digests of {HASH_BYTES[bank]} bytes")
    return MappingProxyType(
        {_INDICES[index]: digest for index, digest in value.items()}
    )
