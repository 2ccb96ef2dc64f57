"""Binary HTTP, RFC 9292: what a message is made of, and writing it.

`bhttp_decoder` reads what is written here. A head or trailers that exist are valid:
they are refused when they are made, so encoders and decoders refuse the same.

    known length (0 request, 1 response):
        framing || informational... || control || section || content || section
        section = length || line...       content = length || bytes
    indeterminate length (2 request, 3 response):
        framing || informational... || control || section || content || section
        section = line... || 0            content = (length || bytes)... || 0
    line    = length || name || length || value
    control = request: method, scheme, authority, path, each length || bytes
              response: status

Lengths, framing and status are variable-length integers (`varint`), lengths in bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain
from typing import TYPE_CHECKING

from blindai.errors import BinaryHttpError
from blindai.protocol import varint

if TYPE_CHECKING:
    from blindai.protocol.buffers import Bytes

MEDIA_TYPE = "message/bhttp"

Fields = tuple[tuple[bytes, bytes], ...]

# A token (RFC 9110, section 5.6.2), and one without capitals (RFC 9113, section 8.2.1).
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
# No NUL, CR or LF; no space or tab at either end (RFC 9113, section 8.2.1).
_VALUE = re.compile(rb"(?:[^\0\r\n\t ](?:[^\0\r\n]*[^\0\r\n\t ])?)?").fullmatch
# RFC 3986, sections 3.1 and 3.2, without user information (RFC 9113, section 8.3.1).
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*").fullmatch
_AUTHORITY = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*").fullmatch
# Visible ASCII; a fragment is never sent (RFC 9110, section 7.1).
_PATH = re.compile(rb"[!\"$-~]*").fullmatch


class Framing(IntEnum):
    """The framing indicator, first in every message (RFC 9292, section 3.3)."""

    KNOWN_REQUEST = 0
    KNOWN_RESPONSE = 1
    INDETERMINATE_REQUEST = 2
    INDETERMINATE_RESPONSE = 3


@dataclass(frozen=True, slots=True)
class RequestHead:
    """Request control data and header section (RFC 9292, section 3.4).

    CONNECT has neither scheme nor path, and no purpose here: it is refused.

    Attributes:
        method: A token, in capitals by custom.
        scheme: Usually `https`.
        authority: Host and port, or empty: then the `host` field may say.
        path: Path and query; for http and https it begins with a slash, or is `*`
            when the method is OPTIONS.
        fields: Names, in lower case, and values, in order.
    """

    method: bytes
    scheme: bytes
    authority: bytes = field(repr=False)
    path: bytes = field(repr=False)
    fields: Fields = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Refuse what RFC 9113, section 8.3.1, refuses.

        Raises:
            BinaryHttpError: If a part is not what HTTP allows there.
        """
        if not _TOKEN(self.method) or self.method == b"CONNECT":
            raise BinaryHttpError(
                "method: expected a token other than CONNECT, got other bytes"
            )
        if not _SCHEME(self.scheme):
            raise BinaryHttpError("scheme: expected a URI scheme, got other bytes")
        if not _AUTHORITY(self.authority):
            raise BinaryHttpError("authority: expected host and port, got other bytes")
        rooted = self.path.startswith(b"/")
        if not _PATH(self.path) or not (rooted or self._needs_no_root):
            raise BinaryHttpError("path: expected a path and query, got other bytes")
        _require_fields(self.fields)

    @property
    def _needs_no_root(self) -> bool:
        web = self.scheme.lower() in {b"http", b"https"}
        return not web or (self.method, self.path) == (b"OPTIONS", b"*")


@dataclass(frozen=True, slots=True)
class InformationalResponse:
    """What a server says before its answer (RFC 9292, section 3.5.1).

    Attributes:
        status: 100 to 199.
        fields: Names, in lower case, and values, in order.
    """

    status: int
    fields: Fields = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Refuse other statuses and malformed fields.

        Raises:
            BinaryHttpError: If there are such.
        """
        if not 100 <= self.status <= 199:
            raise BinaryHttpError(
                f"informational status: expected 100 to 199, got {self.status}"
            )
        _require_fields(self.fields)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Final response control data and header section (RFC 9292, section 3.5).

    Attributes:
        status: 200 to 599.
        fields: Names, in lower case, and values, in order.
        informational: The responses before this one, in order.
    """

    status: int
    fields: Fields = field(default=(), repr=False)
    informational: tuple[InformationalResponse, ...] = ()

    def __post_init__(self) -> None:
        """Refuse other statuses and malformed fields.

        Raises:
            BinaryHttpError: If there are such.
        """
        if not 200 <= self.status <= 599:
            raise BinaryHttpError(f"status: expected 200 to 599, got {self.status}")
        _require_fields(self.fields)


