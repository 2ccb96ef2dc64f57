"""Memory that a worker and the server both see: no tensor is pickled, or copied twice.

A file in memory only (`memfd_create`), sealed against being made smaller or larger:
whoever maps it may read all of it at any time, whatever the other side does.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from blindai.errors import ProtocolError
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor_data import encode_binary

if TYPE_CHECKING:
    from blindai.protocol.datatypes import Array

ALIGNMENT = 64
"""Where a tensor may begin: a cache line, which every element type divides."""
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_STEP_BYTES = 1 << 20
KEEP_BYTES = 16 << 20
"""How large memory may be that is kept for the next batch."""


class SharedMemory:
    """A mapped piece of memory; given back once nobody looks at it any more.

    Attributes:
        size_bytes: Its size.
    """

    def __init__(self, descriptor: int, size_bytes: int, *, writable: bool) -> None:
        self._descriptor: int | None = None  # whose caller closes it if this fails
        self.size_bytes = size_bytes
        access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        self._map = mmap.mmap(descriptor, size_bytes, prot=access)
        self._descriptor = descriptor

    @classmethod
    def create(cls, at_least: int) -> SharedMemory:
        """New memory, in whole mebibytes, to write to.

        Raises:
            OSError: If there is none.
        """
        size = rounded(at_least)
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        descriptor = os.memfd_create("tensors", flags)
        with ExitStack() as unless_made:
            unless_made.callback(os.close, descriptor)
            os.ftruncate(descriptor, size)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            memory = cls(descriptor, size, writable=True)
            unless_made.pop_all()
        return memory

    @classmethod
    def receive(cls, descriptor: int, at_most: int) -> SharedMemory:
        """Memory that the other side made, to read from; the descriptor is taken over.

        Raises:
            ProtocolError: If it could shrink under its reader, or is larger.
        """
        try:
            size = os.fstat(descriptor).st_size
            seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
            if seals & _SEALS == _SEALS and 0 < size <= rounded(at_most):
                memory = cls(descriptor, size, writable=False)
                memory.sent()
                return memory
        except OSError:
            pass  # a file that is no memory, or cannot be read
        os.close(descriptor)
        raise ProtocolError(
            f"shared memory: expected it sealed and of at most {at_most} bytes,"
            " got another file"
        )

    @property
    def new_descriptors(self) -> list[int]:
        """What the other side has to be sent to see it; nothing once it was."""
        return [] if self._descriptor is None else [self._descriptor]

    def sent(self) -> None:
        """The other side has it now."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def bytes(self) -> memoryview:
        """All of it; mapped for as long as somebody looks at it."""
        return memoryview(self._map)

    def __del__(self) -> None:
        self.sent()


def write(target: memoryview, array: Array, datatype: Datatype) -> int:
    """Copy an array's elements, row major and little-endian; the number of bytes."""
    if datatype is Datatype.BYTES:
        data = encode_binary(array, datatype)
        target[: len(data)] = data
        return len(data)
    np.ndarray(array.shape, datatype.numpy, target)[...] = array
    return array.nbytes


def rounded(size: int) -> int:
    """What memory of a size takes: whole mebibytes."""
    return -(-size // _STEP_BYTES) * _STEP_BYTES


def aligned(offset: int) -> int:
    """The next place where a tensor may begin."""
    return -(-offset // ALIGNMENT) * ALIGNMENT
