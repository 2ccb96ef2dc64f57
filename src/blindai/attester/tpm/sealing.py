"""A random secret that only this TPM opens, and only after the same boot that made it.

The secret is sealed by TPM2_Create under a storage key, with the policy that registers
stand as they stood (TPM2_PolicyPCR). The blob lies in a file; it is worth nothing
elsewhere. When anything changes that the registers measure, it does not open again.

The policy says who may open the secret, not who knows it: whoever can speak to the TPM,
after any boot, can seal a secret of his own to the same registers, and put it into the
file. So the TPM's creation ticket lies beside it, and a secret counts only if the TPM
says that it was made while the registers stood as they stand now (`creation.py`).

    key = SealedSecret(Path("data/tpm_sealed_key"), tpm).read()
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from blindai.attester.tpm import wire
from blindai.attester.tpm.commands import OWNER, CommandError, Sealed, Tpm
from blindai.attester.tpm.creation import creation_hash
from blindai.attester.tpm.templates import STORAGE_KEY, sealed_object
from blindai.errors import ConfigurationError, HardwareError, ProtocolError
from blindai.protocol import cbor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET_BYTES: Final = 32
DEFAULT_PCRS: Final = (0, 2, 4, 7, 8, 9, 11, 12)
OUTSIDE_INFO: Final = b"blindai sealing key v1"
_VERSION: Final = 2
_WITHOUT_TICKET: Final = 1
_MODE: Final = 0o600
_MAX_BYTES: Final = 4096  # of the file; so much a TPM takes at once
_KEYS: Final = ("version", "bank", "pcrs", "private", "public", "ticket")
_DOES_NOT_OPEN: Final = (
    "the TPM does not open it: something that is measured at boot has changed, or it is"
    " another TPM"
)
_NOT_OURS: Final = (
    "the secret opens, but the TPM does not say that it was made by what was booted"
    " now: whoever put it there may know it, and it is not used"
)
_ANEW: Final = (
    "move the file away to start with a new key, which opens none of the models that"
    " are sealed"
)


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
            ConfigurationError: If the file is not one; or the secret was sealed to
                other registers, other values of them, or by another TPM; or it was not
                made while they stood as they stand now.
            HardwareError: If the TPM fails.
        """
        if not self._path.exists():
            return self._make()
        with self._path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        try:
            blob = cbor.decode(content)
        except ProtocolError as error:
            raise ConfigurationError(f"{self._path}: {error.message}") from error
        return self._open(self._sealed(blob))

    def _make(self) -> bytes:
        """A new secret, in a new file.

        Raises:
            HardwareError: If the registers changed meanwhile, or the TPM describes what
                it makes in another way: then the file would not be believed again.
        """
        secret = secrets.token_bytes(SECRET_BYTES)
        chosen = wire.selection(self._bank, self._pcrs)
        with self._parent() as (parent, key), self._session() as (_, policy):
            sealed, made = self._tpm.seal(
                parent, secret, sealed_object(policy), OUTSIDE_INFO, chosen
            )
        if made != self._creation_hash(key):
            raise HardwareError(
                "TPM2_Create: expected creation data of the PCRs as they stand, got"
                " others; if something was still being measured, start again"
            )
        blob = {
            "version": _VERSION,
            "bank": self._bank,
            "pcrs": list(self._pcrs),
            "private": sealed.private,
            "public": sealed.public,
            "ticket": sealed.ticket,
        }
        _write(self._path, cbor.encode(blob))
        return secret

    def _sealed(self, blob: object) -> Sealed:
        if isinstance(blob, Mapping) and blob.get("version") == _WITHOUT_TICKET:
            raise ConfigurationError(
                f"{self._path}: expected a secret with the TPM's word on how it was"
                " made, got one without, as blindai wrote them before: anybody who can"
                f" speak to the TPM may have made it; {_ANEW}"
            )
        if not isinstance(blob, Mapping) or blob.keys() != set(_KEYS):
            raise ConfigurationError(f"{self._path}: expected a sealed secret")
        expected = (_VERSION, self._bank, list(self._pcrs))
        if (blob["version"], blob["bank"], blob["pcrs"]) != expected:
            raise ConfigurationError(
                f"{self._path}: expected a secret sealed to {self._bank} PCRs"
                f" {', '.join(map(str, self._pcrs))}, got another"
            )
        parts = [blob[name] for name in ("private", "public", "ticket")]
        if not all(isinstance(part, bytes) for part in parts):
            raise ConfigurationError(f"{self._path}: expected a sealed secret")
        return Sealed(*parts)

    def _open(self, sealed: Sealed) -> bytes:
        """The secret, if it opens and is ours: unsealed and certified by one handle."""
        with self._parent() as (parent, key), self._session() as (session, _):
            with self._refusal(_DOES_NOT_OPEN):
                handle = self._tpm.load(parent, sealed)
            try:
                with self._refusal(_DOES_NOT_OPEN):
                    secret = self._tpm.unseal(handle, session)
                made = self._creation_hash(key)
                with self._refusal(_NOT_OURS):
                    self._tpm.certify_creation(handle, made, sealed.ticket)
            finally:
                self._tpm.flush(handle)
        return secret

    def _creation_hash(self, parent: bytes) -> bytes:
        """The digest of the creation data of a secret that is made now."""
        values = self._tpm.read_pcrs(self._bank, self._pcrs)
        return creation_hash(self._bank, values, parent, OUTSIDE_INFO)

    @contextmanager
    def _refusal(self, why: str) -> Iterator[None]:
        try:
            yield
        except CommandError as error:
            raise ConfigurationError(
                f"{self._path}: {why} ({error.message}); {_ANEW}"
            ) from error

    @contextmanager
    def _parent(self) -> Iterator[tuple[int, bytes]]:
        """The storage key: its handle and TPMT_PUBLIC."""
        handle, public = self._tpm.create_primary(OWNER, STORAGE_KEY)
        try:
            yield handle, public
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
