"""Policy files, read for a person: those of the original BlindAI too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindai.cli import legacy_policy
from blindai.cli.exits import CommandError
from blindai.client.policies import read_policy_file
from blindai.errors import ConfigurationError
from blindai.verifier import Policy

if TYPE_CHECKING:
    from pathlib import Path

CONVERTED = "a policy of the original BlindAI, in today's words"


def read_policy(path: Path) -> tuple[Policy, str]:
    """A policy, and what there is to say about its file.

    Raises:
        ConfigurationError: If it cannot be read or is malformed.
    """
    text = read_policy_file(path)
    if legacy_policy.is_legacy(text):
        return legacy_policy.convert(text), CONVERTED
    return Policy.parse(text), ""


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        CommandError: If it is.
        ConfigurationError: If it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise CommandError(
            f"--out {path}: expected no such file, got one",
            "Choose another name, or compare the two with `blindai policy diff`.",
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"--out {path}: cannot be written: {error.strerror}"
        ) from error
