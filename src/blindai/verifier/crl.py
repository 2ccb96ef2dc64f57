"""Lists of revoked certificates (RFC 5280, section 5), cut but not believed.

Strict: version 2, in DER, with a next update; a critical extension makes a list that
does not speak for all of its issuer's certificates, so it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindai.errors import EvidenceError
from blindai.protocol import der
from blindai.verifier import certificates

if TYPE_CHECKING:
    from datetime import datetime

MAX_CRL_BYTES = 60 * 1024
MAX_REVOKED = 4096
_VERSION_2 = bytes.fromhex("020101")
_TIMES = frozenset({der.UTC_TIME, der.GENERALIZED_TIME})


@dataclass(frozen=True, slots=True, kw_only=True)
class Crl:
    """A list of revoked certificates.

    Attributes:
        tbs: The signed part, in DER.
        algorithm: The AlgorithmIdentifier of the signature, in DER.
        signature: The issuer's signature over `tbs`.
        issuer: The issuer's Name, in DER.
        this_update: When it was made.
        next_update: The last second at which it counts.
        revoked: Serial numbers of the certificates that are revoked.
    """

    tbs: bytes = field(repr=False)
    algorithm: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    this_update: datetime
    next_update: datetime
    revoked: frozenset[int] = field(repr=False)


def parse_crl(data: bytes) -> Crl:
    """Cut a list in DER into its fields.

    Raises:
        EvidenceError: If the bytes are anything else, or more than 60 KiB.
    """
    if len(data) > MAX_CRL_BYTES:
        raise EvidenceError(
            f"CRL: expected at most {MAX_CRL_BYTES} bytes, got {len(data)}"
        )
    body = der.only(data, der.SEQUENCE, "CRL")
    shape = (der.SEQUENCE, der.SEQUENCE, der.BIT_STRING)
    tbs, algorithm, signature = der.fields(body, shape, "CRL")
    version, tbs_algorithm, issuer, this_update, next_update, *rest = _head(tbs)
    if version.encoding != _VERSION_2:
        raise EvidenceError("CRL version: expected 2, got another")
    if tbs_algorithm.encoding != algorithm.encoding:
        raise EvidenceError("CRL: expected one signature algorithm, got two")
    return Crl(
        tbs=tbs.encoding,
        algorithm=algorithm.encoding,
        signature=certificates.octets(signature.content, "CRL signature"),
        issuer=issuer.encoding,
        this_update=der.time(this_update),
        next_update=der.time(next_update),
        revoked=_revoked(rest),
    )


def _head(tbs: der.Element) -> tuple[der.Element, ...]:
    """All fields; the first five are there in every list.

    Raises:
        EvidenceError: If they are not, or in another order.
    """
    parts = der.elements(tbs.content, "CRL")
    tags = [part.tag for part in parts[:5]]
    match tags:
        case [der.INTEGER, der.SEQUENCE, der.SEQUENCE, first, second] if {
            first,
            second,
        } <= _TIMES:
            return parts
        case _:
            raise EvidenceError("CRL: expected version, issuer and two updates")


def _revoked(rest: list[der.Element]) -> frozenset[int]:
    """The numbers of the entries; before them or alone, extensions are looked at.

    Raises:
        EvidenceError: If there is anything else, or a critical extension.
    """
    match rest:
        case [der.Element(tag=der.CONTEXT_0) as extensions]:
            entries = b""
        case [
            der.Element(tag=der.SEQUENCE, content=entries),
            der.Element(tag=der.CONTEXT_0) as extensions,
        ]:
            pass
        case _:
            raise EvidenceError("CRL: expected entries, and extensions")
    found = certificates.parse_extensions(extensions.content)
    if any(extension.critical for extension in found.values()):
        raise EvidenceError("CRL: expected no critical extension")
    listed = der.elements(entries, "CRL entries", MAX_REVOKED)
    return frozenset(map(_serial, listed))


def _serial(entry: der.Element) -> int:
    """The number of one entry: serial, date, and perhaps reasons (RFC 5280, 5.1.2.6).

    Raises:
        EvidenceError: If it is anything else, or a reason is critical.
    """
    parts = der.elements(entry.content, "CRL entry")
    match [part.tag for part in parts]:
        case [der.INTEGER, time] if time in _TIMES:
            pass
        case [der.INTEGER, time, der.SEQUENCE] if time in _TIMES:
            found = certificates.parse_extensions(parts[2].encoding)
            if any(extension.critical for extension in found.values()):
                raise EvidenceError("CRL entry: expected no critical extension")
        case _:
            raise EvidenceError("CRL entry: expected serial number and date")
    return der.integer(parts[0].content, "CRL entry")
