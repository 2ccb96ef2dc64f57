"""What lies on the operator's disk, and what comes back from it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blindai.errors import (
    ConfigurationError,
    InternalError,
    RollbackError,
    SealingError,
    TooLargeError,
)
from blindai.inference.blocking import Threads
from blindai.inference.folder import INDEX, RESERVE, SealedFolder
from blindai.inference.index import Entry
from blindai.inference.model import ModelInfo, ModelSpec
from blindai.inference.spool import Spool

KEY = b"k" * 32
CONTENTS = b"weights " * 200_000  # more than one chunk
CREATED_AT = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


@pytest.fixture
def spool() -> Iterator[Spool]:
    with Spool(Threads(), max_bytes=len(CONTENTS)) as spool:
        yield spool


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "models"


@pytest.fixture
def folder(path: Path) -> SealedFolder:
    path.parent.mkdir()
    return opened(path)


def opened(path: Path, key: bytes = KEY) -> SealedFolder:
    folder = SealedFolder(path, key)
    folder.open()
    return folder


def about(
    name: str = "medical-model", contents: bytes = CONTENTS, version: int = 1
) -> ModelInfo:
    return ModelInfo(
        name=name,
        version=version,
        digest=hashlib.sha256(contents).hexdigest(),
        size_bytes=len(contents),
        spec=ModelSpec((), ()),
        owner="key:clinic",
        created_at=CREATED_AT,
    )


def write(
    folder: SealedFolder, name: str = "medical-model", contents: bytes = CONTENTS
) -> Entry:
    entry = folder.entry(about(name, contents))
    folder.write(entry, memoryview(contents))
    folder.commit((entry,))
    return entry


def models(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()} - {INDEX, RESERVE}


def test_what_was_written_is_read(folder: SealedFolder, spool: Spool) -> None:
    entry = write(folder)

    folder.read(entry, spool)

    assert bytes(spool.view()) == CONTENTS


def test_a_new_start_finds_what_was_committed(folder: SealedFolder, path: Path) -> None:
    entries = write(folder, "a"), write(folder, "b")

    again = opened(path)

    assert again.index.entries == entries
    assert again.mark == folder.mark
    assert again.strangers == ()


def test_a_new_store_has_a_name_of_its_own(
    folder: SealedFolder, tmp_path: Path
) -> None:
    assert opened(tmp_path / "other").index.store != folder.index.store


def test_the_disk_shows_neither_names_nor_contents(
    folder: SealedFolder, path: Path
) -> None:
    write(folder)

    shown = b"".join(file.name.encode() + file.read_bytes() for file in path.iterdir())

    assert [part for part in (b"medical", b"clinic", b"weights") if part in shown] == []
    assert path.stat().st_mode & 0o077 == 0


def test_no_two_files_are_alike(folder: SealedFolder, path: Path) -> None:
    first, second = write(folder), write(folder)

    assert folder.path(first).read_bytes() != folder.path(second).read_bytes()
    assert models(path) == {first.file, second.file}


def test_what_is_removed_is_gone(folder: SealedFolder, path: Path) -> None:
    entry = write(folder)

    folder.commit((), (entry,))

    assert models(path) == set()
    assert opened(path).index.entries == ()


# ------------------------------------------------------------------------- crashes


def test_a_file_that_no_index_names_is_removed_at_the_next_start(
    folder: SealedFolder, path: Path
) -> None:
    kept = write(folder)
    folder.write(folder.entry(about("cut short")), memoryview(CONTENTS))

    again = opened(path)

    assert again.index.entries == (kept,)
    assert models(path) == {kept.file}


def test_a_removed_file_that_was_put_back_is_removed_again(
    folder: SealedFolder, path: Path
) -> None:
    entry = write(folder)
    data = folder.path(entry).read_bytes()
    folder.commit((), (entry,))
    folder.path(entry).write_bytes(data)

    assert opened(path).index.entries == ()
    assert models(path) == set()


@pytest.mark.usefixtures("folder")
def test_what_was_half_written_is_removed(path: Path) -> None:
    (path / "index.partial").write_bytes(b"half")

    opened(path)

    assert models(path) == set()


class CrashError(BaseException):
    """The process has died."""


@pytest.mark.parametrize("steps", range(40))
def test_a_crash_at_any_step_leaves_the_old_or_the_new(
    folder: SealedFolder, path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both a replacement and a deletion, cut before each call that touches the disk."""
    first = write(folder, contents=b"first")
    left = steps

    def dying(function: object) -> object:
        def call(*arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise CrashError
            return function(*arguments, **options)  # type: ignore[operator]  # a function

        return call

    with monkeypatch.context() as patch:
        for name in ("open", "write", "fsync", "close"):
            patch.setattr(f"os.{name}", dying(getattr(__import__("os"), name)))
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr(Path, "unlink", dying(Path.unlink))
        second = folder.entry(about(contents=b"second", version=2))
        try:
            folder.write(second, memoryview(b"second"))
            folder.commit((second,), (first,))
        except CrashError:
            pass

    held = opened(path).index.entries
    assert held in {(first,), (second,)}
    assert models(path) == {held[0].file}
    with Spool(Threads(), 100) as spool:
        opened(path).read(held[0], spool)


# ------------------------------------------------------- what the operator changes


def test_refuses_a_file_that_was_changed(folder: SealedFolder, spool: Spool) -> None:
    entry = write(folder)
    file = folder.path(entry)
    file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(SealingError, match="chunk 1"):
        folder.read(entry, spool)


def test_refuses_a_model_in_another_models_file(
    folder: SealedFolder, spool: Spool
) -> None:
    one, other = write(folder), write(folder, "other")
    folder.path(one).replace(folder.path(other))

    with pytest.raises(SealingError, match="expected the index's"):
        folder.read(other, spool)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"version": 9},
        {"owner": "key:rival"},
        {"epoch": 9},
        {"size_bytes": 9},
        {"digest": "00" * 32},
    ],
)
def test_a_file_is_bound_to_all_that_the_index_says_of_it(
    folder: SealedFolder, spool: Spool, change: dict[str, object]
) -> None:
    entry = write(folder)

    with pytest.raises(SealingError, match="expected the index's"):
        folder.read(replace(entry, **change), spool)  # type: ignore[arg-type]  # by name


