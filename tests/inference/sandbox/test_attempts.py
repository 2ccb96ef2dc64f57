"""What code in a worker tries fails, at each layer that is there to stop it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest
from tests.inference.sandbox.conftest import Outcomes
from tests.inference.sandbox.probes import PROBES

from blindai.inference import sandbox

Attempts = Callable[[str], Outcomes]

OFFERED = sandbox.offered()
needs_seccomp = pytest.mark.skipif(not OFFERED.seccomp, reason="no seccomp here")
needs_landlock = pytest.mark.skipif(not OFFERED.landlock_abi, reason="no Landlock here")

OTHER_ERRNOS = {
    "fork by clone3": errno.ENOSYS,
    "ask for signals of a descriptor": errno.ENOTTY,
}
# Landlock's part: from which ABI on, and how it fails.
LANDLOCK = {
    "open a file": (1, errno.EACCES),
    "open a file, in Python": (1, errno.EACCES),
    "open its own environment": (1, errno.EACCES),
    "open its own memory": (1, errno.EACCES),
    "open its parent's memory": (1, errno.EACCES),
    "open a sibling's memory": (1, errno.EACCES),
    "open a sibling's maps": (1, errno.EACCES),
    "open a sibling's environment": (1, errno.EACCES),
    "open a sibling's memfd": (1, errno.EACCES),
    "open a device": (1, errno.EACCES),
    "write to a file": (1, errno.EACCES),
    "create a file": (1, errno.EACCES),
    "open a folder": (1, errno.EACCES),
    "list a folder, in Python": (1, errno.EACCES),
    "remove a file, in Python": (1, errno.EACCES),
    "spawn (vfork), in Python": (1, errno.EACCES),
    "execute": (1, errno.EACCES),
    "trace a sibling": (1, errno.EPERM),
    "read a sibling's memory": (1, errno.EPERM),
    "write a sibling's memory": (1, errno.EPERM),
    "connect by TCP": (4, errno.EACCES),
    "bind a TCP port": (4, errno.EACCES),
    "connect to an abstract socket": (6, errno.EPERM),
    "kill a sibling": (6, errno.EPERM),
    "kill a sibling's thread": (6, errno.EPERM),
    "kill its parent": (6, errno.EPERM),
}
READING = [
    name for name in LANDLOCK if name.startswith("open") and "folder" not in name
]
# What processes that kept their privileges are safe from, by dropping them alone.
UNPRIVILEGED = {
    "open its parent's memory": errno.EACCES,
    "open a sibling's memory": errno.EACCES,
    "open a sibling's memfd": errno.EACCES,
    "read a sibling's memory": errno.EPERM,
    "trace a sibling": errno.EPERM,
    "raise a limit": errno.EPERM,
    "set up io_uring": errno.ENOMEM,
}


@pytest.mark.parametrize("name", PROBES)
def test_without_the_sandbox_it_can_be_done(name: str, attempts: Attempts) -> None:
    met = attempts("none")[name]
    if met in {errno.EPERM, errno.EACCES, errno.ENOSYS}:
        pytest.skip(f"this machine lets nobody: errno {met}")

    assert met == 0


@needs_seccomp
@needs_landlock
@pytest.mark.parametrize("name", PROBES)
def test_in_the_sandbox_it_cannot(name: str, attempts: Attempts) -> None:
    by_landlock = dict.fromkeys(READING, errno.EACCES)

    expected = by_landlock | OTHER_ERRNOS
    assert attempts("full")[name] == expected.get(name, errno.EPERM)


@needs_seccomp
@pytest.mark.parametrize("name", PROBES)
def test_seccomp_alone_stops_it(name: str, attempts: Attempts) -> None:
    assert attempts("seccomp")[name] == OTHER_ERRNOS.get(name, errno.EPERM)


@needs_landlock
@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(name, number, id=name)
        for name, (abi, number) in LANDLOCK.items()
        if abi <= OFFERED.landlock_abi
    ],
)
def test_landlock_alone_stops_it(name: str, number: int, attempts: Attempts) -> None:
    assert attempts("landlock")[name] == number


@needs_landlock
@pytest.mark.parametrize("name", [n for n, (abi, _) in LANDLOCK.items() if abi == 1])
def test_the_first_abi_of_landlock_alone_stops_it(
    name: str, attempts: Attempts
) -> None:
    assert attempts("landlock, ABI 1")[name] == LANDLOCK[name][1]


@needs_seccomp
@pytest.mark.parametrize("name", READING)
def test_where_opening_is_allowed_only_landlock_stops_it(
    name: str, attempts: Attempts
) -> None:
    assert attempts("seccomp, opening")[name] == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root has privileges to drop")
@pytest.mark.parametrize("name", UNPRIVILEGED)
def test_without_privileges_alone_it_cannot(name: str, attempts: Attempts) -> None:
    assert attempts("limits")[name] == UNPRIVILEGED[name]
