"""What a process gives up: memory, files, time, privileges, and being looked into."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blindai.inference.sandbox import kernel

# linux/prctl.h
_SET_PDEATHSIG: Final = 1
_SET_DUMPABLE: Final = 4
_CAPBSET_READ: Final = 23
_CAPBSET_DROP: Final = 24
_SET_NO_NEW_PRIVS: Final = 38
_GET_NO_NEW_PRIVS: Final = 39
_CAP_AMBIENT: Final = 47
_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION_3: Final = 0x2008_0522  # linux/capability.h
# Of all threads of the user, the server's among them. A process that makes threads
# without end then leaves the server some. The kernel does not count those of root.
_MAX_USER_THREADS: Final = 4096
_FIRST_TO_GO: Final = "1000"  # of /proc/self/oom_score_adj


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a sandboxed process may use.

    Attributes:
        memory_bytes: Private memory beyond what the process holds as it enters.
        file_bytes: The largest file in memory that it may write.
        open_files: Descriptors, those that it keeps among them.
        cpu_seconds: Processor time, of all threads together, after which the kernel
            ends the process; `None` for no end.
        memfds: Whether it may make files in memory. They count against no limit of the
            process but `file_bytes` each.
    """

    memory_bytes: int
    file_bytes: int
    open_files: int = 64
    cpu_seconds: int | None = None
    memfds: bool = True

    def __post_init__(self) -> None:
        """Refuse what limits nothing.

        Raises:
            ValueError: If a number is below 1.
        """
        numbers = (self.memory_bytes, self.file_bytes, self.open_files)
        seconds = 1 if self.cpu_seconds is None else self.cpu_seconds
        if min(*numbers, seconds) < 1:
            raise ValueError(f"limits: expected numbers above 0, got {self}")


def limit(limits: Limits) -> None:
    """Set the limits of this process, of which none can be raised without privileges.

    Raises:
        OSError: If the kernel refuses.
    """
    # Whose memory nobody may look into does not own this file.
    kernel.prctl(_SET_DUMPABLE, 1)
    Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="utf-8")
    _set(resource.RLIMIT_DATA, _private_bytes() + limits.memory_bytes)
    _set(resource.RLIMIT_FSIZE, limits.file_bytes)
    _set(resource.RLIMIT_NOFILE, limits.open_files)
    _set(resource.RLIMIT_NPROC, _MAX_USER_THREADS)
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_MEMLOCK, 0)
    if limits.cpu_seconds is not None:
        # SIGXCPU says why the process ends; where that is ignored, SIGKILL follows.
        _set(resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1)


def drop_privileges() -> None:
    """Give up all capabilities, and what could bring them back.

    Raises:
        OSError: If the kernel refuses.
    """
    kernel.prctl(_CAP_AMBIENT, _CAP_AMBIENT_CLEAR_ALL)
    capability = 0
    while _is_known(capability):
        try:
            kernel.prctl(_CAPBSET_DROP, capability)
        except PermissionError:  # without privileges; there is no execve to use it
            break
        capability += 1
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice 32 bits
    kernel.call("capset", ctypes.byref(header), ctypes.byref(sets))
    kernel.prctl(_SET_NO_NEW_PRIVS, 1)


def close_to_others() -> None:
    """End with the parent, and let no other process look into this one's memory.

    The parent is the thread that forked. Both are set after `drop_privileges`, as some
    changes of credentials undo them.

    Raises:
        OSError: If the kernel refuses.
    """
    kernel.prctl(_SET_DUMPABLE, 0)
    kernel.prctl(_SET_PDEATHSIG, signal.SIGKILL)


def no_new_privs_offered() -> bool:
    """Whether the kernel knows `no_new_privs`."""
    try:
        kernel.prctl(_GET_NO_NEW_PRIVS)
    except OSError:
        return False
    return True


def _is_known(capability: int) -> bool:
    """Whether the kernel has a capability of this number."""
    try:
        kernel.prctl(_CAPBSET_READ, capability)
    except OSError:
        return False
    return True


def _private_bytes() -> int:
    """Private memory of this process now: `data` of proc_pid_statm(5)."""
    pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[5]
    return int(pages) * os.sysconf("SC_PAGESIZE")


def _set(which: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit; one that is lower already stays."""
    now = resource.getrlimit(which)[1]
    wanted = (soft, soft if hard is None else hard)
    if now != resource.RLIM_INFINITY:
        wanted = (min(wanted[0], now), min(wanted[1], now))
    resource.setrlimit(which, wanted)
