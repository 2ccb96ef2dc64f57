"""A strict reader of DER (X.690, section 10), no larger than X.509 needs.

One value has one encoding: definite lengths in their shortest form, one-byte tags, no
bytes left over. There is no recursion: a caller asks for the elements of one level by
their tags, so depth is bounded by the code that asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from blindai.errors import EvidenceError

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
ENUMERATED = 0x0A
UTF8_STRING = 0x0C
PRINTABLE_STRING = 0x13
IA5_STRING = 0x16
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31
CONTEXT_0 = 0xA0
CONTEXT_3 = 0xA3

MAX_ELEMENTS = 64
_TIMES = {
    UTC_TIME: re.compile(r"[0-9]{12}Z"),
    GENERALIZED_TIME: re.compile(r"[0-9]{14}Z"),
}
_MAX_INTEGER_BYTES = 21  # 20 octets of a serial number and a sign (RFC 5280, 4.1.2.2)


@dataclass(frozen=True, slots=True)
class Element:
    """One tag, length and value.

    Attributes:
        tag: The identifier octet.
        content: The value's octets.
        encoding: All octets, with tag and length.
    """

    tag: int
    content: bytes = field(repr=False)
    encoding: bytes = field(repr=False)


def elements(data: bytes, what: str, most: int = MAX_ELEMENTS) -> tuple[Element, ...]:
    """The elements that make up all of `data`, at most `most`.

    Raises:
        EvidenceError: If the bytes are anything else.
    """
    found: list[Element] = []
    offset = 0
    while offset < len(data):
        if len(found) == most:
            raise EvidenceError(f"{what}: expected at most {most} elements")
        start, end = _content(data, offset, what)
        found.append(Element(data[offset], data[start:end], data[offset:end]))
        offset = end
    return tuple(found)


def fields(data: bytes, tags: tuple[int, ...], what: str) -> tuple[Element, ...]:
    """Exactly the elements with these tags, in this order, as all of `data`.

    Raises:
        EvidenceError: If the bytes are anything else.
    """
    found = elements(data, what)
    if tuple(element.tag for element in found) != tags:
        raise EvidenceError(f"{what}: expected {len(tags)} elements of known types")
    return found


def only(data: bytes, tag: int, what: str) -> bytes:
    """The content of the one element, with this tag, that is all of `data`.

    Raises:
        EvidenceError: If the bytes are anything else.
    """
    (element,) = fields(data, (tag,), what)
    return element.content


def integer(content: bytes, what: str) -> int:
    """The non-negative integer in the content of an INTEGER, at most 20 octets.

    Raises:
        EvidenceError: If it is negative, too large or not in its shortest form.
    """
    if not 1 <= len(content) <= _MAX_INTEGER_BYTES:
        raise EvidenceError(f"{what}: expected an integer of at most 20 octets")
    value = int.from_bytes(content, signed=True)
    if value < 0 or len(content) != value.bit_length() // 8 + 1:
        raise EvidenceError(f"{what}: expected a non-negative integer in DER")
    return value


def time(element: Element) -> datetime:
    """A time in UTC, to the second (RFC 5280, 4.1.2.5).

    Raises:
        EvidenceError: If it is written in any other way, or does not exist.
    """
    digits = element.content.decode("latin-1")
    form = _TIMES.get(element.tag)
    if form is None or not form.fullmatch(digits):
        raise EvidenceError("validity: expected UTCTime or GeneralizedTime with Z")
    if element.tag == UTC_TIME:
        digits = ("19" if digits >= "50" else "20") + digits
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise EvidenceError("validity: expected a time that exists") from error


def _content(data: bytes, offset: int, what: str) -> tuple[int, int]:
    """Where the content of the element at `offset` starts and ends.

    Raises:
        EvidenceError: If no element in DER lies there.
    """
    header = data[offset : offset + 4]
    if len(header) < 2 or header[0] & 0x1F == 0x1F:
        raise EvidenceError(f"{what}: expected a DER element with a one-byte tag")
    match header[1]:
        case short if short < 0x80:
            size, length = 2, short
        case 0x81 if len(header) >= 3 and header[2] >= 0x80:
            size, length = 3, header[2]
        case 0x82 if len(header) == 4 and header[2]:
            size, length = 4, int.from_bytes(header[2:4])
        case _:
            raise EvidenceError(f"{what}: expected a definite, shortest DER length")
    if len(data) - offset - size < length:
        raise EvidenceError(f"{what}: expected {length} bytes of content, got fewer")
    return offset + size, offset + size + length
