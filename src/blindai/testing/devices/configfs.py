"""configfs-tsm, made up: entries, generations, and the hardware asked when it is read.

As drivers/virt/coco/guest/report.c and fs/configfs/file.c have it: `inblob` takes
effect when it is closed, and an error then is lost; `privlevel` takes effect at once
and only whole; a blob is made anew where something was written since.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blindai.testing.devices.files import FakeFile

if TYPE_CHECKING:
    from collections.abc import Callable

_INBLOB_BYTES: Final = 64
_MAX_PRIVLEVEL: Final = 3
_OF_SEV_GUEST: Final = frozenset({"auxblob", "privlevel", "privlevel_floor"})


@dataclass(slots=True)
class _Entry:
    """One entry's state."""

    inblob: bytes = b""
    privlevel: int = 0
    written: int = 0
    read: int = 0
    blobs: tuple[bytes, bytes] | None = field(default=None, repr=False)


class FakeConfigfs:
    """A tree for `FakeFiles`.

    Attributes:
        entries: The entries that are there, by path.
        lost_writes: How many of the next writes to `inblob` are lost.
        on_blob: Called with the entry's path before a blob is made, for a test to
            interfere.
    """

    def __init__(
        self,
        provider: str | None,
        quote: Callable[[bytes, int], tuple[bytes, bytes]],
        *,
        root: str = "/sys/kernel/config/tsm/report",
        privlevel_floor: int = 0,
    ) -> None:
        """Load a driver.

        Args:
            provider: The driver's name, or None for no driver.
            quote: Makes outblob and auxblob for 64 bytes and a privilege level.
            root: Where entries are made.
            privlevel_floor: The lowest level that the driver accepts.
        """
        self._provider = provider
        self._quote = quote
        self._root = root
        self._floor = privlevel_floor
        self.entries: dict[str, _Entry] = {}
        self.lost_writes = 0
        self.on_blob: Callable[[str], None] = lambda _: None

    def mkdir(self, path: str, /) -> None:
        """Make an entry.

        Raises:
            OSError: If no driver is loaded, or it is there.
        """
        if path.rpartition("/")[0] != self._root:
            raise OSError(errno.ENOENT, "made up")
        if self._provider is None:
            raise OSError(errno.ENXIO, "made up")
        if path in self.entries:
            raise OSError(errno.EEXIST, "made up")
        self.entries[path] = _Entry()

    def rmdir(self, path: str, /) -> None:
        """Remove an entry.

        Raises:
            OSError: If it is not there.
        """
        if self.entries.pop(path, None) is None:
            raise OSError(errno.ENOENT, "made up")

    def write(self, path: str, inblob: bytes) -> None:
        """Write an entry's `inblob`, as another process might."""
        self._commit(self.entries[path], inblob)

    def open(self, path: str, /) -> FakeFile:
        """An attribute of an entry.

        Raises:
            OSError: If there is none such.
        """
        parent, _, name = path.rpartition("/")
        entry = self.entries.get(parent)
        hidden = self._provider != "sev_guest" and name in _OF_SEV_GUEST
        if entry is None or hidden:
            raise OSError(errno.ENOENT, "made up")
        if name == "inblob":
            return self._inblob(entry)
        if name == "privlevel":
            return FakeFile(store=lambda text: self._set_level(entry, text))
        loads: dict[str, Callable[[], bytes]] = {
            "generation": lambda: _line(entry.written),
            "provider": lambda: _line(self._provider),
            "privlevel_floor": lambda: _line(self._floor),
            "outblob": lambda: self._blobs(parent)[0],
            "auxblob": lambda: self._blobs(parent)[1],
        }
        if name not in loads:
            raise OSError(errno.ENOENT, "made up")
        return FakeFile(load=loads[name])

    def _inblob(self, entry: _Entry) -> FakeFile:
        pieces: list[bytes] = []

        def store(piece: bytes) -> None:
            if sum(map(len, pieces)) + len(piece) > _INBLOB_BYTES:
                raise OSError(errno.EFBIG, "made up")
            pieces.append(piece)

        def release() -> None:
            if pieces and self.lost_writes:
                self.lost_writes -= 1
            elif pieces:
                self._commit(entry, b"".join(pieces))

        return FakeFile(store=store, release=release)

    @staticmethod
    def _commit(entry: _Entry, inblob: bytes) -> None:
        entry.inblob = inblob
        entry.written += 1

    def _set_level(self, entry: _Entry, text: bytes) -> None:
        level = int(text)
        if not self._floor <= level <= _MAX_PRIVLEVEL:
            raise OSError(errno.EINVAL, "made up")
        entry.privlevel = level
        entry.written += 1

    def _blobs(self, path: str) -> tuple[bytes, bytes]:
        entry = self.entries[path]
        self.on_blob(path)
        if not entry.inblob:
            raise OSError(errno.EINVAL, "made up")
        if entry.blobs is None or entry.read != entry.written:
            if len(entry.inblob) != _INBLOB_BYTES or entry.privlevel < self._floor:
                raise OSError(errno.EINVAL, "made up")
            entry.blobs = self._quote(entry.inblob, entry.privlevel)
            entry.read = entry.written
        return entry.blobs


def _line(value: object) -> bytes:
    return f"{value}\n".encode()
