"""Files on the operator's disk that appear whole or not at all.

A file is written beside its place, flushed, renamed, and the folder flushed. The folder
is the operator's: no link is followed, and nothing waits for a writer.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from blindai.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    Buffer = bytes | bytearray | memoryview

PIECE_BYTES: Final = 1 << 20
PARTIAL: Final = ".partial"
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_OLD_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class UnflushedError(OSError):
    """A file is in its place, and may not be there after a loss of power."""


def write_whole(file: Path, pieces: Iterable[Buffer]) -> None:
    """Write a file, in place of an older one if there is one.

    Raises:
        OSError: If the disk fails; an older file is then still there.
        UnflushedError: If only the last step failed, flushing the folder: then it is
            not known which of the two survives.
    """
    partial = file.with_name(file.name + PARTIAL)
    try:
        with os.fdopen(os.open(partial, _NEW_FILE, 0o600), "wb", 0) as target:
            for piece in pieces:
                _write(target.fileno(), piece)
            os.fsync(target.fileno())
        partial.replace(file)
    except OSError:
        _try_unlink(partial)
        raise
    try:
        flush(file.parent)
    except OSError as error:
        raise UnflushedError(error.errno, error.strerror) from error


@contextmanager
def reading(file: Path) -> Iterator[Iterator[bytes]]:
    """The bytes of a file, in pieces; those of an idle pipe end where it has no more.

    Raises:
        OSError: If it cannot be opened; the pieces raise it if it cannot be read.
    """
    with os.fdopen(os.open(file, _OLD_FILE), "rb", 0) as source:
        yield iter(lambda: source.read(PIECE_BYTES) or b"", b"")


def read_small(file: Path, max_bytes: int) -> bytes:
    """The bytes of a small file.

    Raises:
        OSError: If it cannot be read.
        InternalError: If it is larger.
    """
    data = bytearray()
    with reading(file) as pieces:
        for piece in pieces:
            data += piece
            if len(data) > max_bytes:
                raise InternalError(
                    f"model folder: expected at most {max_bytes} bytes of a file"
                )
    return bytes(data)


def flush(folder: Path) -> None:
    """Have the disk remember what was renamed and removed in a folder.

    Raises:
        OSError: If the disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reserve(file: Path, size: int) -> None:
    """Take up space that can be given back.

    Raises:
        OSError: If there is none.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(file, flags, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)


def words(verb: str, error: OSError) -> str:
    """What failed, without a path."""
    return f"model folder: could not {verb} a file: {error.strerror}"


def _write(descriptor: int, piece: Buffer) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _try_unlink(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError:  # it is cleared away at the next start
        return
