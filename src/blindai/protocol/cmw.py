"""RATS conceptual messages wrapper, RFC 9999, in CBOR: how evidence travels.

A *record* is `[type, value, ? indicator]`; its CBOR tag form carries a CoAP content
format as the tag number. A *collection* maps labels to records and collections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag

import cbor2

from blindai.errors import EvidenceError, ProtocolError
from blindai.protocol import cbor

COLLECTION_TYPE = "__cmwc_t"
MEDIA_TYPE = "application/cmw+cbor"
MAX_ITEMS = 64
MAX_DEPTH = 4
_TAG_BASE = 0x63740101  # TN(0), RFC 9277, appendix B
_MAX_TAGGED_FORMAT = 65024  # the last that TN() has a tag for
_MAX_CONTENT_FORMAT = 65535


class Indicator(IntFlag):
    """What kind of conceptual message a record is (RFC 9999, section 3.1.1)."""

    REFERENCE_VALUES = 1
    ENDORSEMENTS = 2
    EVIDENCE = 4
    ATTESTATION_RESULTS = 8
    APPRAISAL_POLICY = 16


@dataclass(frozen=True, slots=True)
class Record:
    """One conceptual message.

    Attributes:
        type: Media type, or CoAP content format number.
        value: The message.
        indicator: What kind of message it is, if the sender says; none is not sent.
    """

    type: str | int
    value: bytes = field(repr=False)
    indicator: Indicator | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """Conceptual messages by label.

    Attributes:
        items: Records and collections by label.
        type: URI or OID that says what the labels mean, if the sender says.
    """

    items: Mapping[str | int, Record | Collection]
    type: str | None = None

    def record(self, label: str | int, media_type: str | None = None) -> Record:
        """The record under `label`.

        Args:
            label: Where to look.
            media_type: What the record has to be, if only one will do.

        Raises:
            EvidenceError: If there is none, or it is of another type.
        """
        record = self.items.get(label)
        if not isinstance(record, Record):
            raise EvidenceError(f"CMW collection: expected a record {label!r}")
        if media_type is not None and record.type != media_type:
            raise EvidenceError(
                f"CMW record {label!r}: expected {media_type}, got {record.type}"
            )
        return record


def encode(message: Record | Collection) -> bytes:
    """Encode a record or a collection in deterministic CBOR."""
    return cbor.encode(_plain(message))


def parse(data: bytes, max_bytes: int = cbor.MAX_BYTES) -> Record | Collection:
    """Read a record, a tagged record or a collection.

    Args:
        data: The bytes.
        max_bytes: How many there may be.

    Raises:
        EvidenceError: If the bytes are none of these, or pass a limit.
    """
    try:
        value = cbor.decode_loosely(data, max_bytes)
    except ProtocolError as error:
        raise EvidenceError(f"CMW: {error.message}") from error
    return _message(value, depth=0)


def _plain(message: Record | Collection) -> object:
    if isinstance(message, Record):
        plain: list[object] = [message.type, message.value]
        return [*plain, int(message.indicator)] if message.indicator else plain
    items: dict[str | int, object] = {
        label: _plain(item) for label, item in message.items.items()
    }
    return items if message.type is None else {COLLECTION_TYPE: message.type, **items}


def _message(value: object, depth: int) -> Record | Collection:
    match value:
        case [type_, content]:
            return _record(type_, content)
        case [type_, content, indicator]:
            return _record(type_, content, _indicator(indicator))
        case cbor2.CBORTag():
            return _record(_content_format(value.tag), value.value)
        case Mapping() if depth < MAX_DEPTH:
            return _collection(value, depth)
        case _:
            raise EvidenceError("CMW: expected a record or a collection")


def _record(
    type_: object, content: object, indicator: Indicator | None = None
) -> Record:
    if not isinstance(content, bytes):
        raise EvidenceError("CMW record: expected bytes as its value")
    match type_:
        case str() if "/" in type_:
            return Record(type_, content, indicator)
        case int() if type(type_) is int and 0 <= type_ <= _MAX_CONTENT_FORMAT:
            return Record(type_, content, indicator)
        case _:
            raise EvidenceError("CMW record: expected a media type or content format")


def _indicator(value: object) -> Indicator:
    if type(value) is not int or not 0 < value < 2 ** len(Indicator):
        raise EvidenceError("CMW record: expected an indicator of RFC 9999")
    return Indicator(value)


def _content_format(tag: int) -> int | None:
    """What TN() made a tag of (RFC 9277, appendix B): no tag ends in a zero byte."""
    high, low = divmod(tag - _TAG_BASE, 256)
    number = high * 255 + low
    return number if low < 255 and number <= _MAX_TAGGED_FORMAT else None


def _collection(value: Mapping[object, object], depth: int) -> Collection:
    if len(value) > MAX_ITEMS:
        raise EvidenceError(
            f"CMW collection: expected at most {MAX_ITEMS} items, got {len(value)}"
        )
    items: dict[str | int, Record | Collection] = {}
    for label, item in value.items():
        if label == COLLECTION_TYPE:
            continue
        if not isinstance(label, str) and type(label) is not int:
            raise EvidenceError("CMW collection: expected text or integers as labels")
        items[label] = _message(item, depth + 1)
    if not items:
        raise EvidenceError("CMW collection: expected at least one item, got none")
    return Collection(items, _collection_type(value))


def _collection_type(value: Mapping[object, object]) -> str | None:
    if COLLECTION_TYPE not in value:
        return None
    type_ = value[COLLECTION_TYPE]
    if not isinstance(type_, str):
        raise EvidenceError(f"CMW collection: expected text as {COLLECTION_TYPE}")
    return type_
