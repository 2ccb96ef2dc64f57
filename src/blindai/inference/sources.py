"""Where a model's bytes are while it is not loaded: in memory, or on the disk."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from blindai.errors import ConfigurationError
from blindai.inference import disk
from blindai.inference.spool import Spool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from blindai.inference.blocking import Threads
    from blindai.inference.folder import SealedFolder
    from blindai.inference.index import Entry


class MemorySource:
    """The bytes stay in memory, beside what the loaded model takes.

    Args:
        spool: The bytes; they are kept when it is closed.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool.keep()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Spool]:
        """See `engine.Source`."""
        with self._spool.keep() as spool:
            yield spool

    def close(self) -> None:
        """Free the memory."""
        self._spool.close()


class SealedSource:
    """The bytes are in a sealed file, and are opened when they are needed.

    Args:
        folder: Where the file is.
        entry: Which model it has to be.
        threads: Where the disk is waited for.
    """

    def __init__(self, folder: SealedFolder, entry: Entry, threads: Threads) -> None:
        self._folder = folder
        self._entry = entry
        self._threads = threads

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Spool]:
        """See `engine.Source`.

        Raises:
            SealingError: If the file is not that model's any more.
        """
        with Spool(self._threads, self._entry.size_bytes) as spool:
            await self._threads.call(self._folder.read, self._entry, spool)
            yield spool

    def close(self) -> None:
        """Nothing to free."""


class FileSource:
    """The bytes are in an ordinary file of the operator's; their digest decides.

    Args:
        path: The file.
        digest: SHA-256 it must have, 64 lower-case hexadecimal digits.
        max_bytes: The largest it may be.
        threads: Where the disk is waited for.
    """

    def __init__(
        self, path: Path, digest: str, max_bytes: int, threads: Threads
    ) -> None:
        self._path = path
        self._digest = digest
        self._max_bytes = max_bytes
        self._threads = threads

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Spool]:
        """See `engine.Source`.

        Raises:
            ConfigurationError: If the file cannot be read, or has another digest.
            TooLargeError: If it is larger than a model may be.
        """
        with Spool(self._threads, self._max_bytes) as spool:
            await self._threads.call(self._read, spool)
            yield spool

    def require(self) -> None:
        """Require that the file is there, and has the digest. Blocks.

        Raises:
            ConfigurationError: If it cannot be read, or has another.
            TooLargeError: If it is larger than a model may be.
        """
        with Spool(self._threads, self._max_bytes) as spool:
            self._read(spool)

    def close(self) -> None:
        """Nothing to free."""

    def _read(self, spool: Spool) -> None:
        try:
            with disk.reading(self._path) as pieces:
                for piece in pieces:
                    spool.append(piece)
        except OSError as error:
            raise ConfigurationError(
                f"preload {self._path}: cannot be read: {error.strerror}"
            ) from error
        if spool.digest != self._digest:
            raise ConfigurationError(
                f"preload {self._path}: expected SHA-256 {self._digest},"
                f" got {spool.digest}"
            )
