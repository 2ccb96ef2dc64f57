"""Binary HTTP, RFC 9292: reading messages of either framing, as their bytes arrive.

A decoder is fed pieces of any size and answers with events: the head, content,
trailers if there are any, and the end. It holds no more than one head or trailer
section, within `Limits`; content passes through as slices of what was fed.

    decoder = RequestDecoder(Limits(max_content_bytes=1 << 20))
    for piece in pieces:
        events = decoder.feed(piece)
    events = decoder.finish()
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from blindai.protocol.bhttp import (
    Content,
    End,
    Fields,
    Framing,
    RequestHead,
    ResponseHead,
    Trailers,
)
from blindai.protocol.bhttp_message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blindai.protocol.buffers import Bytes

_REQUEST: Final = (Framing.KNOWN_REQUEST, Framing.INDETERMINATE_REQUEST)
_RESPONSE: Final = (Framing.KNOWN_RESPONSE, Framing.INDETERMINATE_RESPONSE)


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


class RequestDecoder:
    """Reads one request.

    An error is final: the decoder takes no more calls.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._message: Message[RequestHead] = Message(limits)
        self._steps = self._message.steps(_REQUEST, Message.request_head)

    def feed(self, data: Bytes) -> list[RequestEvent]:
        """Read the next bytes of the message.

        Raises:
            BinaryHttpError: If the message is malformed or its head over a limit.
            TooLargeError: If there is more content than `max_content_bytes`.
            ValueError: If the message had ended or failed before.
        """
        return self._message.read(self._steps, data)

    def finish(self) -> list[RequestEvent]:
        """Say that there are no more bytes; the last event is `End`.

        Raises:
            BinaryHttpError: If the message is cut short.
            ValueError: If the message had ended or failed before.
        """
        return self._message.read(self._steps, b"", last=True)


class ResponseDecoder:
    """Reads one response, and the informational ones before it.

    An error is final: the decoder takes no more calls.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._message: Message[ResponseHead] = Message(limits)
        self._steps = self._message.steps(_RESPONSE, Message.response_head)

    @property
    def content_bytes(self) -> int | None:
        """Bytes of all content, once some has begun, in a message of known length."""
        return self._message.content_bytes

    def feed(self, data: Bytes) -> list[ResponseEvent]:
        """Read the next bytes of the message.

        Raises:
            BinaryHttpError: If the message is malformed or its head over a limit.
            TooLargeError: If there is more content than `max_content_bytes`.
            ValueError: If the message had ended or failed before.
        """
        return self._message.read(self._steps, data)

    def finish(self) -> list[ResponseEvent]:
        """Say that there are no more bytes; the last event is `End`.

        Raises:
            BinaryHttpError: If the message is cut short.
            ValueError: If the message had ended or failed before.
        """
        return self._message.read(self._steps, b"", last=True)


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
