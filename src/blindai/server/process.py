"""What the server asks of the system about its own process."""

from __future__ import annotations

import ctypes
import resource
from typing import Final

_M_TRIM_THRESHOLD: Final = -1  # malloc.h
_M_MMAP_THRESHOLD: Final = -3
_PR_SET_DUMPABLE: Final = 4  # prctl(2)


def keep_heap() -> None:
    """Let the C library keep freed memory instead of giving it back at once.

    A request's tensors are large, freed together and asked for again by the next one;
    fresh pages cost more than all of sealing. Measured in docs/benchmarks.md.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(_M_TRIM_THRESHOLD, 256 << 20)


def forbid_core_dumps() -> None:
    """Have the kernel write this process's memory nowhere, whatever happens to it.

    The limit goes on to processes that are started here. A kernel that hands dumps to a
    program disregards it (core(5)), which the second call is for; that one also keeps
    others of the same user from reading the memory.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def allow_descriptors() -> None:
    """Let this process open as many files as it may.

    Each connection and each loaded model takes some; 1024, what many systems begin
    with, are gone before the limit on connections is reached.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
