"""What lies on the operator's disk, and what comes back from it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blindai import sealing
from blindai.errors import InternalError, ProtocolError, SealingError, TooLargeError
from blindai.inference.folder import SealedFolder, SealedModel
from blindai.inference.model import ModelInfo, ModelSpec
from blindai.inference.runtime import Runtime, RuntimeSettings
from blindai.inference.spool import Spool
from blindai.protocol import cbor

KEY = b"k" * 32
CONTENTS = b"weights " * 200_000  # more than one chunk
CREATED_AT = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


def fail(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def spool() -> Iterator[Spool]:
    with Spool(Runtime(RuntimeSettings()), max_bytes=len(CONTENTS)) as spool:
        yield spool


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "models"


@pytest.fixture
def folder(path: Path) -> SealedFolder:
    folder = SealedFolder(path, KEY)
    folder.files()
    return folder


def about(name: str = "medical-model", contents: bytes = CONTENTS) -> ModelInfo:
    return ModelInfo(
        name=name,
        digest=hashlib.sha256(contents).hexdigest(),
        size_bytes=len(contents),
        spec=ModelSpec((), ()),
        owner="key:clinic",
        created_at=CREATED_AT,
    )


def write(
    folder: SealedFolder, name: str = "medical-model", contents: bytes = CONTENTS
) -> Path:
    before = set(folder.files())
    folder.write(about(name, contents), memoryview(contents))
    return next(file for file in folder.files() if file not in before)


def test_what_was_written_is_read(folder: SealedFolder, spool: Spool) -> None:
    file = write(folder)

    model = folder.read(file, spool)

    assert model == SealedModel("medical-model", "key:clinic", CREATED_AT)
    assert bytes(spool.view()) == CONTENTS


def test_the_disk_shows_neither_names_nor_contents(
    folder: SealedFolder, path: Path
) -> None:
    file = write(folder)

    shown = file.name.encode() + file.read_bytes()

    assert [part for part in (b"medical", b"clinic", b"weights") if part in shown] == []
    assert path.stat().st_mode & 0o077 == 0


def test_writing_again_replaces(folder: SealedFolder, spool: Spool) -> None:
    file = write(folder, contents=b"old")
    folder.write(about(contents=b"new"), memoryview(b"new"))

    folder.read(file, spool)

    assert folder.files() == [file]
    assert bytes(spool.view()) == b"new"


def test_no_two_files_are_alike(folder: SealedFolder) -> None:
    file = write(folder)
    first = file.read_bytes()

    folder.write(about(), memoryview(CONTENTS))

    assert file.read_bytes() != first


def test_what_is_deleted_is_gone(folder: SealedFolder) -> None:
    write(folder)

    folder.delete("medical-model")
    folder.delete("medical-model")

    assert folder.files() == []


def test_what_a_crash_cut_short_is_removed(folder: SealedFolder, path: Path) -> None:
    file = write(folder)
    (path / f"{file.name}.partial").write_bytes(b"half")

    assert folder.files() == [file]
    assert list(path.iterdir()) == [file]


def test_refuses_a_file_that_was_changed(folder: SealedFolder, spool: Spool) -> None:
    file = write(folder)
    file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(SealingError, match="chunk 1"):
        folder.read(file, spool)


def test_refuses_a_file_of_another_key(
    folder: SealedFolder, path: Path, spool: Spool
) -> None:
    file = write(folder)

    with pytest.raises(SealingError, match="another key"):
        SealedFolder(path, b"o" * 32).read(file, spool)


def test_refuses_a_model_in_another_models_file(
    folder: SealedFolder, spool: Spool
) -> None:
    file, other = write(folder), write(folder, "other")
    file.replace(other)

    with pytest.raises(SealingError, match="expected it in its own file"):
        folder.read(other, spool)


def good_metadata() -> dict[str, object]:
    return {
        "v": 1,
        "name": "medical-model",
        "digest": hashlib.sha256(CONTENTS).hexdigest(),
        "owner": "key:clinic",
        "created_at_us": 0,
    }


@pytest.mark.parametrize(
    "change", [{"v": 2}, {"digest": "00" * 32}, {"name": 1}, {"owner": None}]
)
def test_refuses_other_metadata(
    folder: SealedFolder, spool: Spool, change: dict[str, object]
) -> None:
    file = write(folder)
    metadata = cbor.encode(good_metadata() | change)
    sealed = sealing.seal(KEY, metadata, [CONTENTS], salt=bytes(32))
    file.write_bytes(b"".join(sealed))

    with pytest.raises(SealingError, match="metadata of version 1"):
        folder.read(file, spool)


def test_refuses_metadata_that_is_no_cbor(folder: SealedFolder, spool: Spool) -> None:
    file = write(folder)
    sealed = sealing.seal(KEY, b"\xff", [CONTENTS], salt=bytes(32))
    file.write_bytes(b"".join(sealed))

    with pytest.raises(ProtocolError, match="CBOR"):
        folder.read(file, spool)


def test_refuses_a_model_larger_than_the_spool(
    folder: SealedFolder, spool: Spool
) -> None:
    file = write(folder, contents=CONTENTS + b"x")

    with pytest.raises(TooLargeError):
        folder.read(file, spool)


def test_a_disk_that_fails_to_read_is_said_so(
    folder: SealedFolder, path: Path, spool: Spool
) -> None:
    with pytest.raises(InternalError, match="could not read a file: No such file"):
        folder.read(path / "absent", spool)


def test_an_idle_pipe_is_no_sealed_model(
    folder: SealedFolder, path: Path, spool: Spool
) -> None:
    begun = write(folder).read_bytes()[:60]
    pipe = path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)

    os.write(writer, begun)

    with pytest.raises(SealingError, match="chunk 0"):
        folder.read(pipe, spool)
    os.close(writer)


def test_a_planted_link_is_not_followed(
    folder: SealedFolder, path: Path, tmp_path: Path
) -> None:
    file = write(folder)
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    (path / f"{file.name}.partial").symlink_to(victim)

    with pytest.raises(InternalError, match="could not write a file: File exists"):
        folder.write(about(), memoryview(b"new"))

    assert victim.read_bytes() == b"untouched"


def test_a_disk_that_fails_to_write_keeps_the_old_file(
    folder: SealedFolder, path: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(folder)
    monkeypatch.setattr("blindai.inference.folder.os.fsync", fail)

    with pytest.raises(InternalError, match="could not write a file: No space left"):
        folder.write(about(), memoryview(b"new"))

    assert list(path.iterdir()) == [file]
    assert folder.read(file, spool).name == "medical-model"


def test_a_disk_that_fails_to_delete_is_said_so(
    folder: SealedFolder, path: Path
) -> None:
    path.rmdir()

    with pytest.raises(InternalError, match="could not delete a file: No such file"):
        folder.delete("medical-model")
