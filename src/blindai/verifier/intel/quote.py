"""The DCAP quote of SGX and TDX, versions 3, 4 and 5: cut into its parts.

Intel SGX DCAP ECDSA Quote Library API, A.4 (version 3); Intel TDX DCAP Quoting Library
API, A.3 (version 4) and A.4 (version 5). All numbers little-endian.

    header 48              version 3           versions 4 and 5
      version u16            signature data      signature data
      attestation key type     u32 size            u32 size
        u16: 2, ECDSA P-256    signature 64        signature 64
      TEE type u32:            key 64              key 64
        0 SGX, 81h TDX         QE data             u16 type 6, u32 size
      security versions 4                          QE data
      QE vendor 16
      user data 20           QE data
    version 5 only:            QE report 384           u16 size, authentication data
      body type u16            signature of it 64      u16 type 5, u32 size,
      body size u32                                      certificates in PEM
    body
      version 3: SGX enclave report 384
      version 4: TD report 1.0, 584
      version 5: the same, type 2, or TD report 1.5, 648, type 3

The signature covers all that stands before the signature data. Sizes within the
signature data are exact. What follows it, up to the limit, is padding that some
platforms leave there: it is cut off unread, and means nothing. So one quote has many
encodings, and the digest of one must never name it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.verifier.certificates import parse_pem
from blindai.verifier.intel.enclave_report import (
    ENCLAVE_REPORT_BYTES,
    EnclaveReport,
    parse_enclave_report,
)
from blindai.verifier.intel.td_report import (
    TD_REPORT_10_BYTES,
    TD_REPORT_15_BYTES,
    TdReport,
    parse_td_report,
)
from blindai.verifier.reader import Reader

if TYPE_CHECKING:
    from blindai.verifier.certificates import Certificate

MAX_QUOTE_BYTES: Final = 16 * 1024
VERSIONS: Final = (3, 4, 5)
INTEL_QE_VENDOR: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")

_USER_DATA_BYTES: Final = 20
_ECDSA_P256: Final = 2
_SGX: Final = 0x00
_TDX: Final = 0x81
_SGX_VERSION: Final = 3
_TD_REPORTS: Final = "a TD report, type 2 of 584 bytes or type 3 of 648"
_BODIES: Final = {2: TD_REPORT_10_BYTES, 3: TD_REPORT_15_BYTES}
_QE_REPORT_DATA: Final = 6
_PCK_CHAIN: Final = 5
_KEY_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A quote, cut into its parts but not believed.

    Attributes:
        encoding: The quote without what follows it.
        version: 3, 4 or 5.
        body: What it is about.
        signed: The bytes under the signature: header and body.
        signature: R and S, 64 bytes.
        attestation_key: X and Y of the key that made it, 64 bytes.
        qe_report: The report of the enclave that has this key.
        qe_report_signature: R and S of the platform's signature over it, 64 bytes.
        qe_authentication_data: What that enclave bound beside the key.
        certificates: The platform's, and those above it; the platform's first.
    """

    encoding: bytes = field(repr=False)
    version: int
    body: EnclaveReport | TdReport
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    attestation_key: bytes = field(repr=False)
    qe_report: EnclaveReport
    qe_report_signature: bytes = field(repr=False)
    qe_authentication_data: bytes = field(repr=False)
    certificates: tuple[Certificate, ...]


def parse_quote(data: bytes) -> Quote:
    """Cut a quote into its parts.

    Raises:
        EvidenceError: If it is longer than 16 KiB, of another version or kind, not
            made by Intel's quoting enclave, or not made of exactly these parts.
    """
    if len(data) > MAX_QUOTE_BYTES:
        raise EvidenceError(
            f"quote: expected at most {MAX_QUOTE_BYTES} bytes, got {len(data)}"
        )
    reader = Reader(data, "quote", "little")
    version, tee = _parse_header(reader)
    body = reader.take(_body_size(reader, version, tee))
    signed = data[: reader.offset]
    rest = Reader(reader.sized(4, MAX_QUOTE_BYTES), "signature data", "little")
    signature = rest.take(_KEY_BYTES)
    key = rest.take(_KEY_BYTES)
    if version > 3:
        content = _certification_data(rest, _QE_REPORT_DATA)
        rest = Reader(content, "QE report data", "little")
    qe_report = rest.take(ENCLAVE_REPORT_BYTES)
    qe_report_signature = rest.take(_KEY_BYTES)
    authentication_data = rest.sized(2, MAX_QUOTE_BYTES)
    pem = _certification_data(rest, _PCK_CHAIN)
    return Quote(
        encoding=data[: reader.offset],
        version=version,
        body=_parse_body(body, tee),
        signed=signed,
        signature=signature,
        attestation_key=key,
        qe_report=parse_enclave_report(qe_report, "QE report"),
        qe_report_signature=qe_report_signature,
        qe_authentication_data=authentication_data,
        certificates=parse_pem(pem.removesuffix(b"\x00")),
    )


def _certification_data(reader: Reader, expected: int) -> bytes:
    """What is certified, after its type (u16) and size (u32), and nothing after it.

    Raises:
        EvidenceError: If it is of another type, or not all that is left.
    """
    kind = reader.number(2)
    if kind != expected:
        raise EvidenceError(f"certification data: expected type {expected}, got {kind}")
    content = reader.sized(4, MAX_QUOTE_BYTES)
    reader.end()
    return content


def _parse_header(reader: Reader) -> tuple[int, int]:
    """Version and TEE type.

    Raises:
        EvidenceError: If it is the header of something else.
    """
    version = reader.number(2)
    if version not in VERSIONS:
        raise EvidenceError(f"quote version: expected 3, 4 or 5, got {version}")
    key_type = reader.number(2)
    if key_type != _ECDSA_P256:
        raise EvidenceError(
            f"attestation key type: expected {_ECDSA_P256} (ECDSA P-256),"
            f" got {key_type}"
        )
    tee = reader.number(4)
    reader.take(4)
    vendor = reader.take(len(INTEL_QE_VENDOR))
    if vendor != INTEL_QE_VENDOR:
        raise EvidenceError(
            f"QE vendor: expected Intel's, {INTEL_QE_VENDOR.hex()}, got {vendor.hex()}"
        )
    reader.take(_USER_DATA_BYTES)
    return version, tee


def _body_size(reader: Reader, version: int, tee: int) -> int:
    """How long the body is; in version 5 it says so itself.

    Raises:
        EvidenceError: If this version has no such body.
    """
    if (tee == _SGX) is not (version == _SGX_VERSION) or tee not in {_SGX, _TDX}:
        raise EvidenceError(
            "quote TEE type: expected SGX in version 3, TDX in versions 4 and 5"
        )
    if version < 5:
        return TD_REPORT_10_BYTES if tee == _TDX else ENCLAVE_REPORT_BYTES
    kind, size = reader.number(2), reader.number(4)
    if _BODIES.get(kind) != size:
        raise EvidenceError(
            f"quote body: expected {_TD_REPORTS}, got type {kind} of {size} bytes"
        )
    return size


def _parse_body(body: bytes, tee: int) -> EnclaveReport | TdReport:
    if tee == _SGX:
        return parse_enclave_report(body, "SGX enclave report")
    return parse_td_report(body)
