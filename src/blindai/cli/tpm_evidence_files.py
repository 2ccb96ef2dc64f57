"""TPM evidence as other projects write it, into what the verifier reads.

    Azure confidential VMs, JSON (confidential-containers/trustee, az-snp-vtpm and
    az-tdx-vtpm):
        tpm_quote or quote   {message, signature (RSASSA, bare), pcrs: 24 of SHA-256}
        hcl_report or report the paravisor's report
        vcek                 certificate in PEM or DER, optional
        td_quote             of az-tdx only
      byte strings are hexadecimal, base64 or arrays of numbers

    Google's virtual machines, protobuf (google/go-tpm-tools, proto/attest.proto):
        2 quotes {1 quote, 2 signature (TPMT_SIGNATURE), 3 pcrs {1 hash, 2 {1 number,
          2 value}}}, 3 event log, 6 AK certificate, 7 its issuers

Nothing is believed for being read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.cli.encodings import decode
from blindai.cli.protobuf import messages
from blindai.errors import EvidenceError
from blindai.protocol import cbor
from blindai.protocol.attestation import (
    AZURE_SNP_TYPE,
    AZURE_TDX_TYPE,
    PEM_CHAIN_TYPE,
    TPM_QUOTE_TYPE,
    Endorsement,
    Evidence,
)
from blindai.protocol.endorsements import encode_pem, parse_endorsements

if TYPE_CHECKING:
    from collections.abc import Mapping

_RSASSA: Final = 0x0014  # TPM_ALG_ID (TCG Algorithm Registry 1.34, table 3)
_SHA256: Final = 0x000B
_PCR_COUNT: Final = 24
_QUOTES, _EVENT_LOG, _AK_CERTIFICATE, _ISSUERS = 2, 3, 6, 7


def is_azure(fields: object, *, tdx: bool) -> bool:
    """Whether JSON is the evidence of an Azure VM, on TDX or on SEV-SNP."""
    return (
        isinstance(fields, dict)
        and not fields.keys().isdisjoint({"hcl_report", "report"})
        and not fields.keys().isdisjoint({"tpm_quote", "quote"})
        and ("td_quote" in fields) is tdx
    )


def read_azure(fields: Mapping[str, object]) -> Evidence:
    """The evidence of an Azure VM, from trustee's JSON.

    Raises:
        EvidenceError: If a part is missing or malformed.
    """
    quote = fields.get("tpm_quote", fields.get("quote"))
    if not isinstance(quote, dict):
        raise EvidenceError("Azure evidence: expected the object tpm_quote")
    signature = _octets(quote.get("signature"), "signature")
    pcrs = quote.get("pcrs")
    if not isinstance(pcrs, list) or len(pcrs) != _PCR_COUNT:
        raise EvidenceError(f"Azure evidence: expected {_PCR_COUNT} pcrs")
    parts = {
        "quote": _octets(quote.get("message"), "message"),
        "signature": struct.pack(">HHH", _RSASSA, _SHA256, len(signature)) + signature,
        "pcrs": {"sha256": {str(i): _octets(pcr, "pcr") for i, pcr in enumerate(pcrs)}},
        "hcl_report": _octets(fields.get("hcl_report", fields.get("report")), "report"),
    }
    tdx = "td_quote" in fields
    if tdx:
        parts["td_quote"] = _octets(fields["td_quote"], "td_quote")
    return Evidence(
        media_type=AZURE_TDX_TYPE if tdx else AZURE_SNP_TYPE,
        evidence=cbor.encode(parts),
        endorsements=_certificates(fields.get("vcek")),
    )


def _certificates(vcek: object) -> tuple[Endorsement, ...]:
    if not vcek:
        return ()
    if isinstance(vcek, str) and "-----BEGIN" in vcek:
        return parse_endorsements(vcek.encode())
    return (_certificate(_octets(vcek, "vcek")),)


def _certificate(der: bytes) -> Endorsement:
    return Endorsement(PEM_CHAIN_TYPE, encode_pem(der))


def _octets(value: object, what: str) -> bytes:
    """A byte string: text in hexadecimal or base64, or an array of numbers.

    Raises:
        EvidenceError: If it is anything else.
    """
    found = None
    if isinstance(value, str):
        found = decode(value.encode())
    elif isinstance(value, list) and all(
        type(each) is int and 0 <= each <= 0xFF for each in value
    ):
        found = bytes(value)
    if not found:
        raise EvidenceError(f"Azure evidence: {what}: expected bytes")
    return found


def is_go_tpm(data: bytes) -> bool:
    """Whether bytes are an attestation of go-tpm-tools with a quote."""
    try:
        return any(number == _QUOTES for number, _ in messages(data))
    except EvidenceError:
        return False


def read_go_tpm(data: bytes) -> Evidence:
    """The evidence of a Google VM, from go-tpm-tools' protobuf: its SHA-256 quote.

    Raises:
        EvidenceError: If it has no such quote, or is malformed.
    """
    fields = list(messages(data))
    quotes = [_quote(value) for number, value in fields if number == _QUOTES]
    found = next((each for each in quotes if each.hash == _SHA256), None)
    if found is None:
        raise EvidenceError("TPM evidence: expected a quote of SHA-256 registers")
    parts = {
        "quote": found.quote,
        "signature": found.signature,
        "pcrs": {"sha256": {str(i): found.pcrs[i] for i in sorted(found.pcrs)}},
    }
    certificates = (v for number, v in fields if number in {_AK_CERTIFICATE, _ISSUERS})
    return Evidence(
        media_type=TPM_QUOTE_TYPE,
        evidence=cbor.encode(parts),
        endorsements=tuple(map(_certificate, certificates)),
        event_log=b"".join(v for number, v in fields if number == _EVENT_LOG),
    )


@dataclass(frozen=True, slots=True)
class _Quote:
    quote: bytes
    signature: bytes
    hash: int
    pcrs: Mapping[int, bytes]


def _quote(data: bytes) -> _Quote:
    fields: dict[int, bytes] = dict(messages(data))
    registers = list(messages(fields.get(3, b""), numbers=True))
    pcrs = dict(_pcr(value) for number, value in registers if number == 2)
    return _Quote(
        quote=fields.get(1, b""),
        signature=fields.get(2, b""),
        hash=next((_number(value) for number, value in registers if number == 1), 0),
        pcrs=pcrs,
    )


def _pcr(data: bytes) -> tuple[int, bytes]:
    fields = dict(messages(data, numbers=True))
    return _number(fields.get(1, b"")), fields.get(2, b"")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