def test_refuses_contents_that_are_not_the_digests(
    folder: SealedFolder, spool: Spool
) -> None:
    entry = folder.entry(about())
    folder.write(entry, memoryview(b"other contents"))

    with pytest.raises(SealingError, match="expected the index's digest"):
        folder.read(entry, spool)


def test_a_missing_file_is_said_so(folder: SealedFolder, spool: Spool) -> None:
    entry = write(folder)
    folder.path(entry).unlink()

    with pytest.raises(InternalError, match="could not read a file: No such file"):
        folder.read(entry, spool)


def test_an_older_index_shows_by_a_newer_file(folder: SealedFolder, path: Path) -> None:
    old = (path / INDEX).read_bytes()
    write(folder, "a")
    write(folder, "b")
    (path / INDEX).write_bytes(old)

    with pytest.raises(
        RollbackError, match="expected an index of epoch 2 or later, got 1"
    ):
        opened(path)


def test_an_index_that_was_put_back_meanwhile_stops_all_changes(
    folder: SealedFolder, path: Path
) -> None:
    old = (path / INDEX).read_bytes()
    kept = write(folder, "a")
    (path / INDEX).write_bytes(old)

    with pytest.raises(InternalError, match="changed by somebody else"):
        write(folder, "b")

    assert models(path) == {kept.file}


def test_models_without_an_index_are_refused(folder: SealedFolder, path: Path) -> None:
    write(folder)
    (path / INDEX).unlink()

    with pytest.raises(SealingError, match=r"got none.*move the folder away"):
        opened(path)


def test_another_key_opens_nothing(folder: SealedFolder, path: Path) -> None:
    write(folder)

    with pytest.raises(
        SealingError, match=r"another measurement.*move the folder away"
    ):
        opened(path, b"o" * 32)


@pytest.mark.parametrize("data", [b"", b"x", b"\x00" * 2_000_000])
def test_an_index_that_is_none_is_refused(
    folder: SealedFolder, path: Path, data: bytes
) -> None:
    (path / INDEX).write_bytes(data)

    with pytest.raises(SealingError, match="does not open"):
        opened(path)
    assert folder.index.entries == ()


def test_a_model_in_the_place_of_the_index_is_refused(
    folder: SealedFolder, path: Path
) -> None:
    folder.path(write(folder)).replace(path / INDEX)

    with pytest.raises(SealingError, match="does not open"):
        opened(path)


@pytest.mark.usefixtures("folder")
def test_files_of_others_are_left_and_told(path: Path) -> None:
    (path / "notes.txt").write_bytes(b"foreign")
    (path / ("0" * 64)).write_bytes(b"foreign")

    assert opened(path).strangers == ("0" * 64, "notes.txt")
    assert models(path) == {"0" * 64, "notes.txt"}


def test_a_planted_link_is_not_followed(folder: SealedFolder, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    entry = folder.entry(about())
    folder.path(entry).with_name(f"{entry.file}.partial").symlink_to(victim)

    with pytest.raises(InternalError, match="could not write a file: File exists"):
        folder.write(entry, memoryview(b"new"))

    assert victim.read_bytes() == b"untouched"


def test_refuses_a_model_larger_than_the_spool(
    folder: SealedFolder, spool: Spool
) -> None:
    entry = write(folder, contents=CONTENTS + b"x")

    with pytest.raises(TooLargeError):
        folder.read(entry, spool)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(ConfigurationError, match="cannot be used"):
        opened(tmp_path / "file")


def test_an_idle_pipe_is_no_sealed_model(folder: SealedFolder, spool: Spool) -> None:
    entry = write(folder)
    file = folder.path(entry)
    begun = file.read_bytes()[:60]
    file.unlink()
    os.mkfifo(file)
    writer = os.open(file, os.O_RDWR | os.O_NONBLOCK)

    os.write(writer, begun)

    with pytest.raises(SealingError, match="chunk 0"):
        folder.read(entry, spool)
    os.close(writer)


def test_a_pipe_in_the_place_of_the_reserve_holds_nothing_up(
    folder: SealedFolder, path: Path
) -> None:
    (path / RESERVE).unlink()
    os.mkfifo(path / RESERVE)
    opening = threading.Thread(target=folder.open, daemon=True)

    opening.start()
    opening.join(5)

    assert not opening.is_alive()
    assert folder.index.epoch == 1
