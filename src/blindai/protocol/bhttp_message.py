"""Binary HTTP, RFC 9292: the steps that read one message, however its bytes arrive.

The steps are generators that read as the format is drawn in `bhttp`. They take what is
there in one go, and yield where they need more bytes than were fed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from blindai.errors import BinaryHttpError, TooLargeError
from blindai.protocol import varint
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

if TYPE_CHECKING:
    from blindai.protocol.bhttp_decoder import Limits
    from blindai.protocol.buffers import Bytes

_T = TypeVar("_T")
_Head = TypeVar("_Head", RequestHead, ResponseHead)
_Event: TypeAlias = _Head | Content | Trailers | End
Steps: TypeAlias = Generator[bool, None, _T]

_MORE: Final = True  # what a step yields that needs more bytes
_END: Final = End()
_CONTROL: Final = ("method", "scheme", "authority", "path")
_SMALL_BYTES: Final = 512
_PADDING_BYTES: Final = 65536  # compared in one go


class Message(Generic[_Head]):
    """One message as it is read.

    It holds the last bytes fed, or an integer or string whose end has not come.

    Attributes:
        content_bytes: As `ResponseDecoder.content_bytes`.
    """

    def __init__(self, limits: Limits) -> None:
        self.content_bytes: int | None = None
        self._limits = limits
        self._known = False
        self._data: Bytes = b""
        self._at = 0  # the first byte not read
        self._needed = 0  # bytes of the string that is not whole, once that is known
        self._ended = False
        self._over = False
        self._events: list[_Event[_Head]] = []
        self._small = bytearray()

    def read(
        self, steps: Steps[None], data: Bytes, *, last: bool = False
    ) -> list[_Event[_Head]]:
        """Take the next bytes through the steps, or the end of all of them.

        Raises:
            BinaryHttpError: As `RequestDecoder.feed` and `finish`.
            TooLargeError: As `RequestDecoder.feed`.
            ValueError: If the message had ended or failed before.
        """
        if self._over:
            raise ValueError("decoder: expected no call after the end or an error")
        self._over = True  # and so it stays, if a step raises
        rest: Bytes = data if isinstance(data, bytes) else memoryview(data).cast("B")
        while rest:
            rest = self._add(rest)
            if len(self._data) >= self._needed:
                next(steps, None)
        if last:
            self._ended = True
            if next(steps, None) is _MORE:
                raise BinaryHttpError("message: expected more bytes, got its end")
            self._events.append(_END)
        if self._small:
            self._pass_small()
        self._over = last
        events, self._events = self._events, []
        return events

    def steps(
        self,
        framings: tuple[Framing, Framing],
        read_head: Callable[[Message[_Head]], Steps[_Head]],
    ) -> Steps[None]:
        """All steps of a message with one of two framings, of known length first.

        Raises:
            BinaryHttpError: If the message is malformed or its head over a limit.
        """
        while not (found := varint.decode(self._data, self._at)):
            yield _MORE
        framing, self._at = found
        if framing not in framings:
            raise BinaryHttpError(
                f"framing indicator: expected {framings[0]} or {framings[1]}, "
                f"got {framing}"
            )
        self._known = framing == framings[0]
        head = yield from read_head(self)
        self._events.append(head)
        yield from self._content()
        if trailers := (yield from self._section()):
            if self._small:
                self._pass_small()
            self._events.append(Trailers(trailers))
        while not self._ended:
            self._padding()
            yield _MORE

    def request_head(self) -> Steps[RequestHead]:
        """Control data and header section of a request.

        Raises:
            BinaryHttpError: If it is malformed or over a limit.
        """
        limit = self._limits.max_control_bytes
        control: list[bytes] = []
        while True:
            self._strings(control, len(_CONTROL), limit, len(self._data))
            if len(control) == len(_CONTROL):
                break
            size, _ = self._next_string()
            if size > limit:
                raise BinaryHttpError(
                    f"{_CONTROL[len(control)]}: expected at most {limit} bytes, "
                    f"got {size}"
                )
            yield _MORE
        method, scheme, authority, path = control
        fields = yield from self._section()
        return RequestHead(method, scheme, authority, path, fields)

    def response_head(self) -> Steps[ResponseHead]:
        """Status and header section of a response, and of those before it.

        Raises:
            BinaryHttpError: If it is malformed or over a limit.
        """
        limit = self._limits.max_informational
        informational: list[InformationalResponse] = []
        while True:
            while not (found := varint.decode(self._data, self._at)):
                yield _MORE
            status, self._at = found
            if status not in range(100, 200):
                break
            if len(informational) == limit:
                raise BinaryHttpError(
                    f"informational responses: expected at most {limit}"
                )
            fields = yield from self._section()
            informational.append(InformationalResponse(status, fields))
        fields = yield from self._section()
        return ResponseHead(status, fields, tuple(informational))

    def _section(self) -> Steps[Fields]:
        # Empty where the message is truncated; a header section may be missing too
        # (RFC 9292, section 3.1).
        while self._at == len(self._data):
            if self._ended:
                return ()
            yield _MORE
        limit = self._limits.max_field_section_bytes
        if not self._known:
            return (yield from self._lines(limit))
        while not (found := varint.decode(self._data, self._at)):
            yield _MORE
        size, self._at = found
        if size > limit:
            raise BinaryHttpError(
                f"field section: expected at most {limit} bytes, got {size}"
            )
        return (yield from self._lines(size))

    def _lines(self, room: int) -> Steps[Fields]:
        # They end where there is no more room, or with an empty name.
        limit = self._limits.max_fields
        strings: list[bytes] = []
        while True:
            room = self._strings(
                strings, 2 * limit + 1, room, room, until_empty=not self._known
            )
            name_last = len(strings) % 2 == 1
            if self._known and not (room or name_last):
                break
            if not self._known and name_last and not strings[-1]:
                break
            if len(strings) > 2 * limit:
                raise BinaryHttpError(f"field section: expected at most {limit} fields")
            _, size = self._next_string()
            if size > room:
                raise BinaryHttpError(
                    "field section: expected lines within its size, or the limit, "
                    "got more"
                )
            yield _MORE
        return tuple(zip(strings[::2], strings[1::2], strict=False))

    def _content(self) -> Steps[None]:
        # One chunk, or many; none where the message is truncated.
        while self._at == len(self._data):
            if self._ended:
                return
            yield _MORE
        limit = self._limits.max_content_bytes
        room = varint.MAX if limit is None else limit
        while True:
            while not (found := varint.decode(self._data, self._at)):
                yield _MORE
            size, self._at = found
            room -= size
            if room < 0:
                raise TooLargeError(f"content: expected at most {limit} bytes")
            left = size
            self.content_bytes = (left or None) if self._known else None
            while left := left - self._pass(left):
                yield _MORE
            if self._known or not size:
                return

    def _padding(self) -> None:
        rest = memoryview(self._data)[self._at :]
        for start in range(0, len(rest), _PADDING_BYTES):
            part = bytes(rest[start : start + _PADDING_BYTES])
            if part != bytes(len(part)):
                raise BinaryHttpError("padding: expected zeros, got other bytes")
        self._at = len(self._data)

    def _pass(self, most: int) -> int:
        # Small neighbours become one, or chunks of one byte each would cost a hundred
        # times their size in memory.
        part: Bytes = self._data
        if self._at or len(part) > most:
            part = memoryview(part)[self._at : self._at + most]
        self._at += len(part)
        if len(part) < _SMALL_BYTES:
            self._small += part
        else:
            if self._small:
                self._pass_small()
            self._events.append(Content(part))
        return len(part)

    def _pass_small(self) -> None:
        self._events.append(Content(bytes(self._small)))
        self._small.clear()

    def _strings(
        self,
        into: list[bytes],
        most: int,
        limit: int,
        room: int,
        *,
        until_empty: bool = False,
    ) -> int:
        """Read the strings that are there, each with its length before it.

        Args:
            into: Gets them, and has those read before.
            most: How many it may have.
            limit: Bytes of each string, at most.
            room: Bytes of all strings and lengths, at most.
            until_empty: Whether an empty one at an even place is the last.

        Returns:
            How much room is left.
        """
        data, at = self._data, self._at
        end = min(len(data), at + room)
        while at < end and len(into) < most:
            if data[at] < 0x40:
                size, start = data[at], at + 1
            elif found := varint.decode(data, at):
                size, start = found
            else:
                break
            if size > limit or start + size > end:
                break
            at = start + size
            into.append(bytes(data[start:at]))
            if until_empty and not size and len(into) % 2:
                break
        room -= at - self._at
        self._at = at
        return room

    def _next_string(self) -> tuple[int, int]:
        # Its size, without and with its length; zeros as long as that is not there.
        found = varint.decode(self._data, self._at)
        if not found:
            return 0, 0
        size, start = found
        self._needed = start - self._at + size
        return size, self._needed

    def _add(self, data: Bytes) -> Bytes:
        # What began before gets the bytes it lacks and no more, so that content is not
        # copied; the rest is given back.
        if self._at == len(self._data):
            self._data, self._at, self._needed = data, 0, 0
            return b""
        if not isinstance(self._data, bytearray):
            self._data, self._at = bytearray(self._data[self._at :]), 0
        lacks = max(self._needed - len(self._data), 1)
        self._data += data[:lacks]
        return memoryview(data)[lacks:]
