"""The pseudo-files and devices through which a TEE is asked: thin, strict, replaceable.

Attesters make the calls of `os` through `Files`, so that a test can put a faithful fake
of a device in the place of the kernel. `os` is itself an implementation. Every failure
becomes a `HardwareError` that says what to do about it.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from blindai.errors import HardwareAbsentError, HardwareBusyError, HardwareError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Advice = Mapping[int, str]

_Result = TypeVar("_Result")

_CHUNK_BYTES: Final = 1 << 16
_TRIES: Final = 16  # of a call that a signal interrupts
_KINDS: Final[Mapping[int, type[HardwareError]]] = {
    errno.EBUSY: HardwareBusyError,
    errno.EAGAIN: HardwareBusyError,
    errno.ENOENT: HardwareAbsentError,
    errno.ENODEV: HardwareAbsentError,
    errno.ENXIO: HardwareAbsentError,
}


class Files(Protocol):
    """Files as the `os` module has them; each call raises OSError."""

    def open(self, path: str, flags: int, /) -> int:
        """A descriptor."""
        ...

    def read(self, descriptor: int, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...

    def write(self, descriptor: int, data: bytes, /) -> int:
        """How many of the bytes were taken."""
        ...

    def close(self, descriptor: int, /) -> None:
        """Give a descriptor back; some devices act only now."""
        ...


class Folders(Files, Protocol):
    """Files in folders that can be made, as the `os` module has both."""

    def mkdir(self, path: str, /) -> None:
        """Make a directory."""
        ...

    def rmdir(self, path: str, /) -> None:
        """Remove a directory."""
        ...


def uninterrupted(call: Callable[[], _Result]) -> _Result:
    """What a call returns, made again where a signal interrupts it.

    Raises:
        InterruptedError: If it is interrupted again and again.
    """
    for _ in range(_TRIES - 1):
        try:
            return call()
        except InterruptedError:
            continue
    return call()


def read_file(files: Files, path: str, limit: int, advice: Advice) -> bytes:
    """All of a file, however few bytes come at a time.

    Args:
        files: Whose files.
        path: Which of them.
        limit: Most bytes to accept.
        advice: What to do about an error, by its number.

    Raises:
        HardwareError: If it cannot be read, or is longer.
    """
    try:
        content = _read_all(files, path, limit)
    except OSError as error:
        failed = failure(path, "be read", error, advice)
        raise failed from error
    if len(content) > limit:
        raise HardwareError(f"{path}: expected at most {limit} bytes, got more")
    return content


def write_file(files: Files, path: str, content: bytes, advice: Advice) -> None:
    """Write a file's content in one call, as devices want it.

    Args:
        files: Whose files.
        path: Which of them; it has to be there.
        content: What to write.
        advice: What to do about an error, by its number.

    Raises:
        HardwareError: If it cannot be written, or is taken only in part.
    """
    try:
        descriptor = uninterrupted(lambda: files.open(path, os.O_WRONLY | os.O_CLOEXEC))
        try:
            written = uninterrupted(lambda: files.write(descriptor, content))
        finally:
            files.close(descriptor)
    except OSError as error:
        failed = failure(path, "be written", error, advice)
        raise failed from error
    if written != len(content):
        raise HardwareError(
            f"{path}: expected to take {len(content)} bytes at once, took {written}"
        )


def failure(path: str, verb: str, error: OSError, advice: Advice) -> HardwareError:
    """What a failed call means, for the operator.

    Args:
        path: The file or device.
        verb: What cannot be done to it, as in "be read".
        error: What the kernel says.
        advice: What to do about it, by its number.
    """
    number = error.errno or 0
    kind = _KINDS.get(number, HardwareError)
    name = errno.errorcode.get(number, "unknown error")
    message = f"{path}: cannot {verb}, {name}"
    return kind(f"{message}; {advice[number]}" if number in advice else message)


def _read_all(files: Files, path: str, limit: int) -> bytes:
    """The file's bytes, or more than `limit` of them if there are more."""
    descriptor = uninterrupted(lambda: files.open(path, os.O_RDONLY | os.O_CLOEXEC))
    content = bytearray()
    try:
        while len(content) <= limit:
            piece = uninterrupted(lambda: files.read(descriptor, _CHUNK_BYTES))
            if not piece:
                break
            content += piece
    finally:
        files.close(descriptor)
    return bytes(content)
