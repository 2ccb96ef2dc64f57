"""From a command's options to evidence, time and nonce: files are read here."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from blindai.cli.evidence_files import MAX_FILE_BYTES, read_evidence
from blindai.cli.exits import CommandError
from blindai.errors import EvidenceError
from blindai.protocol.endorsements import parse_endorsements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from blindai.cli.tee_names import TeeName
    from blindai.protocol.attestation import Endorsement, Evidence

_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){1,512}")


class EvidenceFileError(EvidenceError):
    """A file is not the evidence, or what goes with it, that a command asks for."""

    next_step = (
        "Give the whole file, what belongs to it with --endorsements, and the --tee"
        " that it is of; docs/policy.md has what each needs."
    )


def load_evidence(
    file: Path,
    tee: TeeName | None,
    endorsements: Sequence[Path],
    event_log: Path | None = None,
) -> Evidence:
    """The evidence that a command's options mean.

    Raises:
        CommandError: If a file cannot be read.
        EvidenceFileError: If one is not what is expected.
    """
    said: list[Endorsement] = []
    for path in endorsements:
        try:
            said += parse_endorsements(load(path))
        except EvidenceError as error:
            raise EvidenceFileError(f"{path.name}: {error.message}") from error
    log = load(event_log) if event_log else b""
    if event_log and not log:
        raise EvidenceFileError(f"{event_log.name}: expected an event log, got nothing")
    try:
        return read_evidence(
            load(file),
            tee=tee,
            endorsements=tuple(said),
            event_log=log,
        )
    except EvidenceError as error:
        raise EvidenceFileError(f"{file.name}: {error.message}") from error


def load(path: Path) -> bytes:
    """A file's contents, one byte more than the limit at most.

    Raises:
        CommandError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CommandError(
            f"{path}: cannot be read: {error.strerror}", "Name a file that is there."
        ) from error


def choose_time(text: str | None) -> datetime:
    """The time that `--at` means; UTC where it names no zone, now if it is left out.

    Raises:
        CommandError: If it is no time.
    """
    if text is None:
        return datetime.now(UTC)
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(
            f"--at: expected a time, got {text!r}",
            "Write it as 2025-06-24 or 2025-06-24T12:00:00Z.",
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def choose_nonce(text: str | None) -> bytes | None:
    """The bytes that `--nonce` means.

    Raises:
        CommandError: If they are not in hexadecimal, none or more than 512.
    """
    if text is None:
        return None
    if not _HEX.fullmatch(text):
        raise CommandError(
            "--nonce: expected 1 to 512 bytes in hexadecimal",
            "Write two digits a byte, without spaces.",
        )
    return bytes.fromhex(text)
