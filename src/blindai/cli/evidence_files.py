"""Evidence as it lies in files, into what the verifier reads.

    read_evidence(data, tee=TeeName.SNP, endorsements=(...), event_log=b"")

What the hardware gives is taken raw, or as text in hexadecimal or base64; so are the
JSON documents and protobufs of other projects, and an attestation as blindai serves it.
Each kind is told by its first bytes or its length; nothing is believed for that.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from blindai.cli.encodings import decode, decode_json, describe
from blindai.cli.legacy_proof import is_proof
from blindai.cli.tee_names import TeeName
from blindai.cli.tpm_evidence_files import is_azure, is_go_tpm, read_azure, read_go_tpm
from blindai.errors import EvidenceError, ProtocolError
from blindai.protocol import cbor
from blindai.protocol.attestation import (
    AZURE_SNP_TYPE,
    AZURE_TDX_TYPE,
    MAX_ATTESTATION_BYTES,
    MAX_EVENT_LOG_BYTES,
    NITRO_DOCUMENT_TYPE,
    NVIDIA_GPU_TYPE,
    PEM_CHAIN_TYPE,
    SEV_SNP_REPORT_TYPE,
    SGX_QUOTE_TYPE,
    SIMULATED_SEV_SNP_REPORT_TYPE,
    TDX_QUOTE_TYPE,
    TPM_QUOTE_TYPE,
    Evidence,
    parse_attestation,
)
from blindai.protocol.endorsements import certificates, encode_pem
from blindai.verifier.certificates import parse_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from blindai.protocol.attestation import Endorsement

MAX_FILE_BYTES: Final = 4 * MAX_ATTESTATION_BYTES  # arrays of numbers in JSON are long
_SNP_REPORT_BYTES: Final = 1184
_COSE_ES384: Final = bytes.fromhex("8444a1013822")
_COSE_TAG: Final = b"\xd2"
_GET_MEASUREMENTS: Final = b"\x11\xe0"  # SPDM 1.1
_SPDM_NONCE: Final = slice(4, 36)
_TRUSTEE: Final = "Azure's evidence in trustee's JSON"
_SGX, _TDX = bytes(4), bytes.fromhex("81000000")


@dataclass(frozen=True, slots=True)
class _Kind:
    """One format.

    Attributes:
        tee: What it is evidence of.
        words: What to call it.
        fits: Whether bytes look like it.
        read: Puts such bytes into what the verifier reads.
    """

    tee: TeeName
    words: str
    fits: Callable[[bytes], bool]
    read: Callable[[bytes], Evidence]


def _as(media_type: str) -> Callable[[bytes], Evidence]:
    return lambda data: Evidence(media_type=media_type, evidence=data)


def _quote(versions: tuple[int, ...], tee_type: bytes) -> Callable[[bytes], bool]:
    """Whether bytes are a quote: version, key type, TEE type (little-endian)."""
    heads = {version.to_bytes(2, "little") for version in versions}
    return lambda data: (
        data[:2] in heads and (data[:2] == b"\x03\x00" or data[4:8] == tee_type)
    )


def _tpm_map(*more: str) -> Callable[[bytes], bool]:
    """Whether bytes are a map as blindai makes it, with these members too."""

    def fits(data: bytes) -> bool:
        try:
            fields = cbor.decode(data)
        except ProtocolError:
            return False
        return isinstance(fields, dict) and fields.keys() == {
            "quote", "signature", "pcrs", *more
        }  # fmt: skip

    return fits


def _azure(*, tdx: bool) -> Callable[[bytes], bool]:
    return lambda data: is_azure(decode_json(data), tdx=tdx)


def _read_azure(data: bytes) -> Evidence:
    fields = decode_json(data)
    assert isinstance(fields, dict)  # noqa: S101  it fitted
    return read_azure(fields)


def _is_gpu_array(data: bytes) -> bool:
    found = decode_json(data)
    return isinstance(found, list) and any(
        isinstance(each, dict) and "evidence" in each for each in found
    )


def _read_exchange(data: bytes) -> Evidence:
    """One SPDM exchange, as NVIDIA's array; its chain comes with the endorsements."""
    gpu = {
        "nonce": data[_SPDM_NONCE].hex(),
        "evidence": base64.b64encode(data).decode("ascii"),
    }
    array = json.dumps([gpu]).encode()
    return Evidence(media_type=NVIDIA_GPU_TYPE, evidence=array)


