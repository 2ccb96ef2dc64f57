"""Endorsements as they lie in files: certificates, lists of revoked ones, collateral.

    certificates    DER, or PEM with one or several
    CRLs            DER or PEM
    Intel's         JSON as a PCCS serves it, with `tcb_info`, `qe_identity` and more

DER may also be written in hexadecimal or base64. Nothing is believed for being read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.cli.encodings import decode, decode_json, describe, pem, pem_blocks
from blindai.errors import EvidenceError
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    MAX_ENDORSEMENT_BYTES,
    MAX_ENDORSEMENTS,
    PEM_CHAIN_TYPE,
    Endorsement,
)
from blindai.verifier.certificates import parse_certificate
from blindai.verifier.crl import parse_crl

if TYPE_CHECKING:
    from collections.abc import Iterable

EXPECTED: Final = (
    "certificates (DER or PEM), a CRL (DER or PEM) or Intel's collateral (JSON)"
)
COLLATERAL_KEYS: Final = frozenset({"tcb_info", "tcb_info_signature", "qe_identity"})
_CERTIFICATE: Final = "CERTIFICATE"
_CRL: Final = "X509 CRL"


def read_endorsements(files: Iterable[bytes]) -> tuple[Endorsement, ...]:
    """What vendors say, from the contents of files, in any order.

    Raises:
        EvidenceError: If a file is none of what is expected, or there are too many.
    """
    found = tuple(each for data in files for each in _read(data))
    if len(found) > MAX_ENDORSEMENTS:
        raise EvidenceError(
            f"endorsements: expected at most {MAX_ENDORSEMENTS}, got {len(found)}"
        )
    return found


def certificate_endorsement(der: bytes) -> Endorsement:
    """One certificate in DER, as it travels."""
    return Endorsement(PEM_CHAIN_TYPE, pem(_CERTIFICATE, der))


def _read(data: bytes) -> tuple[Endorsement, ...]:
    if len(data) > MAX_ENDORSEMENT_BYTES:
        raise EvidenceError(
            f"endorsement: expected at most {MAX_ENDORSEMENT_BYTES} bytes,"
            f" got {len(data)}"
        )
    if blocks := pem_blocks(data):
        return _from_pem(blocks)
    fields = decode_json(data)
    if isinstance(fields, dict) and fields.keys() >= COLLATERAL_KEYS:
        return (Endorsement(INTEL_COLLATERAL_TYPE, data),)
    for content in (data, decode(data)):
        if content and (found := _from_der(content)):
            return (found,)
    raise EvidenceError(f"endorsement: expected {EXPECTED}, got {describe(data)}")


def _from_pem(blocks: tuple[tuple[str, bytes], ...]) -> tuple[Endorsement, ...]:
    """All certificates as one chain, and each list on its own.

    Raises:
        EvidenceError: If there is anything else, such as a private key.
    """
    others = {label for label, _ in blocks} - {_CERTIFICATE, _CRL}
    if others:
        raise EvidenceError(
            f"endorsement: expected {EXPECTED}, got PEM of {', '.join(sorted(others))}"
        )
    chain = b"".join(pem(label, der) for label, der in blocks if label == _CERTIFICATE)
    lists = (Endorsement(CRL_TYPE, der) for label, der in blocks if label == _CRL)
    certificates = (Endorsement(PEM_CHAIN_TYPE, chain),) if chain else ()
    return (*certificates, *lists)


def _from_der(content: bytes) -> Endorsement | None:
    try:
        parse_certificate(content)
    except EvidenceError:
        try:
            parse_crl(content)
        except EvidenceError:
            return None
        return Endorsement(CRL_TYPE, content)
    return certificate_endorsement(content)
