"""The filter on a process's system calls: seccomp(2), mode filter."""

from __future__ import annotations

import ctypes
import errno
from typing import TYPE_CHECKING, Final

from blindai.inference.sandbox import bpf, kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blindai.inference.sandbox.kernel import Architecture
    from blindai.inference.sandbox.rules import Rule

# linux/seccomp.h
_SET_MODE_FILTER: Final = 1
_GET_ACTION_AVAIL: Final = 2
_FLAG_TSYNC: Final = 1


class _Program(ctypes.Structure):
    """`struct sock_fprog`: how many instructions, and where."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def offered() -> bool:
    """Whether this kernel filters system calls of this machine's, with errnos."""
    try:
        for action in (bpf.refusal(0), bpf.KILL_PROCESS):
            kernel.call(
                "seccomp", _GET_ACTION_AVAIL, 0, ctypes.byref(ctypes.c_uint32(action))
            )
    except OSError:
        return False
    return True


def program(architecture: Architecture, rules: Iterable[Rule]) -> bpf.Program:
    """The filter for a list of rules.

    A call by another architecture's numbers (the 32-bit entry of x86_64) ends the
    process: a number means something else there. Those of x32 are above all numbers of
    the list, and so not on it.
    """
    kill = (bpf.give(bpf.KILL_PROCESS),)
    filtered: bpf.Program = (
        bpf.load(bpf.ARCHITECTURE),
        *bpf.unless_equal(architecture.audit, kill),
        bpf.load(bpf.NUMBER),
    )
    for rule in rules:
        if rule.name in architecture.numbers:
            filtered += bpf.if_equal(architecture.numbers[rule.name], _body(rule))
    return (*filtered, bpf.give(bpf.refusal(errno.EPERM)))


def install(rules: Iterable[Rule]) -> None:
    """Let all threads of this process make only these calls, from now on.

    Raises:
        OSError: If the kernel refuses.
    """
    architecture = kernel.architecture()
    if architecture is None:
        raise OSError("seccomp: no numbers for this machine")
    instructions = bpf.assemble(program(architecture, rules))
    filtering = _Program(len(instructions) // 8, instructions)
    outside = kernel.call(
        "seccomp", _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(filtering)
    )
    if outside:
        raise OSError(f"seccomp: thread {outside} has a filter of its own")


def _body(rule: Rule) -> bpf.Program:
    refused = bpf.refusal(rule.errno)
    if rule.only is None:
        return (bpf.give(refused),)
    body: bpf.Program = ()
    for only in rule.only:
        body += bpf.argument(only.index, only.mask, only.values, refused)
    return (*body, bpf.give(bpf.ALLOW))
