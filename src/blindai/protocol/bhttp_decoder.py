"""Binary HTTP, RFC 9292: reading messages of either framing, as their bytes arrive.

A decoder is fed pieces of any size and answers with events: the head, content,
trailers if there are any, and the end. It holds no more than one head or trailer
section, within `Limits`; content passes through as slices of what was fed.

    decoder = RequestDecoder(Limits(max_content_bytes=1 << 20))
    for piece in pieces:
        events = decoder.feed(piece)
    events = decoder.finish()

The steps below are generators that read as the format is drawn in `bhttp`. They yield
events, or None when they need more bytes than were fed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from blindai.errors import BinaryHttpError, TooLargeError
from blindai.protocol.bhttp import (
    Content,
    End,
    Fields,
    Framing,
    InformationalResponse,
    RequestHead,
    ResponseHead,
    Trailers,
)
from blindai.protocol.bhttp_source import Reading, Source

if TYPE_CHECKING:
    from blindai.protocol.buffers import Bytes

_SMALL_BYTES = 512
_PADDING_BYTES = 65536  # compared in one go


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a decoder holds, or lets through, at most.

    Attributes:
        max_field_section_bytes: Size of each field section; without its length, but
            with the terminator where it has one.
        max_fields: Lines in each field section.
        max_control_bytes: Size of each of method, scheme, authority and path.
        max_informational: Informational responses before the final one.
        max_content_bytes: Size of the content; None: any.
    """

    max_field_section_bytes: int = 65536
    max_fields: int = 256
    max_control_bytes: int = 16384
    max_informational: int = 16
    max_content_bytes: int | None = None


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request.

    Attributes:
        head: Control data and header section.
        content: The content.
        trailers: The trailer section, often empty.
    """

    head: RequestHead
    content: bytes = field(default=b"", repr=False)
    trailers: Fields = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response.

    Attributes:
        head: Control data and header section, and the informational responses.
        content: The content.
        trailers: The trailer section, often empty.
    """

    head: ResponseHead
    content: bytes = field(default=b"", repr=False)
    trailers: Fields = field(default=(), repr=False)


RequestEvent: TypeAlias = RequestHead | Content | Trailers | End
ResponseEvent: TypeAlias = ResponseHead | Content | Trailers | End

_Head = TypeVar("_Head", RequestHead, ResponseHead)
_Event: TypeAlias = _Head | Content | Trailers | End
_Steps: TypeAlias = Generator[_Event[_Head] | None, None, None]


class RequestDecoder:
    """Reads one request.

    An error is final: the decoder takes no more calls.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        framings = (Framing.KNOWN_REQUEST, Framing.INDETERMINATE_REQUEST)
        self._core = _Core(limits, framings, _request_head)

    def feed(self, data: Bytes) -> list[RequestEvent]:
        """Read the next bytes of the message.

        Raises:
            BinaryHttpError: If the message is malformed or its head over a limit.
            TooLargeError: If there is more content than `max_content_bytes`.
            ValueError: If the message had ended or failed before.
        """
        return self._core.feed(data)

    def finish(self) -> list[RequestEvent]:
        """Say that there are no more bytes; the last event is `End`.

        Raises:
            BinaryHttpError: If the message is cut short.
            ValueError: If the message had ended or failed before.
        """
        return self._core.finish()


class ResponseDecoder:
    """Reads one response, and the informational ones before it.

    An error is final: the decoder takes no more calls.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        framings = (Framing.KNOWN_RESPONSE, Framing.INDETERMINATE_RESPONSE)
        self._core = _Core(limits, framings, _response_head)

    @property
    def content_bytes(self) -> int | None:
        """Bytes of all content, once some has begun, in a message of known length."""
        return self._core.content_bytes

    def feed(self, data: Bytes) -> list[ResponseEvent]:
        """Read the next bytes of the message.

        Raises:
            BinaryHttpError: If the message is malformed or its head over a limit.
            TooLargeError: If there is more content than `max_content_bytes`.
            ValueError: If the message had ended or failed before.
        """
        return self._core.feed(data)

    def finish(self) -> list[ResponseEvent]:
        """Say that there are no more bytes; the last event is `End`.

        Raises:
            BinaryHttpError: If the message is cut short.
            ValueError: If the message had ended or failed before.
        """
        return self._core.finish()


def decode_request(data: Bytes, limits: Limits = DEFAULT_LIMITS) -> Request:
    """Read a whole request of either framing.

    Raises:
        BinaryHttpError: If the bytes are not one request within the limits.
        TooLargeError: If there is more content than `max_content_bytes`.
    """
    decoder = RequestDecoder(limits)
    events = decoder.feed(data) + decoder.finish()
    head = next(event for event in events if isinstance(event, RequestHead))
    return Request(head, *_content_and_trailers(events))


def decode_response(data: Bytes, limits: Limits = DEFAULT_LIMITS) -> Response:
    """Read a whole response of either framing.

    Raises:
        BinaryHttpError: If the bytes are not one response within the limits.
        TooLargeError: If there is more content than `max_content_bytes`.
    """
    decoder = ResponseDecoder(limits)
    events = decoder.feed(data) + decoder.finish()
    head = next(event for event in events if isinstance(event, ResponseHead))
    return Response(head, *_content_and_trailers(events))


