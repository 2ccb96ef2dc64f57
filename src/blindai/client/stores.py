"""Which sealed stores were seen, and how new: so that an older one is noticed.

An enclave cannot tell an old store from a new one by itself: all that it keeps lies on
the operator's disk. A client that has seen a newer one can. What it saw is kept in
memory and, for each enclave (by TEE and measurement) and store, in a file of its own
in the user's state folder:

    $BLINDAI_STATE_DIR, or $XDG_STATE_HOME/blindai, or ~/.local/state/blindai
      stores/<tee>-<measurement>/<store>     one line, a mark (`protocol.store_mark`)

An enclave's own answers only ever grow newer while it runs, so each is held against
what was known when the enclave was attested; the order in which answers arrive does not
matter. BLINDAI_STATE_DIR="" keeps nothing in files.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from blindai.errors import ConfigurationError, ProtocolError, RollbackError
from blindai.protocol.store_mark import StoreMark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from blindai.verifier import AttestationResult

VARIABLE = "BLINDAI_STATE_DIR"


class StateWarning(UserWarning):
    """What was seen of an enclave could not be kept for the next time."""


class SeenStores:
    """What one user's clients have seen of stores.

    Args:
        folder: Where it is kept; only in memory if None.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._marks: dict[tuple[str, bytes], StoreMark] = {}

    def recall(self, enclave: str) -> Mapping[bytes, StoreMark]:
        """The newest that was seen of an enclave's stores, by the store's name.

        Args:
            enclave: Its name, from `enclave_name`.

        Raises:
            ConfigurationError: If a file of it cannot be read.
        """
        for mark in self._files(enclave):
            self._remember(enclave, mark)
        return {
            store: mark for (of, store), mark in self._marks.items() if of == enclave
        }

    def note(self, enclave: str, mark: StoreMark) -> None:
        """Remember what an enclave says of its store, if it is news.

        Raises:
            ConfigurationError: If a file of it cannot be read.
        """
        if not self._remember(enclave, mark) or self._folder is None:
            return
        file = self._file(self._folder, enclave, mark.store)
        known = _read(file)
        if known is not None and known.epoch >= mark.epoch:
            return  # another process has seen more
        try:
            _write(file, mark)
        except OSError as error:
            warnings.warn(
                f"{file}: what was seen of the enclave's store cannot be kept"
                f" ({error.strerror}); {VARIABLE} names another folder, or none",
                StateWarning,
                stacklevel=2,
            )

    def how_to_forget(self, enclave: str, store: bytes) -> str:
        """What a user does who goes on with an older store."""
        if self._folder is None:
            return "connect anew to go on with it as it is"
        file = self._file(self._folder, enclave, store)
        return f"remove {file} to go on with it as it is"

    def _remember(self, enclave: str, mark: StoreMark) -> bool:
        known = self._marks.get((enclave, mark.store))
        if known is not None and known.epoch >= mark.epoch:
            return False
        self._marks[enclave, mark.store] = mark
        return True

    def _files(self, enclave: str) -> Iterator[StoreMark]:
        if self._folder is None:
            return
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for file in (self._folder / "stores" / enclave).iterdir():
                mark = None if file.name.endswith(".new") else _read(file)
                if mark is not None:
                    yield mark

    @staticmethod
    def _file(folder: Path, enclave: str, store: bytes) -> Path:
        return folder / "stores" / enclave / store.hex()


def state_folder() -> Path | None:
    """The user's state folder for blindai; None where nothing is to be kept."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    state = os.environ.get("XDG_STATE_HOME")
    try:
        return Path(state or Path.home() / ".local" / "state") / "blindai"
    except RuntimeError:  # a user without a home
        return None


def enclave_name(result: AttestationResult) -> str:
    """What stores are remembered by: only the same program has the same sealing key."""
    return f"{result.claims.tee}-{result.claims.measurement.hex()}"


def require_newest(
    seen: Mapping[bytes, StoreMark], mark: StoreMark, advice: str
) -> None:
    """Require that a store is at least as new as it was seen before.

    Args:
        seen: What was known when the enclave was attested.
        mark: What it says now.
        advice: What a user can do who knows better.

    Raises:
        RollbackError: If it is older, or its history is another.
    """
    known = seen.get(mark.store)
    if known is None:
        return
    if mark.epoch < known.epoch:
        raise RollbackError(
            f"sealed store {mark.store.hex()}: expected epoch {known.epoch} or later,"
            f" which was seen before, got {mark.epoch}: an older one was put in its"
            f" place, and models may be back that were replaced or deleted; {advice}"
        )
    same = {known.epoch: mark.index, known.epoch + 1: mark.previous}
    if same.get(mark.epoch, known.index) != known.index:
        raise RollbackError(
            f"sealed store {mark.store.hex()}: expected the history that was seen"
            f" before, up to epoch {known.epoch}, got another: a copy of it went its"
            f" own way; {advice}"
        )


def _read(file: Path) -> StoreMark | None:
    try:
        return StoreMark.parse(file.read_text("ascii").strip())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError, ProtocolError) as error:
        raise ConfigurationError(
            f"{file}: expected what was seen of an enclave's store, got something else;"
            " remove it to forget that"
        ) from error


def _write(file: Path, mark: StoreMark) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.{secrets.token_hex(4)}.new")
    try:
        new.write_text(f"{mark.encode()}\n", "ascii")
        new.replace(file)
    except OSError:
        new.unlink(missing_ok=True)
        raise
