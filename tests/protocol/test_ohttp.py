"""Oblivious HTTP: the example of RFC 9458, key configurations, whole messages."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import SealingError, UnknownKeyError
from blindai.protocol import kem, ohttp
from blindai.protocol.hpke import Aead, Kdf
from blindai.protocol.kem import (
    Kem,
    PublicKey,
    X25519KemPrivateKey,
    X25519KemPublicKey,
    XWingPrivateKey,
)
from blindai.protocol.ohttp import (
    ALL_SUITES,
    GatewayKey,
    KeyConfig,
    Label,
    open_request,
    open_response,
    parse_key_config,
    seal_request,
    seal_response,
)

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "protocol"
needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the published protocol vectors are not beside us"
)
X_WING = GatewayKey(1, XWingPrivateKey.from_seed(b"x" * 32))
X25519 = GatewayKey(
    2, X25519KemPrivateKey(X25519PrivateKey.from_private_bytes(b"y" * 32))
)
KEYS = {key.key_id: key for key in (X_WING, X25519)}
CONFIGS = (X_WING.config, X25519.config)
MESSAGE = b"a request"
ANSWER = b"an answer"


@dataclass(frozen=True)
class GivenEphemeral:
    """A public key whose ephemeral key is given, as the example has it."""

    public: X25519KemPublicKey
    ephemeral: X25519PrivateKey
    kem: Kem = Kem.X25519

    @property
    def raw(self) -> bytes:
        return self.public.raw

    def encapsulate(self) -> tuple[bytes, bytes]:
        return self.public.encapsulate_with(self.ephemeral)


def vector() -> dict[str, bytes]:
    text = (VECTORS / "ohttp_rfc9458_appendix_a.json").read_text()
    return {name: bytes.fromhex(value) for name, value in json.loads(text).items()}


# RFC 9458, appendix A.


@needs_vectors
def test_the_example_of_rfc_9458_is_sealed_and_opened() -> None:
    example = vector()
    secret = X25519PrivateKey.from_private_bytes(example["gateway_secret_key"])
    suites = (
        (Kdf.HKDF_SHA256, Aead.AES_128_GCM),
        (Kdf.HKDF_SHA256, Aead.CHACHA20_POLY1305),
    )
    private = X25519KemPrivateKey(secret)
    gateway = GatewayKey(1, private, suites)
    assert gateway.config.encode() == example["key_config"]
    assert parse_key_config(example["key_config"]) == gateway.config

    ephemeral = X25519PrivateKey.from_private_bytes(example["ephemeral_secret_key"])
    config = KeyConfig(1, GivenEphemeral(private.public, ephemeral), suites)
    sealed, client = seal_request(config, example["bhttp_request"])
    assert sealed == example["encapsulated_request"]

    opened, server = open_request({1: gateway}, sealed)
    assert opened == example["bhttp_request"]
    assert client.enc == server.enc == example["ephemeral_public_key"]
    exported = client.context.export(b"message/bhttp response", 16)
    assert exported == example["exported_secret"]

    nonce = example["encapsulated_response"][:16]
    answer = seal_response(server, nonce, example["bhttp_response"])
    assert answer == example["encapsulated_response"]
    assert open_response(client, answer) == example["bhttp_response"]


# Requests.


@pytest.mark.parametrize("config", CONFIGS, ids=["X_WING", "X25519"])
@pytest.mark.parametrize("aead", [None, *Aead])
@pytest.mark.parametrize("message", [b"", MESSAGE, bytes(100_000)], ids=len)
def test_what_is_sealed_opens(
    config: KeyConfig, aead: Aead | None, message: bytes
) -> None:
    sealed, client = seal_request(config, message, aead)
    opened, server = open_request(KEYS, sealed)
    assert opened == message
    assert client.enc == server.enc
    nonce = bytes(server.response_nonce_bytes)
    assert open_response(client, seal_response(server, nonce, message)) == message


@pytest.mark.parametrize(
    ("aead", "number", "nonce_bytes"),
    [
        (None, 2, 32),
        (Aead.AES_128_GCM, 1, 16),
        (Aead.AES_256_GCM, 2, 32),
        (Aead.CHACHA20_POLY1305, 3, 32),
    ],
)
def test_a_request_names_its_key_and_algorithms(
    aead: Aead | None, number: int, nonce_bytes: int
) -> None:
    sealed, client = seal_request(X25519.config, MESSAGE, aead)
    assert sealed[:7] == bytes([2, 0x00, 0x20, 0x00, 0x01, 0x00, number])
    assert client.response_nonce_bytes == nonce_bytes


def test_the_gateway_s_first_algorithms_are_used() -> None:
    config = replace(X25519.config, suites=ALL_SUITES[::-1])
    assert seal_request(config, MESSAGE)[0][6] == Aead.CHACHA20_POLY1305


@pytest.mark.parametrize("config", CONFIGS, ids=["X_WING", "X25519"])
def test_every_changed_byte_of_a_request_is_noticed(config: KeyConfig) -> None:
    sealed, _ = seal_request(config, MESSAGE)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 0x01
        with pytest.raises(SealingError):
            open_request(KEYS, bytes(changed))


@pytest.mark.parametrize("config", CONFIGS, ids=["X_WING", "X25519"])
def test_a_request_cut_short_does_not_open(config: KeyConfig) -> None:
    sealed, _ = seal_request(config, MESSAGE)
    for size in range(len(sealed)):
        with pytest.raises(SealingError):
            open_request(KEYS, sealed[:size])


def test_a_request_to_an_unknown_key_says_so() -> None:
    sealed, _ = seal_request(replace(X25519.config, key_id=9), MESSAGE)
    with pytest.raises(UnknownKeyError, match=r"expected one of \[1, 2\], got 9"):
        open_request(KEYS, sealed)


def test_a_request_without_a_key_id_is_no_request() -> None:
    with pytest.raises(SealingError, match="expected a key id, got nothing") as caught:
        open_request(KEYS, b"")
    assert type(caught.value) is SealingError


@pytest.mark.parametrize("at", range(1, 7))
def test_a_request_for_unpublished_algorithms_says_so(at: int) -> None:
    sealed = bytearray(seal_request(X25519.config, MESSAGE)[0])
    sealed[at] = 0xEE
    with pytest.raises(UnknownKeyError, match="key 2: expected its published algor"):
        open_request(KEYS, bytes(sealed))


def test_only_published_algorithms_are_accepted() -> None:
    gateway = {2: replace(X25519, suites=ALL_SUITES[:1])}
    sealed, _ = seal_request(X25519.config, MESSAGE, Aead.CHACHA20_POLY1305)
    with pytest.raises(UnknownKeyError, match="expected its published algorithms"):
        open_request(gateway, sealed)


def test_a_request_to_another_key_of_the_same_id_does_not_open() -> None:
    gateway = {2: replace(X25519, private=kem.generate(Kem.X25519))}
    sealed, _ = seal_request(X25519.config, MESSAGE)
    with pytest.raises(SealingError, match="do not open with this key"):
        open_request(gateway, sealed)


@pytest.mark.parametrize("kind", Kem)
def test_a_key_of_small_order_is_not_sealed_to(kind: Kem) -> None:
    good = kem.generate(kind).public.raw
    bad: PublicKey = kem.parse_public_key(kind, good[:-32] + bytes(32))
    with pytest.raises(SealingError, match="expected a point of large order"):
        seal_request(KeyConfig(1, bad, ALL_SUITES), MESSAGE)


@pytest.mark.parametrize("labels", [list(Label), list(Label)[::-1]], ids=str)
def test_whole_and_chunked_requests_are_kept_apart(labels: list[Label]) -> None:
    header, client = ohttp.begin_request(X25519.config, labels[0])
    server = ohttp.accept_request(KEYS, labels[1], header)
    with pytest.raises(SealingError, match="do not open with this key"):
        server.context.cipher.open(client.context.cipher.seal(MESSAGE))


def test_the_header_s_length_follows_from_its_first_byte() -> None:
    assert ohttp.header_bytes(KEYS, b"\x01") == 7 + 1120
    assert ohttp.header_bytes(KEYS, b"\x02") == 7 + 32


def test_a_header_has_an_exact_length() -> None:
    header, _ = ohttp.begin_request(X25519.config, Label.WHOLE)
    with pytest.raises(SealingError, match="encapsulated key: expected 32 bytes"):
        ohttp.accept_request(KEYS, Label.WHOLE, header + b"\x00")


@given(st.binary(max_size=200))
def test_no_bytes_open_but_a_sealed_request(data: bytes) -> None:
    with pytest.raises(SealingError):
        open_request(KEYS, data)


# Responses.


@pytest.mark.parametrize("config", CONFIGS, ids=["X_WING", "X25519"])
@pytest.mark.parametrize("aead", Aead)
def test_every_changed_byte_of_a_response_is_noticed(
    config: KeyConfig, aead: Aead
) -> None:
    sealed, client = seal_request(config, MESSAGE, aead)
    _, server = open_request(KEYS, sealed)
    answer = seal_response(server, bytes(server.response_nonce_bytes), ANSWER)
    for at in range(len(answer)):
        changed = bytearray(answer)
        changed[at] ^= 0x01
        with pytest.raises(SealingError, match="do not open with this key"):
            open_response(client, bytes(changed))
    for size in range(len(answer)):
        with pytest.raises(SealingError, match="do not open with this key"):
            open_response(client, answer[:size])


def test_a_response_to_another_request_does_not_open() -> None:
    sealed, _ = seal_request(X25519.config, MESSAGE)
    _, other = seal_request(X25519.config, MESSAGE)
    _, server = open_request(KEYS, sealed)
    answer = seal_response(server, bytes(32), ANSWER)
    with pytest.raises(SealingError, match="do not open with this key"):
        open_response(other, answer)


def test_a_request_does_not_open_as_its_response() -> None:
    sealed, client = seal_request(X25519.config, MESSAGE)
    with pytest.raises(SealingError, match="do not open with this key"):
        open_response(client, sealed)


@given(st.binary(max_size=100))
def test_no_bytes_open_but_the_sealed_response(data: bytes) -> None:
    _, client = seal_request(X25519.config, MESSAGE)
    with pytest.raises(SealingError, match="do not open with this key"):
        open_response(client, data)


def test_nothing_secret_is_shown() -> None:
    _, client = seal_request(X25519.config, MESSAGE)
    assert "private" not in repr(X25519)
    assert "context" not in repr(client)
