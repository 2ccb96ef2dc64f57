"""`--ear FILE --ear-key FILE`: the verdict as a signed EAT Attestation Result."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindai import __version__
from blindai.cli.exits import CommandError
from blindai.errors import ConfigurationError, reason

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.verifier.ear import Appraisal, PrivateKey

EarOption = Annotated[
    Path | None,
    typer.Option(
        "--ear",
        metavar="FILE",
        help="Write the verdict to this file as a signed JWT (EAT Attestation Result).",
    ),
]
EarKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--ear-key",
        metavar="FILE",
        help="Private key that signs it: PEM, P-256 or Ed25519, not encrypted.",
    ),
]


@dataclass(frozen=True, slots=True)
class EarWriter:
    """Where a verdict goes, and what signs it.

    Attributes:
        path: The file; None if nobody asked for one.
        key: The private key likewise.
    """

    path: Path | None
    key: "PrivateKey | None"

    def write(self, appraisal: "Appraisal", now: "datetime") -> None:
        """Sign a verdict and write it, if it was asked for.

        Raises:
            ConfigurationError: If it cannot be written.
        """
        if self.path is None or self.key is None:
            return
        from blindai.verifier import ear  # noqa: PLC0415  only where it is asked for

        claims = ear.claims_set(appraisal, now=now, build=f"blindai {__version__}")
        try:
            self.path.write_text(ear.sign(claims, self.key) + "\n", encoding="ascii")
        except OSError as error:
            raise ConfigurationError(
                f"--ear {self.path}: cannot be written: {error.strerror}"
            ) from error


def choose_ear(path: Path | None, key: Path | None) -> EarWriter:
    """What the two options mean; the key is read now, before anything is verified.

    Raises:
        CommandError: If there is one without the other, or the key is none.
    """
    if path is None and key is None:
        return EarWriter(None, None)
    if path is None or key is None:
        raise CommandError(
            "EAR: expected both --ear and --ear-key, got one",
            "Name the file to write and the key that signs it.",
        )
    return EarWriter(path, _load_key(key))


def _load_key(path: Path) -> "PrivateKey":
    from blindai.verifier import ear  # noqa: PLC0415  only where it is asked for

    advice = "Make one: openssl genpkey -algorithm ed25519 -out ear-key.pem"
    try:
        return ear.parse_key(path.read_bytes())
    except OSError as error:
        raise CommandError(
            f"--ear-key {path}: cannot be read: {reason(error)}", advice
        ) from error
    except ValueError as error:
        raise CommandError(f"--ear-key {path}: {error}", advice) from error
