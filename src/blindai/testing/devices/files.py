"""Pseudo-files in memory: descriptors, short reads and faults, over any tree."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(slots=True, kw_only=True)
class FakeFile:
    """An open pseudo-file, as its driver sees it.

    Attributes:
        load: Its content, asked for at the first read; None if it is not readable.
        store: Takes what one write brings; None if it is not writable.
        release: Called when it is closed.
    """

    load: Callable[[], bytes] | None = None
    store: Callable[[bytes], None] | None = None
    release: Callable[[], None] | None = None
    content: bytes | None = field(default=None, repr=False)
    position: int = 0


class Tree(Protocol):
    """What a driver offers."""

    def open(self, path: str, /) -> FakeFile:
        """The file of a path, newly opened; raises OSError."""
        ...


@runtime_checkable
class Directories(Protocol):
    """What a driver offers in which directories can be made."""

    def mkdir(self, path: str, /) -> None:
        """Make a directory; raises OSError."""
        ...

    def rmdir(self, path: str, /) -> None:
        """Remove a directory; raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class FixedFiles:
    """A tree of files that never change.

    Attributes:
        contents: By path.
    """

    contents: Mapping[str, bytes]

    def open(self, path: str, /) -> FakeFile:
        """One of them.

        Raises:
            OSError: If there is none such.
        """
        if path not in self.contents:
            raise OSError(errno.ENOENT, "made up")
        return FakeFile(load=lambda: self.contents[path])


@dataclass(slots=True)
class Fault:
    """A call that fails.

    Attributes:
        call: open, read, write, close, mkdir or rmdir.
        name: The last part of the path; any if empty.
        error: The number of the error.
        times: How often it happens.
    """

    call: str
    name: str
    error: int
    times: int = 1


class FakeFiles:
    """The calls of `os` over a tree of pseudo-files.

    Attributes:
        calls: What was called, and on what, in order.
        open_descriptors: How many files are open now.
    """

    def __init__(
        self,
        tree: Tree,
        faults: Sequence[Fault] = (),
        *,
        piece_bytes: int = 1 << 20,
        taken_bytes: int = 1 << 20,
    ) -> None:
        """Put a driver behind the calls.

        Args:
            tree: The driver.
            faults: What goes wrong, each as often as it says.
            piece_bytes: Most bytes that one read gives.
            taken_bytes: Most bytes that one write takes.
        """
        self._tree = tree
        self._faults = list(faults)
        self._piece_bytes = piece_bytes
        self._taken_bytes = taken_bytes
        self._open: dict[int, tuple[str, FakeFile]] = {}
        self._next = 1000
        self._lock = threading.Lock()
        self.calls: list[tuple[str, str]] = []

    @property
    def open_descriptors(self) -> int:
        """How many files are open now."""
        return len(self._open)

    def open(self, path: str, flags: int, /) -> int:
        """A descriptor; the flags must fit what the file can do.

        Raises:
            OSError: As `open(2)`.
        """
        self._call("open", path)
        file = self._tree.open(path)
        wanted = file.store if flags & os.O_ACCMODE == os.O_WRONLY else file.load
        if wanted is None:
            raise OSError(errno.EACCES, "made up")
        with self._lock:
            self._next += 1
            self._open[self._next] = (path, file)
            return self._next

    def read(self, descriptor: int, size: int, /) -> bytes:
        """The next bytes.

        Raises:
            OSError: As `read(2)`.
        """
        path, file = self._open[descriptor]
        self._call("read", path)
        if file.load is None:
            raise OSError(errno.EBADF, "made up")
        if file.content is None:
            file.content = file.load()
        start = file.position
        piece = file.content[start : start + min(size, self._piece_bytes)]
        file.position += len(piece)
        return piece

    def write(self, descriptor: int, data: bytes, /) -> int:
        """Hand bytes to the driver.

        Raises:
            OSError: As `write(2)`.
        """
        path, file = self._open[descriptor]
        self._call("write", path)
        if file.store is None:
            raise OSError(errno.EBADF, "made up")
        taken = data[: self._taken_bytes]
        file.store(taken)
        return len(taken)

    def close(self, descriptor: int, /) -> None:
        """Close; the driver may act now. The descriptor is gone even if it fails."""
        path, file = self._open.pop(descriptor)
        self._call("close", path)
        if file.release is not None:
            file.release()

    def mkdir(self, path: str, /) -> None:
        """Make a directory."""
        self._call("mkdir", path)
        self._directories().mkdir(path)

    def rmdir(self, path: str, /) -> None:
        """Remove a directory."""
        self._call("rmdir", path)
        self._directories().rmdir(path)

    def _directories(self) -> Directories:
        if not isinstance(self._tree, Directories):
            raise OSError(errno.EACCES, "made up")
        return self._tree

    def _call(self, call: str, path: str) -> None:
        name = path.rpartition("/")[2]
        self.calls.append((call, name))
        for fault in self._faults:
            if fault.times and fault.call == call and fault.name in {"", name}:
                fault.times -= 1
                raise OSError(fault.error, "made up")
