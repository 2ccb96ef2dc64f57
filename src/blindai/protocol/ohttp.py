"""Oblivious HTTP, RFC 9458: key configurations, and sealing one message each way.

A client seals a Binary HTTP request to a key configuration and keeps an opener for the
answer; a gateway opens the request and gets a sealer for the answer. Messages of many
chunks are in `ohttp_chunked`; both begin here, with `Encapsulation`.

    request  = key id (1) || KEM (2) || KDF (2) || AEAD (2) || enc || sealed
    response = nonce, max(Nn, Nk) || sealed
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from blindai.errors import ProtocolError, SealingError, UnknownKeyError
from blindai.protocol import hkdf, hpke, kem
from blindai.protocol.hpke import Aead, Kdf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from blindai.protocol.buffers import Bytes

REQUEST_TYPE: Final = "message/ohttp-req"
RESPONSE_TYPE: Final = "message/ohttp-res"
KEYS_TYPE: Final = "application/ohttp-keys"
MAX_KEY_CONFIGS = 32
HEADER_BYTES = 7

ALL_SUITES: Final = (
    (Kdf.HKDF_SHA256, Aead.AES_256_GCM),
    (Kdf.HKDF_SHA256, Aead.AES_128_GCM),
    (Kdf.HKDF_SHA256, Aead.CHACHA20_POLY1305),
)


class Label(Enum):
    """The strings that keep requests, responses and their chunked kin apart."""

    WHOLE = (b"message/bhttp request", b"message/bhttp response")
    CHUNKED = (b"message/bhttp chunked request", b"message/bhttp chunked response")

    def __init__(self, request: bytes, response: bytes) -> None:
        self.request = request
        self.response = response


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """One public key and the algorithms it may be used with (RFC 9458, section 3.1).

    Attributes:
        key_id: Names the key in requests, 0 to 255.
        key: The public key.
        suites: KDF and AEAD pairs, the gateway's preference first.
    """

    key_id: int
    key: kem.PublicKey
    suites: tuple[tuple[Kdf, Aead], ...]

    def encode(self) -> bytes:
        """One key configuration, without a length before it."""
        pairs = b"".join(
            kdf.to_bytes(2, "big") + aead.to_bytes(2, "big")
            for kdf, aead in self.suites
        )
        return (
            self.key_id.to_bytes(1, "big")
            + self.key.kem.to_bytes(2, "big")
            + self.key.raw
            + len(pairs).to_bytes(2, "big")
            + pairs
        )


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """A gateway's private key with the name and algorithms it is published under.

    Attributes:
        key_id: Names the key in requests, 0 to 255.
        private: Opens what is sealed to it.
        suites: KDF and AEAD pairs it may be used with.
    """

    key_id: int
    private: kem.PrivateKey = field(repr=False)
    suites: tuple[tuple[Kdf, Aead], ...] = ALL_SUITES

    @property
    def config(self) -> KeyConfig:
        """What is published."""
        return KeyConfig(self.key_id, self.private.public, self.suites)


def encode_key_configs(configs: tuple[KeyConfig, ...]) -> bytes:
    """Encode `application/ohttp-keys` (RFC 9458, section 3.2)."""
    encoded = [config.encode() for config in configs]
    return b"".join(len(each).to_bytes(2, "big") + each for each in encoded)


def parse_key_configs(data: bytes) -> tuple[KeyConfig, ...]:
    """Read `application/ohttp-keys`: the configurations that can be used here.

    Configurations of KEMs or algorithms that are not known here are left out: a client
    selects from those it supports (RFC 9458, section 3). One that is malformed discards
    them all (section 3.2).

    Raises:
        ProtocolError: If the list is malformed, too long, or names a key id twice.
    """
    configs: list[KeyConfig] = []
    count, rest = 0, data
    while rest:
        size = int.from_bytes(rest[:2], "big")
        if len(rest) < 2 + size or count == MAX_KEY_CONFIGS:
            raise ProtocolError(
                f"key configurations: expected at most {MAX_KEY_CONFIGS}, whole"
            )
        config = parse_key_config(rest[2 : 2 + size])
        if config is not None:
            configs.append(config)
        count, rest = count + 1, rest[2 + size :]
    if len({config.key_id for config in configs}) != len(configs):
        raise ProtocolError("key configurations: expected each key id once")
    return tuple(configs)


def parse_key_config(data: bytes) -> KeyConfig | None:
    """Read one key configuration; None if its KEM or all its suites are unknown here.

    Raises:
        ProtocolError: If it is malformed.
    """
    if len(data) < 3:
        raise ProtocolError("key configuration: expected a key id and a KEM")
    try:
        kind = kem.Kem(int.from_bytes(data[1:3], "big"))
    except ValueError:
        return None
    end = 3 + kind.public_bytes
    key = kem.parse_public_key(kind, data[3:end])
    pairs = data[end + 2 :]
    size = int.from_bytes(data[end : end + 2], "big")
    if not pairs or len(pairs) != size or size % 4:
        raise ProtocolError("key configuration: expected whole pairs of KDF and AEAD")
    suites = tuple(_known_suites(pairs))
    return KeyConfig(data[0], key, suites) if suites else None


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """What both ends share once a request has begun.

    Attributes:
        key_id: Of the key that the request is sealed to.
        enc: The encapsulated key; a replayed request has the same.
        label: Whether messages are whole or chunked.
        context: HPKE context of the request.
    """

    key_id: int
    enc: bytes
    label: Label
    context: hpke.Context = field(repr=False)

    @property
    def response_nonce_bytes(self) -> int:
        """Length of the nonce a response begins with: max(Nn, Nk)."""
        return self.context.suite.nonce_bytes

    def response_cipher(self, nonce: bytes) -> hpke.Cipher:
        """Derive what protects the response (RFC 9458, section 4.4)."""
        suite = self.context.suite
        secret = self.context.export(self.label.response, suite.nonce_bytes)
        prk = hkdf.extract(self.enc + nonce, secret)
        key = hkdf.expand(prk, b"key", suite.key_bytes)
        base_nonce = hkdf.expand(prk, b"nonce", hpke.NONCE_BYTES)
        return hpke.Cipher(suite.aead, key, base_nonce)


def begin_request(
    config: KeyConfig, label: Label, aead: Aead | None = None
) -> tuple[bytes, Encapsulation]:
    """Begin a request: its header with encapsulated key, and what both ends share.

    Args:
        config: Whom to seal to.
        label: Whether the message is whole or chunked.
        aead: One of the configuration's; its first if not given.

    Raises:
        SealingError: If the configuration's key cannot be sealed to.
    """
    kdf, first = config.suites[0]
    aead = aead or first
    header, info = _beginning(label.request, config.key_id, config.key.kem, kdf, aead)
    sender = hpke.setup_sender(config.key, kdf, aead, info)
    return header + sender.enc, Encapsulation(
        config.key_id, sender.enc, label, sender.context
    )


def header_bytes(keys: Mapping[int, GatewayKey], start: Bytes) -> int:
    """Length of the header and encapsulated key of a request that begins so.

    Args:
        keys: The gateway's keys by key id.
        start: At least the first byte of the request.

    Raises:
        UnknownKeyError: If the key id is not one of the gateway's.
    """
    return HEADER_BYTES + _gateway_key(keys, start).private.kem.enc_bytes


def accept_request(
    keys: Mapping[int, GatewayKey], label: Label, header: bytes
) -> Encapsulation:
    """Begin to open a request. Nothing is authenticated before its first piece opens.

    Args:
        keys: The gateway's keys by key id.
        label: Whether the message is whole or chunked.
        header: Exactly the request's header and encapsulated key.

    Raises:
        UnknownKeyError: If the key id is unknown, or published for other algorithms.
        SealingError: If the encapsulated key is not one.
    """
    key = _gateway_key(keys, header)
    private, begins, enc = key.private, header[:HEADER_BYTES], header[HEADER_BYTES:]
    for kdf, aead in key.suites:
        expected, info = _beginning(label.request, key.key_id, private.kem, kdf, aead)
        if begins == expected:
            context = hpke.setup_receiver(enc, private, kdf, aead, info)
            return Encapsulation(key.key_id, enc, label, context)
    raise UnknownKeyError(f"key {key.key_id}: expected its published algorithms")


def seal_request(
    config: KeyConfig, message: bytes, aead: Aead | None = None
) -> tuple[bytes, Encapsulation]:
    """Seal a whole request (RFC 9458, section 4.3).

    Raises:
        SealingError: If the configuration's key cannot be sealed to.
    """
    header, encapsulation = begin_request(config, Label.WHOLE, aead)
    return header + encapsulation.context.cipher.seal(message), encapsulation


def open_request(
    keys: Mapping[int, GatewayKey], sealed: bytes
) -> tuple[bytes, Encapsulation]:
    """Open a whole request (RFC 9458, section 4.3).

    Raises:
        UnknownKeyError: If it is sealed to another key.
        SealingError: If it does not open.
    """
    end = header_bytes(keys, sealed)
    encapsulation = accept_request(keys, Label.WHOLE, sealed[:end])
    return encapsulation.context.cipher.open(sealed[end:]), encapsulation


def seal_response(encapsulation: Encapsulation, nonce: bytes, message: bytes) -> bytes:
    """Seal a whole response (RFC 9458, section 4.4).

    Args:
        encapsulation: Of the request it answers.
        nonce: Fresh random bytes, `response_nonce_bytes` of them.
        message: The Binary HTTP response.
    """
    return nonce + encapsulation.response_cipher(nonce).seal(message)


def open_response(encapsulation: Encapsulation, sealed: bytes) -> bytes:
    """Open a whole response (RFC 9458, section 4.4).

    Raises:
        SealingError: If it does not open, or answers another request.
    """
    size = encapsulation.response_nonce_bytes
    return encapsulation.response_cipher(sealed[:size]).open(sealed[size:])


def _gateway_key(keys: Mapping[int, GatewayKey], start: Bytes) -> GatewayKey:
    if not start:
        raise SealingError("sealed request: expected a key id, got nothing")
    key = keys.get(start[0])
    if key is None:
        raise UnknownKeyError(f"key id: expected one of {sorted(keys)}, got {start[0]}")
    return key


def _known_suites(pairs: bytes) -> Iterator[tuple[Kdf, Aead]]:
    for at in range(0, len(pairs), 4):
        kdf = int.from_bytes(pairs[at : at + 2], "big")
        aead = int.from_bytes(pairs[at + 2 : at + 4], "big")
        if (kdf, aead) in ALL_SUITES:
            yield Kdf(kdf), Aead(aead)


@lru_cache(maxsize=256)
def _beginning(
    label: bytes, key_id: int, kind: kem.Kem, kdf: Kdf, aead: Aead
) -> tuple[bytes, bytes]:
    """The header of a request, and HPKE's `info` for it: public, and few."""
    header = bytes([key_id]) + hpke.suite(kind, kdf, aead).numbers
    return header, label + b"\x00" + header
