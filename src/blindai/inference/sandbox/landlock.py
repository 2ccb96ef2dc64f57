"""A ruleset without a rule: nothing that Landlock knows of can be reached.

Linux' `Documentation/userspace-api/landlock.rst`. What is open already stays open, and
so does what is opened by `/proc/self/fd` of a file in memory, which lies in no folder.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

from blindai.inference.sandbox import kernel

# linux/landlock.h
_CREATE_RULESET_VERSION: Final = 1
_LOG_SAME_EXEC_OFF: Final = 1
# Access rights to files by the ABI that brought them: EXECUTE to MAKE_SYM, then REFER,
# TRUNCATE and IOCTL_DEV.
_FILES: Final = ((1, 0x1FFF), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_NETWORK: Final = ((4, 0b11),)  # BIND_TCP, CONNECT_TCP
_SCOPES: Final = ((6, 0b11),)  # ABSTRACT_UNIX_SOCKET, SIGNAL
_QUIET_ABI: Final = 7


class _Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`; older kernels take it if the new is zero."""

    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def offered() -> int:
    """The kernel's Landlock ABI, from 1; 0 where it has none, or has it turned off."""
    try:
        return kernel.call("landlock_create_ruleset", None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def restrict(abi: int) -> None:
    """Deny this thread, and those it will make, all that an ABI can.

    Args:
        abi: The kernel's, or an older one.

    Raises:
        OSError: If the kernel refuses.
    """
    handled = _Ruleset(_of(_FILES, abi), _of(_NETWORK, abi), _of(_SCOPES, abi))
    ruleset = kernel.call(
        "landlock_create_ruleset", ctypes.byref(handled), ctypes.sizeof(handled), 0
    )
    # The audit log is the operator's; a name that cannot be opened says things in it.
    flags = _LOG_SAME_EXEC_OFF if abi >= _QUIET_ABI else 0
    try:
        kernel.call("landlock_restrict_self", ruleset, flags)
    finally:
        os.close(ruleset)


def _of(table: tuple[tuple[int, int], ...], abi: int) -> int:
    return sum(bits for since, bits in table if since <= abi)
