"""What the kernel offers, against what a configuration accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blindai.errors import ConfigurationError
from blindai.inference import sandbox
from blindai.inference.sandbox import Minimum, Offered

FULL = Offered(no_new_privs=True, seccomp=True, landlock_abi=1)
SECCOMP = Offered(no_new_privs=True, seccomp=True, landlock_abi=0)
NOTHING = Offered(no_new_privs=False, seccomp=False, landlock_abi=0)
NO_SECCOMP = Offered(no_new_privs=True, seccomp=False, landlock_abi=7)
NO_NEW_PRIVS = Offered(no_new_privs=False, seccomp=True, landlock_abi=7)


@pytest.mark.parametrize(
    ("offered", "minimum"),
    [
        (FULL, Minimum.FULL),
        (FULL, Minimum.SECCOMP),
        (SECCOMP, Minimum.SECCOMP),
        (NOTHING, Minimum.NONE),
    ],
)
def test_a_kernel_that_offers_enough_is_accepted(
    offered: Offered, minimum: Minimum
) -> None:
    offered.require(minimum)


@pytest.mark.parametrize(
    ("offered", "minimum", "missing"),
    [
        (SECCOMP, Minimum.FULL, "Landlock: not offered"),
        (NO_SECCOMP, Minimum.FULL, "seccomp: not offered"),
        (NO_SECCOMP, Minimum.SECCOMP, "seccomp: not offered"),
        (NO_NEW_PRIVS, Minimum.FULL, "no_new_privs: not offered"),
        (NO_NEW_PRIVS, Minimum.SECCOMP, "no_new_privs: not offered"),
    ],
)
def test_a_kernel_that_offers_less_is_refused(
    offered: Offered, minimum: Minimum, missing: str
) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        offered.require(minimum)


@pytest.mark.parametrize(
    ("abi", "words"),
    [
        (0, "Landlock: not offered"),
        (3, "Landlock: ABI 3 (files)"),
        (4, "Landlock: ABI 4 (files, TCP)"),
        (6, "Landlock: ABI 6 (files, TCP, abstract sockets, signals)"),
    ],
)
def test_it_is_said_what_landlock_covers(abi: int, words: str) -> None:
    offered = Offered(no_new_privs=True, seccomp=True, landlock_abi=abi)

    assert offered.words == ("no_new_privs: offered", "seccomp: offered", words)


def test_asking_changes_nothing() -> None:
    sandbox.offered()

    status = Path("/proc/self/status").read_text(encoding="utf-8")
    assert "NoNewPrivs:\t0" in status
    assert "Seccomp:\t2" not in status


@pytest.mark.parametrize(
    "limits",
    [
        {"memory_bytes": 0, "file_bytes": 1},
        {"memory_bytes": 1, "file_bytes": 0},
        {"memory_bytes": 1, "file_bytes": 1, "open_files": 0},
        {"memory_bytes": 1, "file_bytes": 1, "cpu_seconds": 0},
    ],
)
def test_a_limit_of_nothing_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        sandbox.Limits(**limits)
