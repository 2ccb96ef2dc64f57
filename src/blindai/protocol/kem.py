"""Key encapsulation: X-Wing and DHKEM(X25519, HKDF-SHA256).

X-Wing is ML-KEM-768 with X25519 (draft-connolly-cfrg-xwing-kem): secure while either
of the two is, so what is recorded today stays sealed when quantum computers come.
DHKEM(X25519) is RFC 9180, section 4.1, for other clients of Oblivious HTTP. Every
primitive is `cryptography`'s.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)

from blindai.errors import ProtocolError, SealingError
from blindai.protocol.hkdf import labeled_expand, labeled_extract

_MLKEM_PUBLIC_BYTES = 1184
_MLKEM_CIPHERTEXT_BYTES = 1088
_X_WING_LABEL = bytes.fromhex("5c2e2f2f5e5c")  # "\./" above "/^\"


class Kem(IntEnum):
    """Key encapsulation mechanisms, by their registered numbers."""

    X25519 = 0x0020
    X_WING = 0x647A

    @property
    def public_bytes(self) -> int:
        """Length of a public key, Npk, in bytes."""
        return 1216 if self is Kem.X_WING else 32

    @property
    def enc_bytes(self) -> int:
        """Length of an encapsulated key, Nenc, in bytes."""
        return 1120 if self is Kem.X_WING else 32


class PublicKey(Protocol):
    """What one seals to."""

    @property
    def kem(self) -> Kem:
        """The mechanism it belongs to."""
        ...

    @property
    def raw(self) -> bytes:
        """Its serialisation, Npk bytes."""
        ...

    def encapsulate(self) -> tuple[bytes, bytes]:
        """A fresh shared secret (32 bytes) and its encapsulation (Nenc bytes).

        Raises:
            SealingError: If the key is a point of small order.
        """
        ...


class PrivateKey(Protocol):
    """What one opens with."""

    @property
    def kem(self) -> Kem:
        """The mechanism it belongs to."""
        ...

    @property
    def public(self) -> PublicKey:
        """The public half."""
        ...

    def decapsulate(self, enc: bytes) -> bytes:
        """The shared secret, 32 bytes, inside an encapsulation of Nenc bytes."""
        ...


def generate(kem: Kem) -> PrivateKey:
    """Draw a fresh private key."""
    if kem is Kem.X_WING:
        return XWingPrivateKey(MLKEM768PrivateKey.generate(), _generate_x25519())
    return X25519KemPrivateKey(_generate_x25519())


def parse_public_key(kem: Kem, raw: bytes) -> PublicKey:
    """Read a public key of `kem`, Npk bytes.

    Raises:
        ProtocolError: If the bytes are not a public key.
    """
    if len(raw) != kem.public_bytes:
        raise ProtocolError(
            f"{kem.name} public key: expected {kem.public_bytes} bytes, got {len(raw)}"
        )
    if kem is Kem.X25519:
        return X25519KemPublicKey(X25519PublicKey.from_public_bytes(raw), raw)
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES])
    except ValueError as error:
        raise ProtocolError("X_WING public key: expected an ML-KEM-768 key") from error
    x25519 = X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC_BYTES:])
    return XWingPublicKey(mlkem, x25519, raw)


@dataclass(frozen=True, slots=True)
class X25519KemPublicKey:
    """DHKEM(X25519, HKDF-SHA256), RFC 9180, section 4.1."""

    key: X25519PublicKey
    raw: bytes
    kem: Kem = Kem.X25519

    def encapsulate(self) -> tuple[bytes, bytes]:
        """As `PublicKey.encapsulate`."""
        return self.encapsulate_with(_generate_x25519())

    def encapsulate_with(self, ephemeral: X25519PrivateKey) -> tuple[bytes, bytes]:
        """`encapsulate` with a given ephemeral key, for published vectors."""
        enc = ephemeral.public_key().public_bytes_raw()
        return _dh_secret(ephemeral, self.key, enc + self.raw), enc


@dataclass(frozen=True, slots=True, repr=False)
class X25519KemPrivateKey:
    """DHKEM(X25519, HKDF-SHA256), RFC 9180, section 4.1."""

    key: X25519PrivateKey
    kem: Kem = Kem.X25519

    @property
    def public(self) -> X25519KemPublicKey:
        """The public half."""
        key = self.key.public_key()
        return X25519KemPublicKey(key, key.public_bytes_raw())

    def decapsulate(self, enc: bytes) -> bytes:
        """As `PrivateKey.decapsulate`.

        Raises:
            SealingError: If `enc` is not an encapsulation.
        """
        _require_enc(Kem.X25519, enc)
        peer = X25519PublicKey.from_public_bytes(enc)
        return _dh_secret(self.key, peer, enc + self.public.raw)


@dataclass(frozen=True, slots=True)
class XWingPublicKey:
    """X-Wing: secure while either ML-KEM-768 or X25519 is."""

    mlkem: MLKEM768PublicKey
    x25519: X25519PublicKey
    raw: bytes
    kem: Kem = Kem.X_WING

    def encapsulate(self) -> tuple[bytes, bytes]:
        """As `PublicKey.encapsulate`."""
        ss_m, ct_m = self.mlkem.encapsulate()
        ephemeral = _generate_x25519()
        ct_x = ephemeral.public_key().public_bytes_raw()
        ss_x = _exchange(ephemeral, self.x25519)
        pk_x = self.raw[_MLKEM_PUBLIC_BYTES:]
        return _x_wing_secret(ss_m, ss_x, ct_x, pk_x), ct_m + ct_x


@dataclass(frozen=True, slots=True, repr=False)
class XWingPrivateKey:
    """X-Wing: secure while either ML-KEM-768 or X25519 is."""

    mlkem: MLKEM768PrivateKey
    x25519: X25519PrivateKey
    kem: Kem = Kem.X_WING

    @classmethod
    def from_seed(cls, seed: bytes) -> XWingPrivateKey:
        """The key of a 32-byte seed: SHAKE256 to ML-KEM's 64 bytes and X25519's 32.

        Raises:
            ValueError: If the seed is of another length.
        """
        if len(seed) != 32:
            raise ValueError(f"X-Wing seed: expected 32 bytes, got {len(seed)}")
        expanded = hashlib.shake_256(seed).digest(96)
        return cls(
            MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
            X25519PrivateKey.from_private_bytes(expanded[64:]),
        )

    @property
    def public(self) -> XWingPublicKey:
        """The public half."""
        mlkem, x25519 = self.mlkem.public_key(), self.x25519.public_key()
        raw = mlkem.public_bytes_raw() + x25519.public_bytes_raw()
        return XWingPublicKey(mlkem, x25519, raw)

    def decapsulate(self, enc: bytes) -> bytes:
        """As `PrivateKey.decapsulate`.

        Raises:
            SealingError: If `enc` is not an encapsulation.
        """
        _require_enc(Kem.X_WING, enc)
        ct_m, ct_x = enc[:_MLKEM_CIPHERTEXT_BYTES], enc[_MLKEM_CIPHERTEXT_BYTES:]
        ss_m = self.mlkem.decapsulate(ct_m)
        ss_x = _exchange(self.x25519, X25519PublicKey.from_public_bytes(ct_x))
        pk_x = self.x25519.public_key().public_bytes_raw()
        return _x_wing_secret(ss_m, ss_x, ct_x, pk_x)


def _dh_secret(key: X25519PrivateKey, peer: X25519PublicKey, context: bytes) -> bytes:
    """ExtractAndExpand of DHKEM (RFC 9180, section 4.1)."""
    suite_id = b"KEM" + Kem.X25519.to_bytes(2, "big")
    prk = labeled_extract(suite_id, b"", b"eae_prk", _exchange(key, peer))
    return labeled_expand(suite_id, prk, b"shared_secret", context, 32)


def _x_wing_secret(ss_m: bytes, ss_x: bytes, ct_x: bytes, pk_x: bytes) -> bytes:
    """X-Wing's combiner (draft-connolly-cfrg-xwing-kem, section 5.3)."""
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + _X_WING_LABEL).digest()


def _exchange(key: X25519PrivateKey, peer: X25519PublicKey) -> bytes:
    try:
        return key.exchange(peer)
    except ValueError as error:  # the all-zero secret (RFC 9180, section 7.1.4)
        raise SealingError("X25519 key: expected a point of large order") from error


def _generate_x25519() -> X25519PrivateKey:
    return X25519PrivateKey.generate()


def _require_enc(kem: Kem, enc: bytes) -> None:
    if len(enc) != kem.enc_bytes:
        raise SealingError(
            f"{kem.name} encapsulated key: expected {kem.enc_bytes} bytes, "
            f"got {len(enc)}"
        )
