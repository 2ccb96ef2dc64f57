"""What the server asks of the system about its own process."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from blindai.server.process import allow_descriptors, keep_heap


class FakeLibrary:
    """A C library with `mallopt` that notes its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def mallopt(self, option: int, value: int) -> int:
        self.calls.append((option, value))
        return 1


def test_the_heap_is_kept_where_the_c_library_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = FakeLibrary()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)

    keep_heap()

    assert library.calls == [(-3, 32 << 20), (-1, 256 << 20)]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    keep_heap()


def test_a_process_that_dies_writes_its_memory_nowhere(tmp_path: Path) -> None:
    program = """
import ctypes, os, resource
from blindai.server.process import allow_descriptors, forbid_core_dumps
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
forbid_core_dumps()
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
os.abort()
"""
    child = os.posix_spawn(
        "/bin/sh",
        [
            "sh",
            "-c",
            'cd "$0" && exec "$@"',
            str(tmp_path),
            sys.executable,
            "-c",
            program,
        ],
        os.environ,
    )

    _, status = os.waitpid(child, 0)

    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.iterdir()) == []


def test_as_many_files_may_be_open_as_the_system_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, which + 9000))
    monkeypatch.setattr(resource, "setrlimit", lambda *limit: limits.append(limit))

    allow_descriptors()

    most = resource.RLIMIT_NOFILE + 9000
    assert limits == [(resource.RLIMIT_NOFILE, (most, most))]
