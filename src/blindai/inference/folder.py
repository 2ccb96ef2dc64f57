"""Models on the operator's disk: sealed, one file each, and a sealed index of them.

    index        the index (`index`), sealed; what it does not name is not there
    <64 hex>     a sealed model; its name is the salt of its key
    reserve      space that is given back when a full disk would stop a deletion
    *.partial    what is being written

A change first writes its model's file and then the next index: the rename of the index
is the moment at which it has happened. Files that no index came to name are removed at
the next start; so are those that it names no more. Each file says for which epoch it
was sealed, at the earliest, so that one from after the index shows that the index is
an older one, which somebody put back.
"""

from __future__ import annotations

import errno
import hashlib
import re
import secrets
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from blindai.errors import (
    BlindAIError,
    ConfigurationError,
    InternalError,
    RollbackError,
    SealingError,
)
from blindai.inference import disk, index
from blindai.inference.index import STORE_BYTES, Entry, Index
from blindai.protocol import cbor
from blindai.sealing import SALT_BYTES, open_sealed, seal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from blindai.inference.model import ModelInfo
    from blindai.inference.spool import Spool
    from blindai.protocol.store_mark import StoreMark

INDEX: Final = "index"
RESERVE: Final = "reserve"
RESERVE_BYTES: Final = 256 << 10
_MODEL_FILE: Final = re.compile(r"[0-9a-f]{64}")
_INDEX_LABEL: Final = b"blindai index v2"
_MAX_INDEX_FILE_BYTES: Final = cbor.MAX_BYTES + 4096
_MOVE_AWAY: Final = (
    "move the folder away to begin anew (its models have to be uploaded again)"
)


