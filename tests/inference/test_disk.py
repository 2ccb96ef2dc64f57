"""Disks that fail: really full and read-only ones, and what none does on purpose."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blindai.errors import ConfigurationError, InternalError
from blindai.inference.folder import RESERVE, SealedFolder
from blindai.inference.model import ModelInfo, ModelSpec

ROOT = Path(__file__).parents[2]
OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")
CONTENTS = b"weights"
INFO = ModelInfo(
    name="m",
    digest=hashlib.sha256(CONTENTS).hexdigest(),
    size_bytes=len(CONTENTS),
    spec=ModelSpec((), ()),
    owner="key:clinic",
    created_at=datetime(2024, 5, 6, tzinfo=UTC),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def folder(path: Path) -> SealedFolder:
    folder = SealedFolder(path, b"k" * 32)
    folder.open()
    return folder


def may_mount() -> bool:
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return False
    return subprocess.run([*OWN_MOUNTS, "true"], capture_output=True).returncode == 0  # noqa: S603, PLW1510  our own words


@pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount a disk")
def test_a_full_or_read_only_disk_is_said_so_and_other_models_serve(
    tmp_path: Path,
) -> None:
    script = [sys.executable, "-m", "tests.inference.failing_disk", str(tmp_path)]

    ran = subprocess.run(  # noqa: S603, PLW1510  our own script
        [*OWN_MOUNTS, *script], cwd=ROOT, capture_output=True, text=True
    )

    assert ran.returncode == 0, ran.stderr


def failing(number: int) -> object:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_disk_that_does_not_flush_changes_nothing(
    folder: SealedFolder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = folder.entry(INFO)
    before = folder.mark
    monkeypatch.setattr("blindai.inference.disk.os.fsync", failing(errno.EIO))

    with pytest.raises(InternalError, match="could not write a file: Input/output"):
        folder.write(entry, memoryview(CONTENTS))
    with pytest.raises(InternalError, match="could not write a file: Input/output"):
        folder.commit((entry,))

    monkeypatch.undo()
    assert folder.mark == before
    again = SealedFolder(path, b"k" * 32)
    assert again.open().entries == ()


def test_a_change_that_may_be_on_the_disk_keeps_its_file(
    folder: SealedFolder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = folder.entry(INFO)
    folder.write(entry, memoryview(CONTENTS))
    monkeypatch.setattr("blindai.inference.disk.flush", failing(errno.EIO))

    with pytest.raises(InternalError):
        folder.commit((entry,))

    monkeypatch.undo()
    assert folder.index.entries == ()
    assert SealedFolder(path, b"k" * 32).open().entries == (entry,)
    assert folder.path(entry).exists()


def test_after_it_changes_go_on(
    folder: SealedFolder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, kept = folder.entry(INFO), folder.entry(INFO)
    with monkeypatch.context() as patch:
        patch.setattr("blindai.inference.disk.flush", failing(errno.EIO))
        with pytest.raises(InternalError):
            folder.commit((lost,))
    folder.write(kept, memoryview(CONTENTS))

    folder.commit((kept,))

    assert SealedFolder(path, b"k" * 32).open().entries == (kept,)


def test_a_new_start_takes_its_reserve_again(folder: SealedFolder, path: Path) -> None:
    (path / RESERVE).unlink()

    SealedFolder(path, b"k" * 32).open()

    assert folder.index.epoch == 1
    assert (path / RESERVE).stat().st_size > 100_000


def test_a_store_cannot_begin_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(ConfigurationError, match="cannot be used: Not a directory"):
        SealedFolder(tmp_path / "file" / "models", b"k" * 32).open()
