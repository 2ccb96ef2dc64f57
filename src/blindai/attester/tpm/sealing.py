"""A random secret that only this TPM opens, and only after the same boot.

The secret is sealed by TPM2_Create under a storage key, with the policy that registers
stand as they stood (TPM2_PolicyPCR). The blob lies in a file; it is worth nothing
elsewhere. When anything changes that the registers measure, it does not open again.

    key = SealedSecret(Path("data/tpm_sealed_key"), tpm).read()
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from blindai.attester.tpm.commands import OWNER, CommandError, Sealed, Tpm
from blindai.attester.tpm.templates import STORAGE_KEY, sealed_object
from blindai.errors import ConfigurationError, ProtocolError
from blindai.protocol import cbor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET_BYTES: Final = 32
DEFAULT_PCRS: Final = (0, 2, 4, 7, 8, 9, 11, 12)
_VERSION: Final = 1
_MODE: Final = 0o600
_KEYS: Final = ("version", "bank", "pcrs", "private", "public")


class SealedSecret:
    """A secret of 32 bytes, made when it is first read.

    Args:
        path: Where its blob lies.
        tpm: Who opens it.
        bank: The bank whose registers it is sealed to, when it is made.
        pcrs: Those registers: what measures the whole image, and nothing that
            changes from boot to boot.
    """

    def __init__(
        self,
        path: Path,
        tpm: Tpm,
        bank: str = "sha256",
        pcrs: tuple[int, ...] = DEFAULT_PCRS,
    ) -> None:
        self._path = path
        self._tpm = tpm
        self._bank = bank
        self._pcrs = tuple(sorted(set(pcrs)))

    def read(self) -> bytes:
        """The secret.

        Raises:
            ConfigurationError: If the file is not one, or the secret was sealed to
                other registers, other values of them, or by another TPM.
            HardwareError: If the TPM fails.
        """
        if not self._path.exists():
            return self._make()
        try:
            blob = cbor.decode(self._path.read_bytes())
        except ProtocolError as error:
            raise ConfigurationError(f"{self._path}: {error.message}") from error
        return self._unseal(self._sealed(blob))

    def _make(self) -> bytes:
        secret = secrets.token_bytes(SECRET_BYTES)
        with self._parent() as parent, self._session() as (_, policy):
            sealed = self._tpm.seal(parent, secret, sealed_object(policy))
        blob = {
            "version": _VERSION,
            "bank": self._bank,
            "pcrs": list(self._pcrs),
            "private": sealed.private,
            "public": sealed.public,
        }
        _write(self._path, cbor.encode(blob))
        return secret

    def _sealed(self, blob: object) -> Sealed:
        if not isinstance(blob, Mapping) or blob.keys() != set(_KEYS):
            raise ConfigurationError(f"{self._path}: expected a sealed secret")
        expected = (_VERSION, self._bank, list(self._pcrs))
        if (blob["version"], blob["bank"], blob["pcrs"]) != expected:
            raise ConfigurationError(
                f"{self._path}: expected a secret sealed to {self._bank} PCRs"
                f" {', '.join(map(str, self._pcrs))}, got another"
            )
        private, public = blob["private"], blob["public"]
        if not isinstance(private, bytes) or not isinstance(public, bytes):
            raise ConfigurationError(f"{self._path}: expected a sealed secret")
        return Sealed(private, public)

    def _unseal(self, sealed: Sealed) -> bytes:
        try:
            with self._parent() as parent, self._session() as (session, _):
                handle = self._tpm.load(parent, sealed)
                try:
                    return self._tpm.unseal(handle, session)
                finally:
                    self._tpm.flush(handle)
        except CommandError as error:
            raise ConfigurationError(
                f"{self._path}: the TPM does not open it ({error.message}): something"
                " that is measured at boot has changed, or it is another TPM; move the"
                " file away to start with a new key, which opens none of the models"
                " that are sealed"
            ) from error

    @contextmanager
    def _parent(self) -> Iterator[int]:
        handle, _ = self._tpm.create_primary(OWNER, STORAGE_KEY)
        try:
            yield handle
        finally:
            self._tpm.flush(handle)

    @contextmanager
    def _session(self) -> Iterator[tuple[int, bytes]]:
        """A session bound to the registers as they stand, and the policy's digest."""
        session = self._tpm.start_policy()
        try:
            yield session, self._tpm.policy_pcr(session, self._bank, self._pcrs)
        finally:
            self._tpm.flush(session)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and for its owner alone."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
