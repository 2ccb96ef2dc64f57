"""Reading an HTTP/1.1 answer (RFC 9112), without doing any I/O.

Only what a client needs that asks one thing at a time on a connection. What is not
exactly as the standard writes it is refused: nothing here is trusted, and what is
inside the answer is sealed.

    head, end = parse_head(received)
    body = Body(head)
    while not body.complete:
        content += body.feed(more)       # or body.end(), where the connection ends
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blindai.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from blindai.protocol.bhttp import Fields

MAX_HEAD_BYTES: Final = 65536
_MAX_LINE_BYTES: Final = 4096  # of a chunk's size with its extensions, or a trailer
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\0\r\n]*)?").fullmatch
_FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\0\r\n]*)").fullmatch
_LENGTH = re.compile(rb"[0-9]{1,18}").fullmatch
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?").fullmatch


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer.

    Attributes:
        status: 100 to 999.
        fields: Names, in lower case, and values, in order.
        length: Bytes of the body; None where its end is marked otherwise.
        chunked: Whether the body is in chunks.
        keeps: Whether the connection may be used again, once the body is read.
    """

    status: int
    fields: Fields = field(repr=False)
    length: int | None
    chunked: bool
    keeps: bool


def parse_head(received: bytes) -> tuple[Head, int] | None:
    """Read the head that an answer begins with.

    Returns:
        The head and the offset after it, or None where more bytes are needed.

    Raises:
        TransportError: If it is malformed or too large.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        if len(received) > MAX_HEAD_BYTES:
            raise TransportError(f"answer: expected a head of {MAX_HEAD_BYTES} bytes")
        return None
    status_line, *lines = received[:end].split(b"\r\n")
    status = _STATUS_LINE(status_line)
    if status is None:
        raise TransportError("answer: expected a status line of HTTP/1.1")
    fields: list[tuple[bytes, bytes]] = []
    named: dict[bytes, list[bytes]] = {}
    for line in lines:
        match = _FIELD_LINE(line)
        if match is None:
            raise TransportError("answer: expected header fields")
        name, value = match[1].lower(), match[2].strip(b" \t")
        fields.append((name, value))
        named.setdefault(name, []).append(value)
    code = int(status[2])
    length, chunked = _framing(code, named)
    words = b",".join(named.get(b"connection", [])).lower().split(b",")
    keeps = status[1] == b"1" and b"close" not in map(bytes.strip, words)
    delimited = chunked or length is not None
    return Head(code, tuple(fields), length, chunked, keeps and delimited), end + 4


class Body:
    """Reads one body.

    Attributes:
        complete: Whether all of it has been read.
    """

    def __init__(self, head: Head) -> None:
        """Wait for the body that a head announces."""
        self._left = head.length
        self._chunks = _Chunks() if head.chunked else None
        self.complete = head.length == 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes of the connection; give content, at most what there is.

        Raises:
            TransportError: If they are malformed, or more than the body.
        """
        if self._chunks is not None:
            pieces = self._chunks.feed(data)
            self.complete = self._chunks.complete
            return pieces
        if self._left is not None:
            self._left -= len(data)
            self.complete = self._left == 0
            if self._left < 0:
                raise TransportError("answer: expected its length, got more")
        return [data] if data else []

    def end(self) -> None:
        """The connection has ended.

        Raises:
            TransportError: If it should not have.
        """
        if self._chunks is not None or self._left is not None:
            raise TransportError("answer: expected more, got a closed connection")
        self.complete = True


class _Chunks:
    """Reads a body in chunks (RFC 9112, section 7.1).

    Extensions and trailers are dropped; together they are as small as a head.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._dropped = 0
        self._left = 0  # of a chunk, with the line break behind it
        self._ending = False
        self.complete = False

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        pieces: list[bytes] = []
        while self._buffer and not self.complete:
            if self._left > 2:
                pieces.append(self._take(self._left - 2))
            elif self._left:
                if len(self._buffer) < 2:
                    break
                if self._take(2) != b"\r\n":
                    raise TransportError("answer: expected the end of a chunk")
            elif not self._line():
                break
        if self.complete and self._buffer:
            raise TransportError("answer: expected its end, got more")
        return pieces

    def _take(self, at_most: int) -> bytes:
        taken = bytes(self._buffer[:at_most])
        del self._buffer[:at_most]
        self._left -= len(taken)
        return taken

    def _line(self) -> bool:
        """Read a line, if it is there: a chunk's size, or a trailer.

        Raises:
            TransportError: If it is too long, or no size.
        """
        end = self._buffer.find(b"\r\n")
        if max(end, len(self._buffer) if end < 0 else 0) > _MAX_LINE_BYTES:
            raise TransportError("answer: expected a line, got too long a one")
        if end < 0:
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        if self._ending:
            self.complete = not line
            self._drop(len(line))
        else:
            self._begin(line)
        return True

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > MAX_HEAD_BYTES:
            raise TransportError("answer: expected its content, got too much else")

    def _begin(self, line: bytes) -> None:
        size = _CHUNK_SIZE(line)
        if size is None:
            raise TransportError("answer: expected the size of a chunk")
        self._drop(len(line) - len(size[1]))
        count = int(size[1], 16)
        self._ending = count == 0
        self._left = count + 2 if count else 0


def _framing(
    status: int, named: Mapping[bytes, Sequence[bytes]]
) -> tuple[int | None, bool]:
    """Length of the body, if it is known, and whether it is chunked.

    Raises:
        TransportError: If the fields contradict one another.
    """
    lengths = set(named.get(b"content-length", ()))
    codings = named.get(b"transfer-encoding", ())
    if status < 200 or status in {204, 304}:
        return 0, False
    if codings and (lengths or [each.lower() for each in codings] != [b"chunked"]):
        raise TransportError("answer: expected a body of a length, or in chunks")
    if len(lengths) > 1 or not all(map(_LENGTH, lengths)):
        raise TransportError("answer: expected one length")
    return (int(lengths.pop()) if lengths else None), bool(codings)
