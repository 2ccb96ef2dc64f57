"""From a command's options to evidence, time and nonce: files are read here."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from blindai.cli.evidence_files import MAX_FILE_BYTES, read_evidence
from blindai.cli.exits import CommandError, EvidenceFileError
from blindai.cli.lookalikes import given_for_endorsements, given_for_evidence
from blindai.errors import EvidenceError, reason
from blindai.protocol.endorsements import parse_endorsements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from blindai.cli.lookalikes import Lookalike
    from blindai.cli.tee_names import TeeName
    from blindai.protocol.attestation import Endorsement, Evidence

_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){1,512}")


_USUAL = (
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
        content = load(path)
        try:
            said += parse_endorsements(content)
        except EvidenceError as error:
            found = given_for_endorsements(content)
            raise EvidenceFileError(*_mistaken(path, error.message, found)) from error
    log = load(event_log) if event_log else b""
    if event_log and not log:
        message = f"{event_log.name}: expected an event log, got nothing"
        raise EvidenceFileError(message, _USUAL)
    data = load(file)
    try:
        return read_evidence(
            data,
            tee=tee,
            endorsements=tuple(said),
            event_log=log,
        )
    except EvidenceError as error:
        found = given_for_evidence(data)
        raise EvidenceFileError(*_mistaken(file, error.message, found)) from error


def _mistaken(path: Path, message: str, found: Lookalike | None) -> tuple[str, str]:
    """What was wrong with a file, and what to do."""
    if found is None:
        return f"{path.name}: {message}", _USUAL
    return f"{path.name}: {message}; it looks like {found.words}", found.advice


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
            f"{path}: cannot be read: {reason(error)}", "Name a file that is there."
        ) from error


def choose_time(text: str | None) -> datetime:
    """The time that `--at` means, in UTC, also where it names no zone; now if left out.

    Raises:
        CommandError: If it is no time.
    """
    if text is None:
        return datetime.now(UTC)
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise CommandError(
            f"--at: expected a time, got {text!r}",
            "Write it as 2025-06-24 or 2025-06-24T12:00:00Z.",
        ) from error


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