_KINDS: Final = (
    _Kind(
        TeeName.SNP,
        f"an SEV-SNP report of {_SNP_REPORT_BYTES} bytes",
        lambda data: len(data) == _SNP_REPORT_BYTES,
        _as(SEV_SNP_REPORT_TYPE),
    ),
    _Kind(TeeName.SGX, "an SGX quote", _quote((3, 4), _SGX), _as(SGX_QUOTE_TYPE)),
    _Kind(TeeName.TDX, "a TDX quote", _quote((4, 5), _TDX), _as(TDX_QUOTE_TYPE)),
    _Kind(
        TeeName.NITRO,
        "a Nitro attestation document (COSE_Sign1, ES384)",
        lambda data: data.removeprefix(_COSE_TAG).startswith(_COSE_ES384),
        _as(NITRO_DOCUMENT_TYPE),
    ),
    _Kind(TeeName.TPM, "a TPM quote (CBOR map)", _tpm_map(), _as(TPM_QUOTE_TYPE)),
    _Kind(
        TeeName.AZURE_SNP,
        "Azure's evidence on SEV-SNP (CBOR map)",
        _tpm_map("hcl_report"),
        _as(AZURE_SNP_TYPE),
    ),
    _Kind(
        TeeName.AZURE_TDX,
        "Azure's evidence on TDX (CBOR map)",
        _tpm_map("hcl_report", "td_quote"),
        _as(AZURE_TDX_TYPE),
    ),
    _Kind(
        TeeName.AZURE_SNP,
        _TRUSTEE,
        _azure(tdx=False),
        _read_azure,
    ),
    _Kind(
        TeeName.AZURE_TDX,
        _TRUSTEE,
        _azure(tdx=True),
        _read_azure,
    ),
    _Kind(TeeName.GPU, "NVIDIA's JSON array", _is_gpu_array, _as(NVIDIA_GPU_TYPE)),
    _Kind(
        TeeName.GPU,
        "an SPDM exchange of GET_MEASUREMENTS",
        lambda data: data.startswith(_GET_MEASUREMENTS),
        _read_exchange,
    ),
    _Kind(TeeName.TPM, "go-tpm-tools' protobuf", is_go_tpm, read_go_tpm),
)
_TEES: Final = {
    SEV_SNP_REPORT_TYPE: TeeName.SNP,
    SIMULATED_SEV_SNP_REPORT_TYPE: TeeName.SNP,
    SGX_QUOTE_TYPE: TeeName.SGX,
    TDX_QUOTE_TYPE: TeeName.TDX,
    NITRO_DOCUMENT_TYPE: TeeName.NITRO,
    TPM_QUOTE_TYPE: TeeName.TPM,
    AZURE_SNP_TYPE: TeeName.AZURE_SNP,
    AZURE_TDX_TYPE: TeeName.AZURE_TDX,
    NVIDIA_GPU_TYPE: TeeName.GPU,
}


def tee_of(media_type: str) -> TeeName | None:
    """What evidence of a media type is called here; None if it is no TEE's."""
    return _TEES.get(media_type)


