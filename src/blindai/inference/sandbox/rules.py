"""Which system calls a process may make that serves models to one open socket.

What is not here fails with `EPERM`. CPython, NumPy and ONNX Runtime, once loaded and
warm, need these to run models, to make threads, and to pass descriptors of memory.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

INT: Final = 0xFFFF_FFFF  # all bits of what the kernel takes as an int
POINTER: Final = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True)
class Only:
    """What an argument has to be.

    Attributes:
        index: Which argument, from 0.
        values: What it may be.
        mask: The bits of it that count.
        why: In words, for who reads the list.
    """

    index: int
    values: tuple[int, ...]
    mask: int
    why: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A system call that is allowed, or refused otherwise than with `EPERM`.

    Attributes:
        name: Its name; where a processor's Linux has none of it, there is no rule.
        only: What all hold for it to be allowed; `None` if it never is.
        errno: What it fails with where it is not allowed.
    """

    name: str
    only: tuple[Only, ...] | None = ()
    errno: int = errno.EPERM


_ALWAYS: Final = (
    # What is open: one socket, memory in descriptors.
    "read",
    "write",
    "readv",
    "writev",
    "pread64",
    "pwrite64",
    "recvmsg",
    "sendmsg",
    "recvfrom",
    "poll",
    "ppoll",
    "lseek",
    "close",
    "dup",
    "ftruncate",
    "fstat",
    # Memory.
    "munmap",
    "mremap",
    "madvise",
    "brk",
    # Threads, and their signals.
    "futex",
    "set_robust_list",
    "rseq",
    "sched_yield",
    "sched_getaffinity",
    "getcpu",
    "gettid",
    "getpid",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "restart_syscall",
    "exit",
    "exit_group",
    # Time and chance.
    "clock_gettime",
    "clock_getres",
    "clock_nanosleep",
    "nanosleep",
    "gettimeofday",
    "getrusage",
    "getrandom",
)

# linux/sched.h: what pthread_create asks for, and has to.
_THREAD: Final = 0x0001_0000 | 0x0000_0100 | 0x0000_0800  # THREAD, VM, SIGHAND
_THREADS_MAY: Final = (
    _THREAD
    | 0x0000_0200  # FS
    | 0x0000_0400  # FILES
    | 0x0004_0000  # SYSVSEM
    | 0x0008_0000  # SETTLS
    | 0x0010_0000  # PARENT_SETTID
    | 0x0020_0000  # CHILD_CLEARTID
)
# fcntl(2): DUPFD, GETFD, SETFD, GETFL, SETFL, DUPFD_CLOEXEC, ADD_SEALS, GET_SEALS. Not
# among them: SETOWN and SETSIG, by which a descriptor sends signals to other processes.
_FCNTL: Final = (0, 1, 2, 3, 4, 1030, 1033, 1034)
_FIONBIO: Final = 0x5421  # how socket.setblocking does it
_SET_NAME: Final = 15  # PR_SET_NAME
_SET_VMA: Final = 0x5356_4D41  # PR_SET_VMA: glibc names its memory
_PROT_EXEC: Final = 0x4
_SHARED_ANONYMOUS: Final = 0x01 | 0x20  # counts against no limit: memory.max apart
_GROWSDOWN: Final = 0x100  # MAP_GROWSDOWN counts as a stack, not as data
_HUGETLB: Final = 0x4_0000  # MAP_HUGETLB counts against no limit of the process
_MEMFD: Final = 0x1 | 0x2 | 0x8  # MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL
_CLOEXEC: Final = 0o2000000  # O_CLOEXEC
_EMPTY_PATH: Final = 0x1000  # AT_EMPTY_PATH

_NO_EXEC: Final = Only(2, (0,), _PROT_EXEC, "not executable")
_READ_ONLY: Final = Only(
    2, (0,), INT & ~_CLOEXEC, "`O_RDONLY`, with `O_CLOEXEC` or nothing"
)


def rules(*, pid: int, opening: bool, memfds: bool) -> Iterator[Rule]:
    """The allow-list.

    Args:
        pid: The process's own, which it may signal.
        opening: Whether it may open files for reading. Something else has to decide
            which: Landlock.
        memfds: Whether it may make files in memory.
    """
    yield from map(Rule, _ALWAYS)
    yield Rule("sendto", (Only(4, (0,), POINTER, "to no address"),))
    yield Rule(
        "mmap",
        (
            _NO_EXEC,
            Only(3, (0,), _GROWSDOWN | _HUGETLB, "no growing stack, no huge pages"),
            Only(
                3,
                (0, 0x01, 0x20),
                _SHARED_ANONYMOUS,
                "not shared and anonymous at once",
            ),
        ),
    )
    yield Rule("mprotect", (_NO_EXEC,))
    yield Rule(
        "clone",
        (Only(0, (_THREAD,), POINTER & ~(_THREADS_MAY & ~_THREAD), "a thread"),),
    )
    # How glibc asks about a descriptor. A path beside it is in memory, where a filter
    # cannot see it.
    yield Rule("newfstatat", (Only(3, (_EMPTY_PATH,), INT, "`AT_EMPTY_PATH`"),))
    # Its flags are in memory, where a filter cannot read them. glibc goes on to clone.
    yield Rule("clone3", None, errno.ENOSYS)
    yield Rule("tgkill", (Only(0, (pid,), INT, "its own threads"),))
    yield Rule("fcntl", (Only(1, _FCNTL, INT, "flags, copies and seals"),))
    # What has no such thing as a terminal says ENOTTY; CPython knows what to do then.
    yield Rule("ioctl", (Only(1, (_FIONBIO,), INT, "`FIONBIO`"),), errno.ENOTTY)
    yield Rule(
        "prctl", (Only(0, (_SET_NAME, _SET_VMA), INT, "names of threads and memory"),)
    )
    if memfds:
        yield Rule(
            "memfd_create",
            (Only(1, (0,), INT & ~_MEMFD, "no huge pages, not executable"),),
        )
    if opening:
        yield Rule("openat", (_READ_ONLY,))
