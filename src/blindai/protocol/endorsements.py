"""Endorsements in files: what a relying party brings instead of trusting the staple.

blindai writes a CMW collection (RFC 9999) of records 0, 1, ..., each an endorsement. It
reads that, and what vendors and other tools write: certificates and lists of revoked
ones in PEM (RFC 7468) or DER, and Intel's collateral in the JSON of a PCCS.

Reading believes nothing; the verifier does that.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.protocol import cmw
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    MAX_ENDORSEMENT_BYTES,
    MAX_ENDORSEMENTS,
    PEM_CHAIN_TYPE,
    Endorsement,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILE_TYPE: Final = "tag:blindai,2026:endorsements/v1"
MAX_FILE_BYTES: Final = 1024 * 1024
_PEM: Final = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----"
)
# A SEQUENCE whose length has so many bytes, and in it tbs, another one; then a version:
# [0] in a certificate (RFC 5280, 4.1), an INTEGER in a CRL (5.1).
_DER: Final = re.compile(
    rb"\x30(?:[\x00-\x7f]|\x81.|\x82..|\x83...)"
    rb"\x30(?:[\x00-\x7f]|\x81.|\x82..|\x83...)"
    rb"(\xa0\x03\x02\x01\x02|\x02\x01\x01)",
    re.DOTALL,
)
_VERSION_2: Final = b"\x02\x01\x01"
_CBOR_MAP: Final = b"\xa0"  # RFC 8949, 3.1: major type 5; no ASCII, nor DER


def encode_endorsements(endorsements: Iterable[Endorsement]) -> bytes:
    """Put endorsements into a file's bytes.

    Raises:
        ValueError: If there are none: a collection has items.
    """
    items: dict[str | int, cmw.Record | cmw.Collection] = {
        number: cmw.Record(
            each.media_type, each.content, indicator=cmw.Indicator.ENDORSEMENTS
        )
        for number, each in enumerate(endorsements)
    }
    if not items:
        raise ValueError("endorsements: expected at least one, got none")
    return cmw.encode(cmw.Collection(items, FILE_TYPE))


def parse_endorsements(data: bytes) -> tuple[Endorsement, ...]:
    """The endorsements in a file, whichever of the known formats it has.

    Raises:
        EvidenceError: If it has none of them, or is larger than 1 MiB.
    """
    if len(data) > MAX_FILE_BYTES:
        raise EvidenceError(
            f"endorsements: expected at most {MAX_FILE_BYTES} bytes, got {len(data)}"
        )
    if data[:1] >= _CBOR_MAP:
        found = tuple(_in_collection(data))
    elif data.lstrip().startswith(b"{"):
        found = (_in_json(data),)
    elif tagged := _DER.match(data):
        found = (_in_der(data, is_crl=tagged[1] == _VERSION_2),)
    else:
        found = tuple(_in_pem(data))
    if len(found) > MAX_ENDORSEMENTS:
        raise EvidenceError(f"endorsements: expected at most {MAX_ENDORSEMENTS}")
    if any(len(each.content) > MAX_ENDORSEMENT_BYTES for each in found):
        raise EvidenceError(
            f"endorsement: expected at most {MAX_ENDORSEMENT_BYTES} bytes, got more"
        )
    return found


def encode_pem(certificate: bytes) -> bytes:
    """A certificate in DER as RFC 7468 writes it, in lines of 64."""
    text = base64.b64encode(certificate)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join(
        [b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""]
    )


def certificates(pem: bytes) -> Iterator[bytes]:
    """The certificates between other text, in DER, as they come.

    Raises:
        EvidenceError: If one is not in base64.
    """
    return (der for label, der in _blocks(pem) if label == b"CERTIFICATE")


def _blocks(pem: bytes) -> Iterator[tuple[bytes, bytes]]:
    for label, text in _PEM.findall(pem):
        try:
            yield label, base64.b64decode(b"".join(text.split()), validate=True)
        except binascii.Error as error:
            raise EvidenceError("endorsements: expected base64 in PEM") from error


def _in_pem(data: bytes) -> Iterator[Endorsement]:
    """All certificates as one chain, then each CRL.

    Raises:
        EvidenceError: If there is anything else, or nothing.
    """
    chain, lists = b"", []
    text = b"" if b"\x00" in data else data  # a quote has certificates in it too
    for label, der in _blocks(text):
        match label:
            case b"CERTIFICATE":
                chain += encode_pem(der)
            case b"X509 CRL":
                lists.append(Endorsement(CRL_TYPE, der))
            case _:
                raise EvidenceError("endorsements: expected certificates and CRLs only")
    if not chain and not lists:
        raise EvidenceError(
            "endorsements: expected certificates or CRLs (PEM, DER), Intel's collateral"
            " (JSON), or a file that `blindai endorsements fetch` wrote"
        )
    if chain:
        yield Endorsement(PEM_CHAIN_TYPE, chain)
    yield from lists


def _in_der(data: bytes, *, is_crl: bool) -> Endorsement:
    if is_crl:
        return Endorsement(CRL_TYPE, data)
    return Endorsement(PEM_CHAIN_TYPE, encode_pem(data))


def _in_json(data: bytes) -> Endorsement:
    try:
        names = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(
            "endorsements: expected JSON, got something else"
        ) from error
    if not isinstance(names, dict) or not {"tcb_info", "qe_identity"} <= names.keys():
        raise EvidenceError("endorsements: expected Intel's collateral in JSON")
    return Endorsement(INTEL_COLLATERAL_TYPE, data)


def _in_collection(data: bytes) -> Iterator[Endorsement]:
    """The records of a file that blindai wrote.

    Raises:
        EvidenceError: If it is another file.
    """
    collection = cmw.parse(data)
    if not isinstance(collection, cmw.Collection) or collection.type != FILE_TYPE:
        raise EvidenceError(f"endorsements: expected a collection of type {FILE_TYPE}")
    if collection.items.keys() != set(range(len(collection.items))):
        raise EvidenceError("endorsements: expected them numbered from 0")
    for number in range(len(collection.items)):
        record = collection.items[number]
        if (
            not isinstance(record, cmw.Record)
            or not isinstance(record.type, str)
            or record.indicator != cmw.Indicator.ENDORSEMENTS
        ):
            raise EvidenceError(f"endorsement {number}: expected a record of one")
        yield Endorsement(record.type, record.value)
