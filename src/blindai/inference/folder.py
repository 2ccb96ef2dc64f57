"""Models on the operator's disk: sealed, one file each, under names that say nothing.

A file appears whole or not at all: it is written beside its place, flushed, renamed,
and the folder flushed. Its name is made from the model's by the sealing key, and the
model's name is sealed within, so that no file can stand in for another. An older file
of the same model still can: see `sealing`.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from blindai.errors import InternalError, SealingError
from blindai.protocol import cbor
from blindai.sealing import SALT_BYTES, open_sealed, seal, sealed_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from blindai.inference.model import ModelInfo
    from blindai.inference.spool import Spool

_PIECE_BYTES: Final = 1 << 20
_PARTIAL = ".partial"
# The folder is the operator's: no link is followed, and nothing waits for a writer.
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_SEALED_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SealedModel:
    """What a file says about the model in it.

    Attributes:
        name: The model's name.
        owner: Who uploaded it.
        created_at: When it was uploaded.
    """

    name: str
    owner: str = field(repr=False)
    created_at: datetime


class SealedFolder:
    """A folder of sealed models.

    Args:
        path: The folder; made if it is not there.
        key: The sealing key, 32 bytes.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key

    def files(self) -> list[Path]:
        """The files, in the order of their names; what a crash cut short is removed."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for partial in self._path.glob(f"*{_PARTIAL}"):
            if not partial.is_dir():
                partial.unlink()
        return sorted(self._path.iterdir())

    def read(self, file: Path, spool: Spool) -> SealedModel:
        """Open a file into a spool.

        Raises:
            SealingError: If it does not open, is another model's file, or does not hold
                the model it says.
            ProtocolError: If its metadata is not CBOR.
            TooLargeError: If the model is larger than the spool takes.
            InternalError: If the disk fails.
        """
        try:
            with os.fdopen(os.open(file, _SEALED_FILE), "rb") as sealed:
                pieces = iter(lambda: sealed.read(_PIECE_BYTES) or b"", b"")
                opened = open_sealed(self._key, pieces)
                for piece in opened.contents:
                    spool.append(piece)
        except OSError as error:
            raise InternalError(_words("read", error)) from error
        model = _parse_metadata(opened.metadata, spool.digest)
        if file.name != sealed_name(self._key, model.name):
            raise SealingError(
                "sealed model: expected it in its own file, got another's name"
            )
        return model

    def write(self, info: ModelInfo, contents: memoryview) -> None:
        """Seal a model into its file, in place of an older one.

        Raises:
            InternalError: If the disk fails; an older file is then still there.
        """
        file = self._file(info.name)
        partial = file.with_name(file.name + _PARTIAL)
        salt = secrets.token_bytes(SALT_BYTES)
        sealed = seal(self._key, _metadata(info), _pieces(contents), salt=salt)
        try:
            with os.fdopen(os.open(partial, _NEW_FILE, 0o600), "wb") as target:
                for piece in sealed:
                    target.write(piece)
                target.flush()
                os.fsync(target.fileno())
            partial.replace(file)
            self._flush()
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise InternalError(_words("write", error)) from error

    def delete(self, name: str) -> None:
        """Remove a model's file, if there is one.

        Raises:
            InternalError: If the disk fails.
        """
        try:
            self._file(name).unlink(missing_ok=True)
            self._flush()
        except OSError as error:
            raise InternalError(_words("delete", error)) from error

    def _file(self, name: str) -> Path:
        return self._path / sealed_name(self._key, name)

    def _flush(self) -> None:
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _metadata(info: ModelInfo) -> bytes:
    return cbor.encode(
        {
            "v": 1,
            "name": info.name,
            "digest": info.digest,
            "owner": info.owner,
            "created_at_us": (info.created_at - _EPOCH) // timedelta(microseconds=1),
        }
    )


def _parse_metadata(metadata: bytes, digest: str) -> SealedModel:
    match cbor.decode(metadata):
        case {
            "v": 1,
            "name": str(name),
            "digest": str(sealed_digest),
            "owner": str(owner),
            "created_at_us": int(microseconds),
        } if sealed_digest == digest:
            created_at = _EPOCH + timedelta(microseconds=microseconds)
            return SealedModel(name, owner, created_at)
    raise SealingError("sealed model: expected metadata of version 1 and its digest")


def _pieces(contents: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(contents), _PIECE_BYTES):
        yield contents[start : start + _PIECE_BYTES]


def _words(verb: str, error: OSError) -> str:
    return f"model folder: could not {verb} a file: {error.strerror}"