@dataclass(frozen=True, slots=True)
class Trailers:
    """Fields that come after the content.

    Attributes:
        fields: Names, in lower case, and values, in order.
    """

    fields: Fields = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse malformed fields."""
        _require_fields(self.fields)


@dataclass(frozen=True, slots=True)
class Content:
    """Some bytes of the content, at least one.

    Attributes:
        data: The bytes; a view keeps what was fed alive, and changes with it.
    """

    data: Bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class End:
    """The message is whole, and nothing but zeros came after it."""


def encode_request(
    head: RequestHead, content: Bytes = b"", trailers: Fields = ()
) -> bytes:
    """Write a request of known length.

    Raises:
        BinaryHttpError: If a trailer is malformed.
    """
    begin = encode_whole_request_head(head, memoryview(content).nbytes)
    return b"".join((begin, *_known_end(content, trailers)))


def encode_response(
    head: ResponseHead, content: Bytes = b"", trailers: Fields = ()
) -> bytes:
    """Write a response of known length.

    Raises:
        BinaryHttpError: If a trailer is malformed.
    """
    begin = encode_whole_response_head(head, memoryview(content).nbytes)
    return b"".join((begin, *_known_end(content, trailers)))


def encode_request_head(head: RequestHead) -> bytes:
    """Begin a request of indeterminate length; content and `encode_end` follow."""
    framing = varint.encode(Framing.INDETERMINATE_REQUEST)
    return b"".join((framing, _control(head), _lines(head.fields), b"\0"))


def encode_response_head(head: ResponseHead) -> bytes:
    """Begin a response of indeterminate length; content and `encode_end` follow."""
    parts = [varint.encode(Framing.INDETERMINATE_RESPONSE)]
    for part in _responses(head):
        parts += (varint.encode(part.status), _lines(part.fields), b"\0")
    return b"".join(parts)


def encode_whole_request_head(head: RequestHead, content_bytes: int) -> bytes:
    """Begin a request of known length; so many bytes of content follow.

    Nothing comes after the content: trailers that are empty are cut off (RFC 9292,
    section 3.8).
    """
    return b"".join(
        (
            varint.encode(Framing.KNOWN_REQUEST),
            _control(head),
            _known(_lines(head.fields)),
            varint.encode(content_bytes),
        )
    )


def encode_whole_response_head(head: ResponseHead, content_bytes: int) -> bytes:
    """As `encode_whole_request_head`, of a response."""
    parts = [varint.encode(Framing.KNOWN_RESPONSE)]
    for part in _responses(head):
        parts += (varint.encode(part.status), _known(_lines(part.fields)))
    return b"".join((*parts, varint.encode(content_bytes)))


def encode_content(data: Bytes) -> list[Bytes]:
    """One chunk of content: its length and the data itself, not copied.

    Nothing for no data, since a chunk of length zero would end the content.
    """
    size = memoryview(data).nbytes
    return [varint.encode(size), data] if size else []


def encode_end(trailers: Fields = ()) -> bytes:
    """End the content, and the message, of indeterminate length.

    Raises:
        BinaryHttpError: If a trailer is malformed.
    """
    return b"\0" + _lines(Trailers(trailers).fields) + b"\0"


def _require_fields(fields: Fields) -> None:
    # A colon is in no token, so that pseudo-fields are refused too: none is defined for
    # us beyond the five that RFC 9292, section 3.6, forbids.
    for at, (name, value) in enumerate(fields):
        if not _NAME(name):
            raise BinaryHttpError(f"name of field {at}: expected a lower-case token")
        if not _VALUE(value):
            raise BinaryHttpError(
                f"value of field {at}: expected no NUL, CR or LF, no space at its ends"
            )


def _responses(head: ResponseHead) -> tuple[InformationalResponse | ResponseHead, ...]:
    return (*head.informational, head)


def _control(head: RequestHead) -> bytes:
    return varint.encode_strings((head.method, head.scheme, head.authority, head.path))


def _lines(fields: Fields) -> bytes:
    return varint.encode_strings(chain.from_iterable(fields))


def _known(section: bytes) -> bytes:
    return varint.encode(len(section)) + section


def _known_end(content: Bytes, trailers: Fields) -> tuple[Bytes, ...]:
    return content, _known(_lines(Trailers(trailers).fields))
