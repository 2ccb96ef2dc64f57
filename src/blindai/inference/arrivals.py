"""How models come: uploaded, named by the configuration, or from the sealed store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blindai.inference.room import NO_QUOTA

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from blindai.inference.room import Quota


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not loaded at start.

    Attributes:
        file: Its name in the folder.
        reason: Why it was not; it may quote the model.
        words: What the operator may read of it, and do about it, if there is anything.
    """

    file: str
    reason: str
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preload:
    """A model that the measured configuration names.

    Attributes:
        name: What requests call it.
        digest: SHA-256 of the ONNX file, 64 lower-case hexadecimal digits.
        path: Where the operator has put the file.
    """

    name: str
    digest: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """How an upload is taken in.

    Attributes:
        now: The time to note.
        may_replace: Whether it may become the next version of the owner's own model.
        save: Whether it is to outlive the process, where there is a folder.
        quota: How much its owner may keep.
    """

    now: datetime
    may_replace: bool = True
    save: bool = True
    quota: Quota = NO_QUOTA