def read_evidence(
    data: bytes,
    *,
    tee: TeeName | None = None,
    endorsements: tuple[Endorsement, ...] = (),
    event_log: bytes = b"",
) -> Evidence:
    """Evidence from the contents of a file.

    Args:
        data: The contents.
        tee: What it has to be evidence of; None for whatever it looks like.
        endorsements: What vendors say about it, beside what comes with it.
        event_log: What was measured after launch, if it lies in a file of its own.

    Raises:
        EvidenceError: If it is not what is expected.
    """
    if len(data) > MAX_FILE_BYTES or len(event_log) > MAX_EVENT_LOG_BYTES:
        raise EvidenceError(
            f"evidence file: expected at most {MAX_FILE_BYTES} bytes, and"
            f" {MAX_EVENT_LOG_BYTES} of event log, got {len(data)} and {len(event_log)}"
        )
    found = _recognise(data, tee)
    evidence = replace(
        found,
        endorsements=tuple(dict.fromkeys((*found.endorsements, *endorsements))),
        event_log=event_log or found.event_log,
    )
    return _with_gpu_chain(evidence)


def _recognise(data: bytes, tee: TeeName | None) -> Evidence:
    """What a file holds, by how it looks.

    Raises:
        EvidenceError: If it looks like nothing that is known, or like another TEE's.
    """
    others: list[TeeName] = []
    for kind, _, read in _readings(data):
        if tee in {None, kind}:
            return read()
        others.append(kind)
    expected = dict.fromkeys(each.words for each in _KINDS if tee in {None, each.tee})
    hint = f"; it looks like --tee {others[0]}" if others else ""
    raise EvidenceError(
        f"evidence file: expected {', '.join(expected)}, raw or in hexadecimal or"
        f" base64, got {describe(data)}{hint}"
    )


def name_evidence(data: bytes) -> str | None:
    """What evidence to call it that a file looks like; None if it is like none."""
    return next((words for _, words, _ in _readings(data)), None)


_Reading = tuple[TeeName, str, "Callable[[], Evidence]"]


def _readings(data: bytes) -> Iterator[_Reading]:
    """What a file looks like, the likeliest first, with its name and how to read it."""
    for content in (data, decode(data)):
        if content and not is_proof(content):
            yield from _readings_of(content)


def _readings_of(content: bytes) -> list[_Reading]:
    try:
        served = parse_attestation(content).evidence
    except EvidenceError:
        kinds = (kind for kind in _KINDS if kind.fits(content))
        return [(kind.tee, kind.words, partial(kind.read, content)) for kind in kinds]
    name = tee_of(served.media_type)
    return [] if name is None else [(name, "an attestation", lambda: served)]


def _with_gpu_chain(evidence: Evidence) -> Evidence:
    """The evidence; certificates of a single GPU's exchange go into its array.

    Raises:
        EvidenceError: If an exchange came without certificates.
    """
    gpus = decode_json(evidence.evidence)
    if evidence.media_type != NVIDIA_GPU_TYPE or not isinstance(gpus, list):
        return evidence
    if all(isinstance(gpu, dict) and "certificate" in gpu for gpu in gpus):
        return evidence
    chain = _leaf_first(
        b"".join(
            each.content
            for each in evidence.endorsements
            if each.media_type == PEM_CHAIN_TYPE
        )
    )
    if not chain:
        raise EvidenceError(
            "GPU evidence: expected its certificate chain with --endorsements, got none"
        )
    text = base64.b64encode(chain).decode("ascii")
    array = json.dumps(
        [{"certificate": text, **gpu} if isinstance(gpu, dict) else gpu for gpu in gpus]
    ).encode()
    return replace(evidence, evidence=array, endorsements=())


def _leaf_first(pem: bytes) -> bytes:
    """Certificates in any order, turned so that the one that issued no other is first.

    Raises:
        EvidenceError: If one is malformed.
    """
    found = {each: parse_certificate(each) for each in certificates(pem)}
    issuers = {each.issuer for each in found.values()}
    ordered = sorted(found, key=lambda der: found[der].subject in issuers)
    return b"".join(map(encode_pem, ordered))
