"""A few instructions of classic BPF: programs that decide about system calls.

A program reads `struct seccomp_data` (`linux/seccomp.h`) and returns an action:

    offset  size
    0       4     nr: the number of the system call
    4       4     arch: AUDIT_ARCH_*
    8       8     instruction_pointer
    16      8 * 6 args, each in this machine's byte order: little endian on both
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

NUMBER: Final = 0
ARCHITECTURE: Final = 4
_ARGUMENTS: Final = 16
_WORD: Final = 0xFFFF_FFFF

# linux/bpf_common.h
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K

# linux/seccomp.h: SECCOMP_RET_*
ALLOW: Final = 0x7FFF_0000
KILL_PROCESS: Final = 0x8000_0000
_ERRNO: Final = 0x0005_0000


@dataclass(frozen=True, slots=True)
class Instruction:
    """`struct sock_filter` (`linux/filter.h`): u16 code, u8 jt, u8 jf, u32 k."""

    code: int
    k: int
    if_true: int = 0
    if_false: int = 0


Program = tuple[Instruction, ...]


def load(offset: int) -> Instruction:
    """Take four bytes of `struct seccomp_data`."""
    return Instruction(_LOAD, offset)


def give(action: int) -> Instruction:
    """End with an action."""
    return Instruction(_RETURN, action)


def refusal(number: int) -> int:
    """The action that has a system call fail with an errno."""
    return _ERRNO | number


def unless_equal(value: int, body: Program) -> Program:
    """Run `body` unless what was loaded is `value`."""
    return (Instruction(_JUMP_IF_EQUAL, value, if_true=len(body)), *body)


def if_equal(value: int, body: Program) -> Program:
    """Run `body` if what was loaded is `value`."""
    return (Instruction(_JUMP_IF_EQUAL, value, if_false=len(body)), *body)


def argument(index: int, mask: int, values: Iterable[int], otherwise: int) -> Program:
    """Go on if an argument under a mask is one of some values, or end.

    Args:
        index: Which argument, from 0.
        mask: The bits that count, of 64. What is no pointer or size is an `int` to the
            kernel, which looks at 32 of them.
        values: What it may be under the mask; one value where more than 32 bits count.
        otherwise: The action where it is none of them.
    """
    low = [value & _WORD for value in values]
    high = [value >> 32 for value in values]
    at = _ARGUMENTS + 8 * index
    program = _word(at, mask & _WORD, low, otherwise)
    if mask >> 32:
        program += _word(at + 4, mask >> 32, high, otherwise)
    return program


def _word(at: int, mask: int, values: list[int], otherwise: int) -> Program:
    rest: Program = (give(otherwise),)
    for value in values:
        rest = unless_equal(value, rest)
    return (load(at), Instruction(_AND, mask), *rest)


def assemble(program: Program) -> bytes:
    """Write a program as the kernel reads it, eight bytes an instruction."""
    return b"".join(
        struct.pack("=HBBI", each.code, each.if_true, each.if_false, each.k)
        for each in program
    )
