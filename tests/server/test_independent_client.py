"""Another's client of Oblivious HTTP gets through the door.

Nothing here is blindai's own: HPKE is `pyhpke`'s, and key configurations, requests
(RFC 9458), answers and Binary HTTP (RFC 9292) are put together and taken apart by hand.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from pyhpke import AEADId, CipherSuite, KDFId, KEMId

from blindai.testing import SimulatedEnclave

ADDRESS = "/.well-known/ohttp-gateway"
X25519 = 0x0020
KEY_BYTES = {AEADId.AES128_GCM: 16, AEADId.AES256_GCM: 32, AEADId.CHACHA20_POLY1305: 32}
CIPHERS: dict[AEADId, type[AESGCM | ChaCha20Poly1305]] = {
    AEADId.AES128_GCM: AESGCM,
    AEADId.AES256_GCM: AESGCM,
    AEADId.CHACHA20_POLY1305: ChaCha20Poly1305,
}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with SimulatedEnclave() as enclave, httpx.Client(base_url=enclave.url) as client:
        yield client


@dataclass
class Key:
    """One key configuration (RFC 9458, section 3.1)."""

    key_id: int
    kem: int
    public: bytes
    suites: set[tuple[int, int]]


class Reader:
    """Reads numbers and strings off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, size: int) -> bytes:
        taken, self.rest = self.rest[:size], self.rest[size:]
        assert len(taken) == size, f"expected {size} bytes, got {len(taken)}"
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def varint(self) -> int:
        """A variable-length integer (RFC 9000, section 16)."""
        first = self.number(1)
        value = first & 0x3F
        for _ in range((1 << (first >> 6)) - 1):
            value = value << 8 | self.number(1)
        return value

    def string(self) -> bytes:
        return self.take(self.varint())


def parse_keys(data: bytes) -> list[Key]:
    """Read `application/ohttp-keys` (RFC 9458, section 3.2)."""
    keys = []
    every = Reader(data)
    while every.rest:
        one = Reader(every.take(every.number(2)))
        key_id, kem = one.number(1), one.number(2)
        public = one.take({X25519: 32}.get(kem, 1216))
        pairs = Reader(one.take(one.number(2)))
        suites = {
            (pairs.number(2), pairs.number(2)) for _ in range(len(pairs.rest) // 4)
        }
        keys.append(Key(key_id, kem, public, suites))
    return keys


def string(data: bytes) -> bytes:
    """A string and its length before it, in the shortest form or in two bytes."""
    if len(data) < 64:
        return bytes([len(data)]) + data
    return (0x4000 | len(data)).to_bytes(2, "big") + data


def known_length_request(path: bytes) -> bytes:
    """A GET without content (RFC 9292, section 3.1)."""
    fields = string(b"date") + string(formatdate(usegmt=True).encode())
    control = b"".join(map(string, (b"GET", b"https", b"enclave.test", path)))
    return b"\x00" + control + string(fields) + b"\x00\x00"


def parse_response(message: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """Read a response of known length, without trailers (RFC 9292, section 3.1)."""
    reader = Reader(message)
    framing, status = reader.varint(), reader.varint()
    assert framing == 1, f"expected framing 1, got {framing}"
    lines = Reader(reader.string())
    fields = {}
    while lines.rest:
        name = lines.string()
        fields[name] = lines.string()
    content = reader.string()
    assert reader.rest == b""
    return status, fields, content


def expand(prk: bytes, info: bytes, size: int) -> bytes:
    """HKDF-Expand for one block (RFC 5869, section 2.3)."""
    return hmac.digest(prk, info + b"\x01", "sha256")[:size]


class Exchange:
    """One request and its answer (RFC 9458, sections 4.3 and 4.4)."""

    def __init__(self, key: Key, aead: AEADId, message: bytes) -> None:
        suite = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, aead)
        header = bytes([key.key_id]) + b"".join(
            number.to_bytes(2, "big") for number in (X25519, 1, aead.value)
        )
        public = suite.kem.deserialize_public_key(key.public)
        info = b"message/bhttp request\x00" + header
        self._enc, self._context = suite.create_sender_context(public, info=info)
        self._aead = aead
        self.request = header + self._enc + self._context.seal(message)

    def open(self, answer: bytes) -> bytes:
        key_bytes = KEY_BYTES[self._aead]
        nonce_bytes = max(key_bytes, 12)
        secret = self._context.export(b"message/bhttp response", nonce_bytes)
        nonce, sealed = answer[:nonce_bytes], answer[nonce_bytes:]
        prk = hmac.digest(self._enc + nonce, secret, "sha256")
        cipher = CIPHERS[self._aead](expand(prk, b"key", key_bytes))
        return cipher.decrypt(expand(prk, b"nonce", 12), sealed, b"")


def x25519_key(http: httpx.Client) -> Key:
    answer = http.get(ADDRESS)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/ohttp-keys"
    (key,) = [key for key in parse_keys(answer.content) if key.kem == X25519]
    return key


def post(http: httpx.Client, request: bytes) -> httpx.Response:
    return http.post(
        ADDRESS, content=request, headers={"content-type": "message/ohttp-req"}
    )


@pytest.mark.parametrize("aead", list(KEY_BYTES))
def test_another_client_reads_the_servers_metadata(
    http: httpx.Client, aead: AEADId
) -> None:
    key = x25519_key(http)
    assert (1, aead.value) in key.suites
    exchange = Exchange(key, aead, known_length_request(b"/v2"))

    answer = post(http, exchange.request)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "message/ohttp-res"
    status, fields, content = parse_response(exchange.open(answer.content))
    assert status == 200
    assert fields[b"content-type"] == b"application/json"
    assert json.loads(content)["name"] == "blindai"


def test_another_client_is_refused_a_replay(http: httpx.Client) -> None:
    key = x25519_key(http)
    exchange = Exchange(key, AEADId.AES128_GCM, known_length_request(b"/v2"))
    post(http, exchange.request)

    answer = post(http, exchange.request)

    status, fields, content = parse_response(exchange.open(answer.content))
    assert (status, fields[b"content-type"]) == (400, b"application/problem+json")
    assert json.loads(content)["title"] == "replayed"


def test_another_client_is_told_of_an_unknown_key(http: httpx.Client) -> None:
    key = x25519_key(http)
    key.key_id ^= 0x80
    exchange = Exchange(key, AEADId.AES128_GCM, known_length_request(b"/v2"))

    answer = post(http, exchange.request)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith("#ohttp-key")
