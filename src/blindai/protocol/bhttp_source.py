"""What a Binary HTTP decoder reads from: bytes that arrive in pieces of any size.

A step returns once it has what it asks for, and yields None while it has not:

    size = yield from source.varint()
    name = yield from source.take(size)
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from blindai.errors import BinaryHttpError
from blindai.protocol import varint

if TYPE_CHECKING:
    from blindai.protocol.buffers import Bytes

_T = TypeVar("_T")
Reading: TypeAlias = Generator[None, None, _T]


class Source:
    """The bytes fed and not yet read; it holds one piece and one unfinished string."""

    def __init__(self) -> None:
        self._data: Bytes = b""
        self._at = 0
        self._before = 0
        self._ended = False

    @property
    def position(self) -> int:
        """How many bytes have been read since the start of the message."""
        return self._before + self._at

    def add(self, data: Bytes) -> None:
        """More bytes; called when all others have been read."""
        self._before += len(self._data)
        self._data = data if isinstance(data, bytes) else memoryview(data).cast("B")
        self._at = 0

    def end(self) -> None:
        """No more bytes."""
        self._ended = True

    def at_end(self) -> Reading[bool]:
        """Whether all bytes of the message have been read."""
        while self._at == len(self._data):
            if self._ended:
                return True
            yield
        return False

    def some(self, at_most: int) -> Reading[Bytes]:
        """At least one byte and at most `at_most`, without copying.

        Raises:
            BinaryHttpError: If all bytes of the message have been read.
        """
        if (yield from self.at_end()):
            raise BinaryHttpError("message: expected more bytes, got its end")
        if self._at == 0 and len(self._data) <= at_most:
            self._at = len(self._data)
            return self._data
        part = memoryview(self._data)[self._at : self._at + at_most]
        self._at += len(part)
        return part

    def string(self, end: int) -> bytes | None:
        """A string with its length before it, if all of it is there, before `end`.

        A short way: None says nothing about the message, and nothing was read.
        """
        found = varint.decode(self._data, self._at)
        if found is None:
            return None
        size, start = found
        stop = start + size
        if stop > len(self._data) or stop > end - self._before:
            return None
        self._at = stop
        return bytes(self._data[start:stop])

    def take(self, size: int) -> Reading[bytes]:
        """Exactly `size` bytes, which the caller has held against a limit."""
        end = self._at + size
        if end <= len(self._data):
            taken = bytes(self._data[self._at : end])
            self._at = end
            return taken
        held = bytearray()
        while len(held) < size:
            held += yield from self.some(size - len(held))
        return bytes(held)

    def varint(self) -> Reading[int]:
        """A variable-length integer."""
        if found := varint.decode(self._data, self._at):
            value, self._at = found
            return value
        held = b""
        while not (found := varint.decode(held)):
            held += yield from self.take(1)
        return found[0]
