"""Deterministic CBOR (RFC 8949, section 4.2.1): one value, one encoding.

Bytes that are hashed or signed are read and written here only. `decode` refuses what a
second writer could have written differently: indefinite lengths, duplicate or unsorted
keys, long integers, trailing bytes. `decode_preferred` is for what other makers sign:
each value in its shortest form, but maps in any order and with keys of any type.
`decode_loosely` is for their envelopes. `decode_claims` is `decode` for maps as COSE
and CWT have them, some of whose keys are small integers.

No tag is given its meaning: dates and regular expressions are not for us, and with
shared references a few bytes make a value of any size.
"""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Final, Never

import cbor2

from blindai.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_ITEMS: Final = 1 << 16
"""Of what is longer than `MAX_BYTES`: one byte may become an object of 64."""
# Keys of one byte come before all text, whichever of RFC 8949's two orders is meant.
_SMALL: Final = range(-24, 24)


def encode(value: object) -> bytes:
    """Encode a value of text, bytes, numbers, booleans, null, lists and maps.

    Maps have keys of text or integers from -24 to 23 only, where length-first and
    bytewise order agree.
    """
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, max_bytes: int = MAX_BYTES) -> object:
    """Read exactly one deterministically encoded value, no tags, text as keys.

    Args:
        data: The bytes.
        max_bytes: How many there may be.

    Raises:
        ProtocolError: If the bytes are not that.
    """
    value = _read(data, _Untagged(), strict_keys=True, max_bytes=max_bytes)
    _require_deterministic(value, data)
    return value


def decode_claims(data: bytes) -> object:
    """As `decode`, of at most 1 MiB, with integers from -24 to 23 as keys too.

    Raises:
        ProtocolError: If the bytes are not that.
    """
    value = _read(data, _Untagged(), strict_keys=False)
    _require_small_keys(value)
    _require_deterministic(value, data)
    return value


def decode_preferred(data: bytes) -> object:
    """Read exactly one value of at most 1 MiB in the preferred encoding, no tags.

    Integers and lengths are definite and in their shortest form (RFC 8949, 4.1), keys
    are unique, floating-point numbers have one form each; maps keep their order.

    Raises:
        ProtocolError: If the bytes are not that.
    """
    value = _read(data, _Untagged(), strict_keys=False)
    if cbor2.dumps(value) != data:
        raise ProtocolError("CBOR: expected the preferred encoding, got another")
    return value


def decode_loosely(data: bytes, max_bytes: int = MAX_BYTES) -> object:
    """Read exactly one CBOR value, definite lengths, unique keys.

    A tagged value becomes a `CBORTag`, whatever the tag.

    Args:
        data: The bytes.
        max_bytes: How many there may be.

    Raises:
        ProtocolError: If the bytes are not CBOR, too many, or nested too deeply.
    """
    return _read(data, _Tagged(), strict_keys=False, max_bytes=max_bytes)


def _require_deterministic(value: object, data: bytes) -> None:
    if encode(value) != data:
        raise ProtocolError("CBOR: expected the deterministic encoding, got another")


def _require_small_keys(value: object) -> None:
    """Hold keys of maps, at all depths, to what `encode` orders.

    `true` and `1.0` are keys too, and equal to 1 in Python.

    Raises:
        ProtocolError: If there are others.
    """
    match value:
        case list():
            children = value
        case dict():
            for key in value:
                if type(key) is not str and not (type(key) is int and key in _SMALL):
                    raise ProtocolError("CBOR: expected text or small integers as keys")
            children = list(value.values())
        case _:
            return
    for child in children:
        _require_small_keys(child)


class _Tagged(dict[int, "Callable[[object, bool], object]"]):
    """How to read each tag there is: as a tag and a value."""

    def __missing__(self, tag: int) -> Callable[[object, bool], object]:
        return partial(_keep, tag)


class _Untagged(dict[int, "Callable[[object, bool], object]"]):
    """How to read each tag there is: not at all."""

    def __missing__(self, tag: int) -> Never:
        raise cbor2.CBORDecodeError(f"tag {tag}")


def _keep(tag: int, value: object, _immutable: object) -> cbor2.CBORTag:
    return cbor2.CBORTag(tag, value)


def _read(
    data: bytes,
    tags: dict[int, Callable[[object, bool], object]],
    *,
    strict_keys: bool,
    max_bytes: int = MAX_BYTES,
) -> object:
    if len(data) > max_bytes:
        raise ProtocolError(
            f"CBOR: expected at most {max_bytes} bytes, got {len(data)}"
        )
    if len(data) > MAX_BYTES:
        _require_few_items(data)
    stream = BytesIO(data)
    decoder = cbor2.CBORDecoder(
        stream,
        semantic_decoders=tags,
        max_depth=MAX_DEPTH,
        allow_indefinite=False,
        allow_duplicate_keys=False,
        strict_hashable_types=strict_keys,
    )
    try:
        value: object = decoder.decode()
    except cbor2.CBORError as error:
        raise ProtocolError("CBOR: expected one well-formed value") from error
    if stream.tell() != len(data):
        raise ProtocolError(
            f"CBOR: expected one value, got {len(data) - stream.tell()} bytes after it"
        )
    return value


def _require_few_items(data: bytes) -> None:
    """Count items before any becomes an object.

    Where bytes are not CBOR it stops: the decoder gets no further either.

    Raises:
        ProtocolError: If there are more than `MAX_ITEMS`.
    """
    place = 0
    for _ in range(MAX_ITEMS + 1):
        if place >= len(data):
            return
        major, argument = divmod(data[place], 32)
        place += 1
        if argument > 27:  # indefinite, or reserved
            return
        if argument > 23:
            width = 1 << argument - 24
            argument = int.from_bytes(data[place : place + width], "big")
            place += width
        if major in {2, 3}:  # bytes and text, which are one object
            place += argument
    raise ProtocolError(f"CBOR: expected at most {MAX_ITEMS} items, got more")