def _content_and_trailers(events: Iterable[object]) -> tuple[bytes, Fields]:
    content: list[Bytes] = []
    trailers: Fields = ()
    for event in events:
        if isinstance(event, Content):
            content.append(event.data)
        elif isinstance(event, Trailers):
            trailers = event.fields
    return b"".join(content), trailers


class _Core(Generic[_Head]):
    """Runs the steps of one message."""

    def __init__(
        self,
        limits: Limits,
        framings: tuple[Framing, Framing],
        read_head: Callable[[_Format], Reading[_Head]],
    ) -> None:
        self._source = Source()
        self._message = _Format(self._source, limits)
        self._steps: _Steps[_Head] = _steps(self._message, framings, read_head)
        self._over = False

    @property
    def content_bytes(self) -> int | None:
        return self._message.content_bytes

    def feed(self, data: Bytes) -> list[_Event[_Head]]:
        self._source.add(data)
        events = self._run()
        self._over = False
        return events

    def finish(self) -> list[_Event[_Head]]:
        self._source.end()
        return self._run()

    def _run(self) -> list[_Event[_Head]]:
        if self._over:
            raise ValueError("decoder: expected no call after the end or an error")
        self._over = True  # and so it stays, if a step raises
        return list(_joined(self._steps))


def _joined(steps: _Steps[_Head]) -> Iterator[_Event[_Head]]:
    # Small neighbours become one, or chunks of one byte each would cost a hundred
    # times their size in memory.
    small = bytearray()
    for event in steps:
        if isinstance(event, Content) and len(event.data) < _SMALL_BYTES:
            small += event.data
            continue
        if small:
            yield Content(bytes(small))
            small.clear()
        if event is None:
            return
        yield event


@dataclass(slots=True)
class _Format:
    """The steps that depend on the framing of the message."""

    source: Source
    limits: Limits
    known: bool = False
    content_bytes: int | None = None

    def section(self) -> Reading[Fields]:
        """A header or trailer section; empty where the message is truncated.

        A header section may be missing too (RFC 9292, section 3.1).

        Raises:
            BinaryHttpError: If it is malformed or over a limit.
        """
        source, limits = self.source, self.limits
        if (yield from source.at_end()):
            return ()
        size = limits.max_field_section_bytes
        if self.known:
            size = yield from self._size("field section", size)
        end = source.position + size
        fields: list[tuple[bytes, bytes]] = []
        while not self.known or source.position < end:
            name = source.string(end)
            if name is None:
                name = yield from self._string(end)
            if not (name or self.known):
                break
            if len(fields) == limits.max_fields:
                raise BinaryHttpError(
                    f"field section: expected at most {limits.max_fields} fields"
                )
            value = source.string(end)
            if value is None:
                value = yield from self._string(end)
            fields.append((name, value))
        return tuple(fields)

    def _string(self, end: int) -> Reading[bytes]:
        size = yield from self.source.varint()
        if size > end - self.source.position:
            raise BinaryHttpError(
                "field section: expected lines within its size, or the limit, got more"
            )
        return (yield from self.source.take(size))

    def content(self) -> Generator[Content | None, None, None]:
        """Content of one chunk, or of many; none where the message is truncated.

        Raises:
            TooLargeError: If it is over the limit.
        """
        if (yield from self.source.at_end()):
            return
        total, limit = 0, self.limits.max_content_bytes
        while left := (yield from self.source.varint()):
            total += left
            if limit is not None and total > limit:
                raise TooLargeError(f"content: expected at most {limit} bytes")
            if self.known:
                self.content_bytes = left
            while left:
                part = yield from self.source.some(left)
                left -= len(part)
                yield Content(part)
            if self.known:
                return

    def control(self, what: str) -> Reading[bytes]:
        """One part of the request control data."""
        size = yield from self._size(what, self.limits.max_control_bytes)
        return (yield from self.source.take(size))

    def _size(self, what: str, limit: int) -> Reading[int]:
        size = yield from self.source.varint()
        if size > limit:
            raise BinaryHttpError(f"{what}: expected at most {limit} bytes, got {size}")
        return size


def _steps(
    message: _Format,
    framings: tuple[Framing, Framing],
    read_head: Callable[[_Format], Reading[_Head]],
) -> _Steps[_Head]:
    source = message.source
    framing = yield from source.varint()
    if framing not in framings:
        raise BinaryHttpError(
            f"framing indicator: expected {framings[0]} or {framings[1]}, got {framing}"
        )
    message.known = framing == framings[0]
    yield (yield from read_head(message))
    yield from message.content()
    if trailers := (yield from message.section()):
        yield Trailers(trailers)
    while not (yield from source.at_end()):
        padding = yield from source.some(_PADDING_BYTES)
        if bytes(padding) != bytes(len(padding)):
            raise BinaryHttpError("padding: expected zeros, got other bytes")
    yield End()


def _request_head(message: _Format) -> Reading[RequestHead]:
    return RequestHead(
        (yield from message.control("method")),
        (yield from message.control("scheme")),
        (yield from message.control("authority")),
        (yield from message.control("path")),
        (yield from message.section()),
    )


def _response_head(message: _Format) -> Reading[ResponseHead]:
    limit = message.limits.max_informational
    informational: list[InformationalResponse] = []
    while (status := (yield from message.source.varint())) in range(100, 200):
        if len(informational) == limit:
            raise BinaryHttpError(f"informational responses: expected at most {limit}")
        fields = yield from message.section()
        informational.append(InformationalResponse(status, fields))
    fields = yield from message.section()
    return ResponseHead(status, fields, tuple(informational))
