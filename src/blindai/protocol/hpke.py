"""Hybrid public key encryption, RFC 9180, base mode, with contexts and export.

This module is the key schedule and the sequence numbers; `kem` has the mechanisms.
KDF: HKDF-SHA256. AEADs: AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305. Every
primitive is `cryptography`'s; its own HPKE is single-shot and has no exporter, which
Oblivious HTTP needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from blindai.errors import SealingError
from blindai.protocol.hkdf import labeled_expand, labeled_extract

if TYPE_CHECKING:
    from blindai.protocol.buffers import Bytes
    from blindai.protocol.kem import Kem, PrivateKey, PublicKey

NONCE_BYTES: Final = 12  # Nn of every AEAD here (RFC 9180, section 7.3)
TAG_BYTES: Final = 16  # Nt of every AEAD here
_MAX_SEQUENCE = (1 << 8 * NONCE_BYTES) - 1
_MODE_BASE = b"\x00"


class Kdf(IntEnum):
    """Key derivation functions, by their registered numbers."""

    HKDF_SHA256 = 0x0001


class Aead(IntEnum):
    """Authenticated encryption, by their registered numbers."""

    AES_128_GCM = 0x0001
    AES_256_GCM = 0x0002
    CHACHA20_POLY1305 = 0x0003

    @property
    def key_bytes(self) -> int:
        """Length of a key, Nk, in bytes."""
        return 16 if self is Aead.AES_128_GCM else 32

    def cipher(self, key: bytes) -> AESGCM | ChaCha20Poly1305:
        """The cipher, keyed."""
        if self is Aead.CHACHA20_POLY1305:
            return ChaCha20Poly1305(key)
        return AESGCM(key)


@dataclass(frozen=True, slots=True)
class Suite:
    """One choice of KEM, KDF and AEAD.

    Attributes:
        aead: What seals.
        key_bytes: Length of its keys, Nk, in bytes.
        nonce_bytes: Length of a response's nonce in Oblivious HTTP: max(Nn, Nk).
        numbers: The registered numbers of KEM, KDF and AEAD, 2 bytes each.
        id: `suite_id` of the key schedule, 10 bytes (RFC 9180, section 5.1).
    """

    aead: Aead
    key_bytes: int
    nonce_bytes: int
    numbers: bytes
    id: bytes


@lru_cache(maxsize=16)
def suite(kem: Kem, kdf: Kdf, aead: Aead) -> Suite:
    """The suite of three algorithms; there is one object for each."""
    numbers = b"".join(each.to_bytes(2, "big") for each in (kem, kdf, aead))
    size = aead.key_bytes
    return Suite(aead, size, max(NONCE_BYTES, size), numbers, b"HPKE" + numbers)


class Cipher:
    """An AEAD key with its base nonce: seals or opens pieces, in order.

    The nonce of a piece is the base nonce XOR its number (RFC 9180, section 5.2).
    Not thread-safe, and good for one message in one direction.
    """

    __slots__ = ("_aead", "_base_nonce", "_sequence")

    def __init__(self, aead: Aead, key: bytes, base_nonce: bytes) -> None:
        self._aead = aead.cipher(key)
        self._base_nonce = int.from_bytes(base_nonce, "big")
        self._sequence = 0

    def seal(self, plaintext: Bytes, aad: bytes = b"") -> bytes:
        """Seal the next piece: its ciphertext and 16-byte tag.

        Raises:
            SealingError: If the cipher has sealed all it may.
        """
        sealed = self._aead.encrypt(self._nonce(), plaintext, aad)
        self._sequence += 1
        return sealed

    def open(self, sealed: Bytes, aad: bytes = b"") -> bytes:
        """Open the next piece.

        Raises:
            SealingError: If it is not the next piece, unchanged.
        """
        try:
            plaintext = self._aead.decrypt(self._nonce(), sealed, aad)
        except InvalidTag as error:
            raise SealingError("sealed bytes: do not open with this key") from error
        self._sequence += 1
        return plaintext

    def _nonce(self) -> bytes:
        if self._sequence >= _MAX_SEQUENCE:
            raise SealingError("AEAD: expected fewer than 2^96 - 1 pieces")
        return (self._base_nonce ^ self._sequence).to_bytes(NONCE_BYTES, "big")


class Context:
    """What the key schedule gives: a cipher for one message, and the exporter."""

    __slots__ = ("_exporter_secret", "cipher", "suite")

    def __init__(self, suite: Suite, shared_secret: bytes, info: bytes) -> None:
        """Run the key schedule of RFC 9180, section 5.1, in base mode."""
        self.suite = suite
        suite_id = suite.id
        context = _key_schedule_context(suite_id, info)
        secret = labeled_extract(suite_id, shared_secret, b"secret", b"")
        key = labeled_expand(suite_id, secret, b"key", context, suite.key_bytes)
        nonce = labeled_expand(suite_id, secret, b"base_nonce", context, NONCE_BYTES)
        self.cipher = Cipher(suite.aead, key, nonce)
        self._exporter_secret = labeled_expand(suite_id, secret, b"exp", context, 32)

    def export(self, label: bytes, size: int) -> bytes:
        """Derive `size` bytes that both ends know (RFC 9180, section 5.3)."""
        secret = self._exporter_secret
        return labeled_expand(self.suite.id, secret, b"sec", label, size)


@dataclass(frozen=True, slots=True)
class Sender:
    """The sending end of a message.

    Attributes:
        enc: Encapsulated key to send along, Nenc bytes.
        context: Its cipher seals the pieces, in order.
    """

    enc: bytes
    context: Context = field(repr=False)


def setup_sender(key: PublicKey, kdf: Kdf, aead: Aead, info: bytes) -> Sender:
    """Begin a message to `key` (SetupBaseS)."""
    shared_secret, enc = key.encapsulate()
    return Sender(enc, Context(suite(key.kem, kdf, aead), shared_secret, info))


def setup_receiver(
    enc: bytes, key: PrivateKey, kdf: Kdf, aead: Aead, info: bytes
) -> Context:
    """Begin to open a message to `key` (SetupBaseR)."""
    return Context(suite(key.kem, kdf, aead), key.decapsulate(enc), info)


@lru_cache(maxsize=64)
def _key_schedule_context(suite_id: bytes, info: bytes) -> bytes:
    """`key_schedule_context` in base mode; public, and the same for many messages."""
    psk_id_hash = labeled_extract(suite_id, b"", b"psk_id_hash", b"")
    return _MODE_BASE + psk_id_hash + labeled_extract(suite_id, b"", b"info_hash", info)
