"""System calls by their numbers, for what the standard library has no words for.

Linux on x86_64 and aarch64. Numbers: `arch/x86/entry/syscalls/syscall_64.tbl` and
`include/uapi/asm-generic/unistd.h` of Linux, which never change one.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a processor's Linux calls its system calls.

    Attributes:
        name: As `uname -m` has it.
        audit: `AUDIT_ARCH_*` of `linux/audit.h`: what a filter is told.
        numbers: System calls by name.
    """

    name: str
    audit: int
    numbers: Mapping[str, int]


X86_64: Final = Architecture(
    "x86_64",
    0xC000003E,
    {
        "read": 0,
        "write": 1,
        "close": 3,
        "fstat": 5,
        "poll": 7,
        "lseek": 8,
        "mmap": 9,
        "mprotect": 10,
        "munmap": 11,
        "brk": 12,
        "rt_sigaction": 13,
        "rt_sigprocmask": 14,
        "rt_sigreturn": 15,
        "ioctl": 16,
        "pread64": 17,
        "pwrite64": 18,
        "readv": 19,
        "writev": 20,
        "sched_yield": 24,
        "mremap": 25,
        "madvise": 28,
        "dup": 32,
        "nanosleep": 35,
        "getpid": 39,
        "sendto": 44,
        "recvfrom": 45,
        "sendmsg": 46,
        "recvmsg": 47,
        "clone": 56,
        "exit": 60,
        "fcntl": 72,
        "ftruncate": 77,
        "gettimeofday": 96,
        "getrusage": 98,
        "capset": 126,
        "sigaltstack": 131,
        "prctl": 157,
        "gettid": 186,
        "futex": 202,
        "sched_getaffinity": 204,
        "restart_syscall": 219,
        "clock_gettime": 228,
        "clock_getres": 229,
        "clock_nanosleep": 230,
        "exit_group": 231,
        "tgkill": 234,
        "openat": 257,
        "newfstatat": 262,
        "ppoll": 271,
        "set_robust_list": 273,
        "getcpu": 309,
        "seccomp": 317,
        "getrandom": 318,
        "memfd_create": 319,
        "rseq": 334,
        "clone3": 435,
        "landlock_create_ruleset": 444,
        "landlock_restrict_self": 446,
    },
)
AARCH64: Final = Architecture(
    "aarch64",
    0xC00000B7,
    {
        "dup": 23,
        "fcntl": 25,
        "ioctl": 29,
        "ftruncate": 46,
        "openat": 56,
        "close": 57,
        "lseek": 62,
        "read": 63,
        "write": 64,
        "readv": 65,
        "writev": 66,
        "pread64": 67,
        "pwrite64": 68,
        "ppoll": 73,
        "newfstatat": 79,
        "fstat": 80,
        "capset": 91,
        "exit": 93,
        "exit_group": 94,
        "futex": 98,
        "set_robust_list": 99,
        "nanosleep": 101,
        "clock_gettime": 113,
        "clock_getres": 114,
        "clock_nanosleep": 115,
        "sched_getaffinity": 123,
        "sched_yield": 124,
        "restart_syscall": 128,
        "tgkill": 131,
        "sigaltstack": 132,
        "rt_sigaction": 134,
        "rt_sigprocmask": 135,
        "rt_sigreturn": 139,
        "getrusage": 165,
        "prctl": 167,
        "getcpu": 168,
        "gettimeofday": 169,
        "getpid": 172,
        "gettid": 178,
        "sendto": 206,
        "recvfrom": 207,
        "sendmsg": 211,
        "recvmsg": 212,
        "brk": 214,
        "munmap": 215,
        "mremap": 216,
        "clone": 220,
        "mmap": 222,
        "mprotect": 226,
        "madvise": 233,
        "seccomp": 277,
        "getrandom": 278,
        "memfd_create": 279,
        "rseq": 293,
        "clone3": 435,
        "landlock_create_ruleset": 444,
        "landlock_restrict_self": 446,
    },
)
ARCHITECTURES: Final = {each.name: each for each in (X86_64, AARCH64)}


def architecture() -> Architecture | None:
    """This machine's; `None` where this module has no numbers for it."""
    return ARCHITECTURES.get(os.uname().machine)


def call(name: str, *arguments: object) -> int:
    """Make a system call of this machine's.

    Args:
        name: Its name in `Architecture.numbers`.
        arguments: Numbers, pointers, structures by reference; `None` for a null.

    Raises:
        OSError: If the kernel refuses, or this module has no number for it.
    """
    here = architecture()
    if here is None:
        raise OSError(f"{name}: no number of it for {os.uname().machine}")
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _result(name, _LIBC.syscall(ctypes.c_long(here.numbers[name]), *words))


def prctl(option: int, *arguments: int) -> int:
    """Change or ask something about this process (its man page is in section 2).

    Raises:
        OSError: If the kernel refuses.
    """
    words = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    return _result("prctl", _LIBC.prctl(ctypes.c_int(option), *words))


def _result(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
