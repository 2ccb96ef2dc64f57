"""An upload on its way in: hashed as it arrives, and never on the operator's disk."""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
from typing import TYPE_CHECKING, Final, Self

from blindai.errors import TooLargeError

if TYPE_CHECKING:
    from types import TracebackType

    from blindai.inference.blocking import Threads

    Buffer = bytes | bytearray | memoryview

# Hashing and copying this much keeps the loop for about 0.2 ms: a thread is not faster.
_INLINE_BYTES: Final = 256 << 10
_SEALS: Final = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


class Spool:
    """A model's bytes while they arrive.

    They lie in a file without a name or a disk (`memfd_create`): in the enclave's
    memory, and never in plaintext where the operator keeps files. A context manager;
    closing it frees the memory.

    Args:
        threads: Where long writes go.
        max_bytes: The largest model.
        descriptor: Of the file, if there is one already.
    """

    def __init__(
        self, threads: Threads, max_bytes: int, descriptor: int | None = None
    ) -> None:
        self._threads = threads
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        if descriptor is None:
            descriptor = os.memfd_create("model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._file = open(  # noqa: SIM115, PTH123  # a descriptor; close() closes it
            descriptor, "wb", buffering=0
        )
        self.size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def digest(self) -> str:
        """SHA-256 of what has arrived, 64 hexadecimal digits."""
        return self._digest.hexdigest()

    @property
    def path(self) -> str:
        """Where this process can open the bytes as a file, until `close`."""
        return f"/proc/self/fd/{self._file.fileno()}"

    @property
    def descriptor(self) -> int:
        """What to hand to another process, which cannot change it; nor can we now."""
        fcntl.fcntl(self._file, fcntl.F_ADD_SEALS, _SEALS)
        return self._file.fileno()

    def view(self) -> memoryview:
        """The bytes, mapped and not copied."""
        if not self.size_bytes:  # which cannot be mapped
            return memoryview(b"")
        private = mmap.MAP_PRIVATE  # older kernels share nothing that was sealed
        pages = mmap.mmap(self._file.fileno(), 0, private, mmap.PROT_READ)
        return memoryview(pages)

    async def write(self, piece: Buffer) -> None:
        """Add a piece; in a thread where it would keep the loop waiting.

        Raises:
            TooLargeError: If the model is larger than the limit.
        """
        if len(piece) <= _INLINE_BYTES:
            self.append(piece)
        else:
            await self._threads.call(self.append, piece)

    def append(self, piece: Buffer) -> None:
        """Add a piece. Blocks for as long as hashing it takes.

        Raises:
            TooLargeError: If the model is larger than the limit.
        """
        if self.size_bytes + len(piece) > self._max_bytes:
            raise TooLargeError(
                f"model: expected at most {self._max_bytes} bytes, got more"
            )
        rest = memoryview(piece)
        self._digest.update(rest)
        self.size_bytes += len(rest)
        while rest:  # the kernel writes at most 2 GiB at once
            rest = rest[self._file.write(rest) :]

    def keep(self) -> Spool:
        """Another spool of the same bytes, to be closed by itself."""
        kept = Spool(self._threads, self._max_bytes, os.dup(self._file.fileno()))
        kept._digest = self._digest
        kept.size_bytes = self.size_bytes
        return kept

    def close(self) -> None:
        """Free the memory, unless the bytes are kept."""
        self._file.close()
