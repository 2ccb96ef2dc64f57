"""The host's table of certificates that comes with an SEV-SNP report.

SEV-ES Guest-Hypervisor Communication Block Standardization (AMD 56421, revision 2.03),
4.1.8.1, MSG_REPORT_REQ. Entries of 24 bytes, integers little-endian, up to one that is
all zero; certificates lie after them:

    name    size
    GUID      16   what it is; bytes in the order of its text (RFC 9562, 4)
    offset     4   from the start of the table
    length     4

The host writes it, so nothing in it is believed here: it is cut into endorsements under
limits, and the verifier judges them.
"""

from __future__ import annotations

import base64
import struct
import textwrap
from typing import TYPE_CHECKING, Final
from uuid import UUID

from blindai.errors import EvidenceError
from blindai.protocol.attestation import CRL_TYPE, PEM_CHAIN_TYPE, Endorsement

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ENTRIES: Final = 16
MAX_CERTIFICATE_BYTES: Final = 1 << 14

VCEK: Final = UUID("63da758d-e664-4564-adc5-f4b93be8accd")
VLEK: Final = UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1")
ASK: Final = UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782")  # or ASVK, beside a VLEK
ARK: Final = UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae")
CRL: Final = UUID("92f81bc3-5811-4d3d-97ff-d19f88dc67ea")

_CERTIFICATES: Final = (VCEK, VLEK, ASK, ARK)
_ENTRY: Final = struct.Struct("<16sII")
_END: Final = bytes(_ENTRY.size)
_PEM: Final = b"-----BEGIN CERTIFICATE-----"


def parse_certificate_table(table: bytes) -> tuple[Endorsement, ...]:
    """The certificates in PEM, leaf first, and the revocation list, where there is one.

    Entries of other kinds are the host's own affair and left out.

    Raises:
        EvidenceError: If it is not such a table, or passes a limit.
    """
    if not table:
        return ()
    contents = dict(_entries(table))
    chain = b"".join(_pem(contents[each]) for each in _CERTIFICATES if each in contents)
    endorsements = [Endorsement(PEM_CHAIN_TYPE, chain)] if chain else []
    if CRL in contents:
        endorsements.append(Endorsement(CRL_TYPE, contents[CRL]))
    return tuple(endorsements)


def _entries(table: bytes) -> Iterator[tuple[UUID, bytes]]:
    """What is in the table, in its order.

    Raises:
        EvidenceError: If an entry stands twice, or passes a limit.
    """
    count = _count(table)
    seen: set[UUID] = set()
    for number in range(count):
        guid, offset, length = _ENTRY.unpack_from(table, number * _ENTRY.size)
        kind = UUID(bytes=guid)
        if kind in seen:
            raise EvidenceError(
                f"certificate table: expected {kind} once, got it twice"
            )
        seen.add(kind)
        first = (count + 1) * _ENTRY.size
        if not first <= offset <= offset + length <= len(table):
            raise EvidenceError(f"certificate table: expected {kind} within the table")
        if not 0 < length <= MAX_CERTIFICATE_BYTES:
            raise EvidenceError(
                f"certificate table: expected 1 to {MAX_CERTIFICATE_BYTES} bytes"
                f" of {kind}, got {length}"
            )
        yield kind, table[offset : offset + length]


def _count(table: bytes) -> int:
    """How many entries there are before the one that is all zero.

    Raises:
        EvidenceError: If there are too many, or no end.
    """
    for number in range(MAX_ENTRIES + 1):
        start = number * _ENTRY.size
        entry = table[start : start + _ENTRY.size]
        if len(entry) < _ENTRY.size:
            raise EvidenceError("certificate table: expected an end, got none")
        if entry == _END:
            return number
    raise EvidenceError(f"certificate table: expected at most {MAX_ENTRIES} entries")


def _pem(certificate: bytes) -> bytes:
    """A certificate in PEM; hosts give DER, and some PEM."""
    if certificate.startswith(_PEM):
        return certificate.rstrip(b"\x00").rstrip() + b"\n"
    lines = textwrap.wrap(base64.b64encode(certificate).decode(), 64)
    body = "\n".join(lines).encode()
    return _PEM + b"\n" + body + b"\n-----END CERTIFICATE-----\n"
