"""One document of a vendor: how to ask for it, and what an answer has to look like.

That an answer is readable, current and about what was asked keeps an error page or a
neighbour's certificate from being stapled. It is no verification.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from blindai.endorsements import expiry
from blindai.errors import EvidenceError
from blindai.protocol.endorsements import certificates, encode_pem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_ISSUERS_BYTES = 8 * 1024


class Kind(Enum):
    """What is asked for: media type to ask for, and most bytes to read.

    The limits are several times the largest ones seen: certificates of AMD 1.4 kB, a
    chain 4.2 kB, the CRL of Intel's platform CA 3.4 kB and growing, TCB info 5 kB. All
    of Intel's together have to fit into one endorsement.
    """

    CERTIFICATE = ("application/pkix-cert", 8 * 1024)
    CHAIN = (expiry.PEM_TYPE, 32 * 1024)
    CRL = ("application/pkix-crl", 32 * 1024)
    SIGNED_JSON = ("application/json", 32 * 1024)

    @property
    def media_type(self) -> str:
        """The media type to ask for."""
        return self.value[0]

    @property
    def max_bytes(self) -> int:
        """The most bytes to read."""
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One document to ask for.

    Attributes:
        name: In words, for messages; it names no chip.
        url: Where it is.
        kind: What it is.
        mentions: What a right answer has in it, in any case of letters.
        envelope: What the signed object in JSON is called; empty for other kinds.
        issuer_headers: Fields, any of which brings the issuers' certificates.
        revised: Whether a newer one may come long before this one expires.
    """

    name: str
    url: str
    kind: Kind
    mentions: bytes = b""
    envelope: str = ""
    issuer_headers: tuple[str, ...] = ()
    revised: bool = False

    @property
    def host(self) -> str:
        """Whom it is asked of."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A document, as it was answered.

    Attributes:
        content: DER, PEM or JSON, by the kind of the request.
        issuers: Certificates in PEM that came with it; empty where none do.
        expires_at: When the first part of it is no longer current.
    """

    content: bytes = field(repr=False)
    issuers: str = field(default="", repr=False)
    expires_at: datetime


def read_answer(request: Request, content: bytes, fields: Mapping[str, str]) -> Answer:
    """What was answered, if it looks like what was asked for.

    Args:
        request: What was asked for.
        content: The body.
        fields: The header, names in lower case.

    Raises:
        EvidenceError: If it does not.
    """
    if request.kind is Kind.CRL:
        content = _unhex(content)
    try:
        if request.kind is Kind.CHAIN:
            content = b"".join(map(encode_pem, certificates(content)))
        _require_mention(request, content)
        if request.envelope:
            open_envelope(content, request.envelope)
        issuers = _issuers(request, fields)
        moments = [expiry.READERS[request.kind.media_type](content)]
        if request.issuer_headers:
            moments.append(expiry.of_pem(issuers.encode("ascii", "replace")))
    except EvidenceError as error:
        raise EvidenceError(f"{request.name}: {error.message}") from error
    return Answer(content=content, issuers=issuers, expires_at=min(moments))


def open_envelope(body: bytes, label: str) -> tuple[str, str]:
    """What was signed, as it stands in its envelope to the byte, and its signature.

    PCS API v4, appendices A and B: `{"tcbInfo": {...}, "signature": "hex"}`.

    Raises:
        EvidenceError: If it is another envelope.
    """
    try:
        text = body.decode("utf-8")
        signature = str.lower(json.loads(text)["signature"])  # refuses what is no text
        start = text.index("{", text.index(f'"{label}"'))
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise EvidenceError(f"{label}: expected it signed, in its envelope") from error
    return text[start:end], signature


def _require_mention(request: Request, content: bytes) -> None:
    """Require that it is about what was asked.

    Raises:
        EvidenceError: If it is about something else.
    """
    if request.kind is Kind.CHAIN:
        content = b"".join(certificates(content))
    if request.mentions.lower() not in content.lower():
        raise EvidenceError("expected what was asked for, got another")


def _issuers(request: Request, fields: Mapping[str, str]) -> str:
    """The issuers' certificates, which Intel sends percent-encoded in a header.

    Raises:
        EvidenceError: If they were to come and did not, or are too many.
    """
    if not request.issuer_headers:
        return ""
    found = [fields[name] for name in request.issuer_headers if name in fields]
    if not found:
        raise EvidenceError(f"expected the field {request.issuer_headers[0]}, got none")
    if len(found[0]) > MAX_ISSUERS_BYTES:
        raise EvidenceError(f"issuers: expected at most {MAX_ISSUERS_BYTES} bytes")
    return unquote(found[0])


def _unhex(content: bytes) -> bytes:
    """A list of revoked certificates in DER; a PCCS may answer it in hexadecimal."""
    try:
        return bytes.fromhex(content.decode("ascii").strip())
    except ValueError:  # a DER length is no ASCII
        return content
