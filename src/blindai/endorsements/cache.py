"""Documents on disk, so that a restart and an outage of a vendor cost nothing.

The operator's disk is not trusted, nor need it be: what comes from here is signed by
the vendor and verified by the relying party, as what comes from the network is. A file
that was cut short or changed is found by its checksum and fetched again.

    SHA-256 of the rest, 32 bytes
    deterministic CBOR: {v, url, content, issuers, fetched_at}
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from blindai.endorsements.documents import read_answer
from blindai.errors import EvidenceError, ProtocolError
from blindai.protocol import cbor

if TYPE_CHECKING:
    from pathlib import Path

    from blindai.endorsements.documents import Answer, Request

MAX_FILE_BYTES: Final = 256 * 1024
_DIGEST_BYTES: Final = 32
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_KEPT_FILE: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_log = logging.getLogger("blindai.endorsements")


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, and when it came.

    Attributes:
        answer: The document.
        fetched_at: When it was fetched.
    """

    answer: Answer
    fetched_at: datetime


class Cache:
    """A folder with one file for each request. Its calls block."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made when something is first kept."""
        self._folder = folder

    def load(self, request: Request) -> Kept | None:
        """What was kept for a request; None if there is nothing that can be used."""
        file = self._file(request)
        try:
            with os.fdopen(os.open(file, _KEPT_FILE), "rb") as kept:
                data = kept.read(MAX_FILE_BYTES + 1) or b""  # None: an idle pipe
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning(
                "%s: not read from the cache: %s", request.name, error.strerror
            )
            return None
        try:
            return _parse(request, data)
        except (EvidenceError, ProtocolError, ValueError, OverflowError):
            _log.warning(
                "%s: the cache is corrupted, it is fetched again", request.name
            )
            return None

    def save(self, request: Request, kept: Kept) -> None:
        """Keep an answer, in place of an older one; a disk that fails is warned of."""
        file = self._file(request)
        partial = file.with_name(f"{file.name}.{secrets.token_hex(8)}.partial")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with os.fdopen(os.open(partial, _NEW_FILE, 0o600), "wb") as target:
                    target.write(_encode(request, kept))
                    target.flush()
                    os.fsync(target.fileno())
                partial.replace(file)
            finally:
                partial.unlink(missing_ok=True)
            self._flush()
        except OSError as error:
            _log.warning("%s: not kept in the cache: %s", request.name, error.strerror)

    def _file(self, request: Request) -> Path:
        name = hashlib.sha256(f"{request.kind.name} {request.url}".encode()).hexdigest()
        return self._folder / name

    def _flush(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _encode(request: Request, kept: Kept) -> bytes:
    body = cbor.encode(
        {
            "v": 1,
            "url": request.url,
            "content": kept.answer.content,
            "issuers": kept.answer.issuers,
            "fetched_at": int(kept.fetched_at.timestamp()),
        }
    )
    return hashlib.sha256(body).digest() + body


def _parse(request: Request, data: bytes) -> Kept:
    """What a file holds.

    Raises:
        EvidenceError: If it does not hold what was asked for.
        ProtocolError: If it is malformed.
    """
    digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise ProtocolError("cached document: expected its checksum, got another")
    match cbor.decode(body):
        case {
            "v": 1,
            "url": request.url,
            "content": bytes(content),
            "issuers": str(issuers),
            "fetched_at": int(seconds),
        }:
            fields = dict.fromkeys(request.issuer_headers, issuers)
            fetched_at = datetime.fromtimestamp(seconds, UTC)
            return Kept(read_answer(request, content, fields), fetched_at)
        case _:
            raise ProtocolError("cached document: expected one of version 1")
