"""Deterministic CBOR (RFC 8949, section 4.2.1): one value, one encoding.

Bytes that are hashed or signed are read and written here only. `decode` refuses what a
second writer could have written differently: indefinite lengths, duplicate or unsorted
keys, long integers, trailing bytes. `decode_preferred` is for what other makers sign:
each value in its shortest form, but maps in any order and with keys of any type.
`decode_loosely` is for their envelopes.

No tag is given its meaning: dates and regular expressions are not for us, and with
shared references a few bytes make a value of any size.
"""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Never

import cbor2

from blindai.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 1 << 20
MAX_DEPTH = 16


def encode(value: object) -> bytes:
    """Encode a value of text, bytes, numbers, booleans, null, lists and maps.

    Maps have text keys only, where length-first and bytewise order agree.
    """
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes) -> object:
    """Read exactly one deterministically encoded value of at most 1 MiB, no tags.

    Raises:
        ProtocolError: If the bytes are not that.
    """
    value = _read(data, _Untagged(), strict_keys=True)
    if encode(value) != data:
        raise ProtocolError("CBOR: expected the deterministic encoding, got another")
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


def decode_loosely(data: bytes) -> object:
    """Read exactly one CBOR value of at most 1 MiB, definite lengths, unique keys.

    A tagged value becomes a `CBORTag`, whatever the tag.

    Raises:
        ProtocolError: If the bytes are not CBOR, too many, or nested too deeply.
    """
    return _read(data, _Tagged(), strict_keys=False)


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
) -> object:
    if len(data) > MAX_BYTES:
        raise ProtocolError(
            f"CBOR: expected at most {MAX_BYTES} bytes, got {len(data)}"
        )
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