class SealedFolder:
    """A folder of sealed models.

    Args:
        path: The folder; made if it is not there.
        key: The sealing key, 32 bytes.

    Attributes:
        strangers: Files that are none of this store's, once it is open; they are left.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key
        self._index: Index | None = None
        self._mark: StoreMark | None = None
        self._on_disk: set[bytes] = set()  # SHA-256 of the index files there may be
        self.strangers: tuple[str, ...] = ()

    @property
    def index(self) -> Index:
        """What the folder holds; it is opened if it was not.

        Raises:
            BlindAIError: As `open` raises.
        """
        return self._index or self.open()

    def open(self) -> Index:
        """Read the index, or begin a new store where nothing is; clear what is left.

        Raises:
            ConfigurationError: If the folder cannot be used.
            SealingError: If the index does not open, or is missing.
            RollbackError: If a model was sealed for a later epoch than the index's.
        """
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            files = sorted(each.name for each in self._path.iterdir())
            held = self._read_index() if INDEX in files else self._begin(files)
        except OSError as error:
            raise ConfigurationError(
                f"model folder {self._path}: cannot be used: {error.strerror}"
            ) from error
        self._clear(held, files)
        self._reserve()
        return self._hold(held)

    @property
    def mark(self) -> StoreMark | None:
        """What clients are told of the index; None before the folder is open."""
        return self._mark

    def path(self, entry: Entry) -> Path:
        """Where a model's file is."""
        return self._path / entry.file

    def entry(self, info: ModelInfo) -> Entry:
        """A model's entry for the next index, with a salt of its own."""
        return Entry(
            name=info.name,
            version=info.version,
            digest=info.digest,
            owner=info.owner,
            size_bytes=info.size_bytes,
            created_at=info.created_at,
            epoch=self.index.epoch + 1,
            salt=secrets.token_bytes(SALT_BYTES),
        )

    def read(self, entry: Entry, spool: Spool) -> None:
        """Open a model's file into a spool.

        Raises:
            SealingError: If it does not open, or is not the one that the index names.
            ProtocolError: If its metadata is not CBOR.
            TooLargeError: If the model is larger than the spool takes.
            InternalError: If the disk fails, or the file is missing.
        """
        try:
            with disk.reading(self.path(entry)) as pieces:
                opened = open_sealed(self._key, pieces)
                if index.parse_metadata(opened.metadata) != (self.index.store, entry):
                    raise SealingError(
                        "sealed model: expected the index's, got another"
                    )
                for piece in opened.contents:
                    spool.append(piece)
        except OSError as error:
            raise InternalError(disk.words("read", error)) from error
        if spool.digest != entry.digest:
            raise SealingError("sealed model: expected the index's digest, got another")

    def write(self, entry: Entry, contents: memoryview) -> None:
        """Seal a model into its file; it is not there until an index names it.

        Raises:
            InternalError: If the disk fails.
        """
        before = index.metadata(self.index.store, entry)
        sealed = seal(self._key, before, _pieces(contents), salt=entry.salt)
        try:
            disk.write_whole(self.path(entry), sealed)
        except OSError as error:
            self.remove(entry)
            raise InternalError(disk.words("write", error)) from error

    def commit(
        self, added: tuple[Entry, ...] = (), removed: Collection[Entry] = ()
    ) -> None:
        """Replace the index by the next one. What was removed loses its file.

        Raises:
            OverloadedError: If the index would be too large.
            InternalError: If the disk fails, and nothing has changed; or if the index
                there is not the one that was written last.
        """
        with ExitStack() as undo:
            undo.callback(self._forget, added)
            following = self.index.after(added=added, removed=removed)
            self._replace_index(following)
            undo.pop_all()
        self._hold(following)
        for entry in removed:
            self.remove(entry)
        if not (self._path / RESERVE).exists():
            self._reserve()

    def remove(self, entry: Entry) -> None:
        """Remove a file that no index names; if the disk fails, the next start does."""
        try:
            self.path(entry).unlink(missing_ok=True)
        except OSError:
            return

    def _hold(self, held: Index) -> Index:
        self._index, self._mark = held, held.mark
        return held

    def _forget(self, added: tuple[Entry, ...]) -> None:
        """Remove what was to be added; unless the next index may name it."""
        if len(self._on_disk) == 1:
            for entry in added:
                self.remove(entry)

    def _begin(self, files: list[str]) -> Index:
        if any(_MODEL_FILE.fullmatch(name) for name in files):
            raise SealingError(
                f"model folder {self._path}: expected a sealed index beside the sealed"
                " models, got none: somebody removed it, or an earlier release wrote"
                f" them; put it back, or {_MOVE_AWAY}"
            )
        begun = Index(store=secrets.token_bytes(STORE_BYTES))
        self._write_index(begun)
        disk.flush(self._path.parent)
        return begun

    def _read_index(self) -> Index:
        try:
            data = disk.read_small(self._path / INDEX, _MAX_INDEX_FILE_BYTES)
            opened = open_sealed(self._key, [data])
            if opened.metadata != _INDEX_LABEL:
                raise SealingError("sealed index: expected one, got another file")
            found = index.parse(b"".join(opened.contents))
        except BlindAIError as error:
            raise SealingError(
                f"model folder {self._path}: its index does not open"
                f" ({error.message}): it was changed, or sealed by another measurement,"
                f" chip or firmware; put the right one back, or {_MOVE_AWAY}"
            ) from error
        self._on_disk = {hashlib.sha256(data).digest()}
        return found

    def _replace_index(self, following: Index) -> None:
        try:
            self._require_own_index()
            self._write_index(following)
        except OSError as error:
            raise InternalError(disk.words("write", error)) from error

    def _write_index(self, following: Index) -> None:
        salt = secrets.token_bytes(SALT_BYTES)
        data = b"".join(seal(self._key, _INDEX_LABEL, [following.encode()], salt=salt))
        digest = hashlib.sha256(data).digest()
        try:
            disk.write_whole(self._path / INDEX, [data])
        except disk.UnflushedError:
            self._on_disk.add(digest)  # which of the two survives is not known
            raise
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            (self._path / RESERVE).unlink(missing_ok=True)
            disk.write_whole(self._path / INDEX, [data])
        self._on_disk = {digest}

    def _require_own_index(self) -> None:
        """Require that nobody replaced the index since it was written.

        Raises:
            InternalError: If somebody did.
        """
        data = disk.read_small(self._path / INDEX, _MAX_INDEX_FILE_BYTES)
        if hashlib.sha256(data).digest() not in self._on_disk:
            raise InternalError(
                "sealed store: expected the index that was written last, got another:"
                " the folder was changed by somebody else"
            )

    def _clear(self, held: Index, files: list[str]) -> None:
        """Remove what crashes left, and see what nobody could have left.

        Raises:
            RollbackError: If a file is of a later epoch than the next.
        """
        named = {entry.file for entry in held.entries}
        strangers = []
        for name in files:
            if name.endswith(disk.PARTIAL):
                self._unlink(name)
            elif name not in named | {INDEX, RESERVE}:
                epoch = self._epoch(held, name)
                if epoch is None:
                    strangers.append(name)
                elif epoch > held.epoch + 1:
                    raise RollbackError(
                        f"model folder {self._path}: expected an index of epoch"
                        f" {epoch - 1} or later, got {held.epoch}: an older one was put"
                        f" back; bring the newest, or {_MOVE_AWAY}"
                    )
                else:
                    self._unlink(name)
        self.strangers = tuple(strangers)

    def _epoch(self, held: Index, name: str) -> int | None:
        """For which epoch a file was sealed; None if it is not one of this store."""
        try:
            with disk.reading(self._path / name) as pieces:
                opened = open_sealed(self._key, pieces)
                store, entry = index.parse_metadata(opened.metadata)
        except (OSError, BlindAIError):
            return None
        return entry.epoch if (store, entry.file) == (held.store, name) else None

    def _unlink(self, name: str) -> None:
        try:
            (self._path / name).unlink()
        except OSError:  # a disk that cannot be written may still be read
            return

    def _reserve(self) -> None:
        try:
            disk.reserve(self._path / RESERVE, RESERVE_BYTES)
        except OSError:  # as above; or it is full already
            return


def _pieces(contents: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(contents), disk.PIECE_BYTES):
        yield contents[start : start + disk.PIECE_BYTES]
