"""Entering the sandbox: all layers, in the order in which they can be applied."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from blindai.errors import ConfigurationError
from blindai.inference.sandbox import landlock, limits, rules, seccomp

if TYPE_CHECKING:
    from collections.abc import Collection

    from blindai.inference.sandbox.limits import Limits


class Minimum(StrEnum):
    """The least that a configuration accepts of a kernel. What there is, is used."""

    FULL = "full"
    SECCOMP = "seccomp"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Offered:
    """What the running kernel offers.

    Attributes:
        no_new_privs: Whether a process can give up gaining privileges.
        seccomp: Whether it filters system calls.
        landlock_abi: Its Landlock ABI; 0 for none.
    """

    no_new_privs: bool
    seccomp: bool
    landlock_abi: int

    @property
    def words(self) -> tuple[str, ...]:
        """A line for each layer."""
        return (
            f"no_new_privs: {_yes(self.no_new_privs)}",
            f"seccomp: {_yes(self.seccomp)}",
            f"Landlock: {_landlock(self.landlock_abi)}",
        )

    def require(self, minimum: Minimum) -> None:
        """Compare what there is with the least that is accepted.

        Raises:
            ConfigurationError: If the kernel offers less.
        """
        required = {
            Minimum.FULL: (self.no_new_privs, self.seccomp, self.landlock_abi > 0),
            Minimum.SECCOMP: (self.no_new_privs, self.seccomp),
            Minimum.NONE: (),
        }[minimum]
        if not all(required):
            raise ConfigurationError(
                f"sandbox: expected a kernel that offers {minimum.value!r},"
                f" got {'; '.join(self.words)}"
            )


def offered() -> Offered:
    """Ask the kernel what it offers. Changes nothing."""
    return Offered(limits.no_new_privs_offered(), seccomp.offered(), landlock.offered())


def enter(
    allowed: Limits, *, keep: Collection[int], minimum: Minimum = Minimum.FULL
) -> None:
    """Give up all that serving models does not need. Nothing of it can be undone.

    To be called in a process that has one thread, as Landlock and capabilities are of a
    thread; threads that it makes later inherit them. All that will be needed is
    imported and has run once, as nothing can be opened afterwards but files in memory,
    by `/proc/self/fd`; those neither, where the kernel has no Landlock.

    Args:
        allowed: Limits on what is left.
        keep: Descriptors that stay open. All others are closed, whoever made them; 0, 1
            and 2 then stand for `/dev/null`: what is written to the operator's log may
            be a tenant's.
        minimum: The least the kernel has to offer.

    Raises:
        ConfigurationError: If the kernel offers less, or refuses; if there are other
            threads. The process is then in no state to go on.
    """
    there = offered()
    there.require(minimum)
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise ConfigurationError(f"sandbox: expected one thread, got {threads}")
    try:
        _close_all_but(keep)
        limits.limit(allowed)
        limits.drop_privileges()
        limits.close_to_others()
        if there.landlock_abi:
            landlock.restrict(there.landlock_abi)
        if there.seccomp:
            opening = there.landlock_abi > 0
            seccomp.install(
                rules.rules(pid=os.getpid(), opening=opening, memfds=allowed.memfds)
            )
    except OSError as error:
        raise ConfigurationError(f"sandbox: {error}") from error


def _close_all_but(keep: Collection[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in {0, 1, 2} - {*keep}:
        os.dup2(nothing, standard)
    for link in list(Path("/proc/self/fd").iterdir()):
        descriptor = int(link.name)
        if descriptor not in {0, 1, 2, *keep}:
            os.closerange(descriptor, descriptor + 1)  # the listing's own is gone


def _yes(offers: bool) -> str:  # noqa: FBT001  a word for it
    return "offered" if offers else "not offered"


def _landlock(abi: int) -> str:
    if not abi:
        return "not offered"
    parts = ["files"]
    parts += ["TCP"] if abi >= 4 else []
    parts += ["abstract sockets, signals"] if abi >= 6 else []
    return f"ABI {abi} ({', '.join(parts)})"
