"""Endorsements that a relying party brings, instead of trusting what is stapled.

They are what `blindai endorsements fetch` writes, or files of vendors and other tools;
see `blindai.protocol.endorsements`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blindai.errors import ConfigurationError, EvidenceError, reason
from blindai.protocol.attestation import Endorsement
from blindai.protocol.endorsements import MAX_FILE_BYTES, parse_endorsements

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    Brought = Iterable[Endorsement | str | PathLike[str]]


def choose_endorsements(brought: Brought) -> tuple[Endorsement, ...]:
    """All endorsements, those in files read.

    Args:
        brought: Endorsements, and paths of files that hold some.

    Raises:
        ConfigurationError: If a file cannot be read, or holds none.
        TypeError: If it is one path, and no list.
    """
    if isinstance(brought, str):
        raise TypeError("endorsements: expected a list of files, got one")
    return tuple(
        endorsement
        for each in brought
        for endorsement in (
            (each,) if isinstance(each, Endorsement) else load_endorsements(Path(each))
        )
    )


def load_endorsements(path: Path) -> tuple[Endorsement, ...]:
    """The endorsements in a file, whichever of the known formats it has.

    Raises:
        ConfigurationError: If it cannot be read, or holds none.
    """
    try:
        with path.open("rb") as file:
            return parse_endorsements(file.read(MAX_FILE_BYTES + 1))
    except OSError as error:
        raise ConfigurationError(
            f"endorsements {path}: cannot be read: {reason(error)}"
        ) from error
    except EvidenceError as error:
        raise ConfigurationError(f"{path}: {error.message}") from error
