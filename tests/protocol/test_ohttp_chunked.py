"""Chunked Oblivious HTTP: the draft's example, and streams that were meddled with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import SealingError, UnknownKeyError
from blindai.protocol import hpke, varint
from blindai.protocol.chunks import (
    CHUNK_BYTES,
    COMMON_CHUNK_BYTES,
    MAX_CHUNK_BYTES,
    ChunkOpener,
    ChunkSealer,
)
from blindai.protocol.hpke import Aead, Cipher, Kdf
from blindai.protocol.kem import (
    Kem,
    X25519KemPrivateKey,
    X25519KemPublicKey,
    XWingPrivateKey,
)
from blindai.protocol.ohttp import GatewayKey, KeyConfig, seal_request
from blindai.protocol.ohttp_chunked import (
    RequestOpener,
    RequestSealer,
    ResponseOpener,
    ResponseSealer,
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
GATEWAYS = pytest.mark.parametrize(
    "gateway", [X_WING, X25519], ids=["X_WING", "X25519"]
)


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


def cipher() -> Cipher:
    return Cipher(Aead.AES_256_GCM, bytes(32), bytes(12))


def opened(
    opener: ChunkOpener | RequestOpener | ResponseOpener, pieces: Iterable[bytes]
) -> list[bytes]:
    """All plaintexts of a stream that arrives in these pieces."""
    plaintexts = [chunk for piece in pieces for chunk in opener.feed(piece)]
    return [*plaintexts, opener.finish()]


def split(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The stream, cut at these offsets."""
    edges = [0, *sorted(cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


# The example of the draft.


def vector() -> dict[str, Any]:
    path = VECTORS / "chunked_ohttp_draft08_example.json"
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def chunks(message: bytes, sizes: list[int], sealer: ChunkSealer) -> bytes:
    """A message sealed in chunks of these sizes."""
    edges = [sum(sizes[:count]) for count in range(len(sizes))]
    pieces = [message[at : at + size] for at, size in zip(edges, sizes, strict=True)]
    return b"".join(map(sealer.seal, pieces[:-1])) + sealer.seal_final(pieces[-1])


@needs_vectors
def test_the_example_of_the_draft_is_sealed_and_opened() -> None:
    example = vector()
    secret, ephemeral = (
        X25519PrivateKey.from_private_bytes(bytes.fromhex(example[name]))
        for name in ("gateway_secret_key", "ephemeral_secret_key")
    )
    private = X25519KemPrivateKey(secret)
    suites = (
        (Kdf.HKDF_SHA256, Aead.AES_128_GCM),
        (Kdf.HKDF_SHA256, Aead.CHACHA20_POLY1305),
    )
    gateway = GatewayKey(1, private, suites)
    assert gateway.config.encode().hex() == example["key_config"]

    config = KeyConfig(1, GivenEphemeral(private.public, ephemeral), suites)
    client = RequestSealer(config)
    request = bytes.fromhex(example["bhttp_request"])
    sizes = example["request_chunks_plain_bytes"]
    sealed = client.header + chunks(request, sizes, client.chunks)
    assert sealed.hex() == example["encapsulated_request"]

    server = RequestOpener({1: gateway})
    assert opened(server, [sealed]) == [request[:12], request[12:], b""]

    answer = bytes.fromhex(example["bhttp_response"])
    nonce = bytes.fromhex(example["encapsulated_response"])[:16]
    response = ResponseSealer(server.encapsulation, nonce)
    sizes = example["response_chunks_plain_bytes"]
    sealed = response.header + chunks(answer, sizes, response.chunks)
    assert sealed.hex() == example["encapsulated_response"]
    plaintexts = opened(ResponseOpener(client.encapsulation), [sealed])
    assert plaintexts == [answer[:1], answer[1:], b""]


# Streams as they should be.


def exchange(gateway: GatewayKey = X25519) -> tuple[bytes, bytes, ResponseOpener]:
    """A sealed request of three chunks, its sealed answer, and what opens that."""
    client = RequestSealer(gateway.config)
    request = client.header + chunks(b"one, two", [3, 5, 0], client.chunks)
    server = RequestOpener(KEYS)
    server.feed(request)
    sealer = ResponseSealer(server.encapsulation, b"n" * 32)
    answer = sealer.header + chunks(b"three, four", [5, 1, 5], sealer.chunks)
    return request, answer, ResponseOpener(client.encapsulation)


@GATEWAYS
def test_what_is_sealed_opens(gateway: GatewayKey) -> None:
    request, answer, opener = exchange(gateway)
    assert opened(RequestOpener(KEYS), [request]) == [b"one", b", two", b""]
    assert opened(opener, [answer]) == [b"three", b",", b" four"]


@GATEWAYS
def test_bytes_may_arrive_one_by_one(gateway: GatewayKey) -> None:
    request, answer, opener = exchange(gateway)
    one_by_one = split(request, range(len(request)))
    assert opened(RequestOpener(KEYS), one_by_one) == [b"one", b", two", b""]
    assert opened(opener, split(answer, range(len(answer)))) == [
        b"three",
        b",",
        b" four",
    ]


@given(st.lists(st.integers(0, 120), max_size=8))
def test_bytes_may_arrive_in_any_pieces(cuts: list[int]) -> None:
    request, answer, opener = exchange()
    arrived = split(request, (min(cut, len(request)) for cut in cuts))
    assert opened(RequestOpener(KEYS), arrived) == [b"one", b", two", b""]
    arrived = split(answer, (min(cut, len(answer)) for cut in cuts))
    assert opened(opener, arrived) == [b"three", b",", b" four"]


@given(
    messages=st.lists(st.binary(min_size=1, max_size=300), max_size=6),
    last=st.binary(max_size=300),
    cuts=st.lists(st.integers(0, 2500), max_size=6),
)
def test_any_chunks_arrive_in_any_pieces(
    messages: list[bytes], last: bytes, cuts: list[int]
) -> None:
    sealer = ChunkSealer(cipher())
    stream = b"".join(map(sealer.seal, messages)) + sealer.seal_final(last)
    arrived = split(stream, (min(cut, len(stream)) for cut in cuts))
    assert opened(ChunkOpener(cipher()), arrived) == [*messages, last]


def test_a_chunk_opens_as_soon_as_it_is_there() -> None:
    request, _, _ = exchange()
    opener = RequestOpener(KEYS)
    end = 39 + 1 + 3 + 16
    assert opener.feed(request[: end - 1]) == []
    assert opener.feed(request[end - 1 : end]) == [b"one"]


def test_the_length_of_a_chunk_may_be_longer_than_it_needs() -> None:
    sealed = cipher().seal(b"one")
    assert ChunkOpener(cipher()).feed(b"\x80\0\0\x13" + sealed) == [b"one"]


def test_the_largest_chunks_are_accepted() -> None:
    sealer, opener = ChunkSealer(cipher()), ChunkOpener(cipher())
    largest = bytes(MAX_CHUNK_BYTES)
    stream = [sealer.seal(largest), sealer.seal_final(largest)]
    assert opened(opener, stream) == [largest, largest]


# Streams that were meddled with.


@GATEWAYS
def test_a_request_cut_short_does_not_end(gateway: GatewayKey) -> None:
    request, _, _ = exchange(gateway)
    for size in range(len(request)):
        server = RequestOpener(KEYS)
        server.feed(request[:size])
        with pytest.raises(SealingError):
            server.finish()


def test_a_response_cut_short_does_not_end() -> None:
    client = RequestSealer(X25519.config)
    server = RequestOpener(KEYS)
    server.feed(client.header)
    sealer = ResponseSealer(server.encapsulation, b"n" * 32)
    answer = sealer.header + chunks(b"three, four", [5, 1, 5], sealer.chunks)
    for size in range(len(answer)):
        opener = ResponseOpener(client.encapsulation)
        opener.feed(answer[:size])
        with pytest.raises(SealingError):
            opener.finish()
    assert opened(ResponseOpener(client.encapsulation), [answer])


@pytest.mark.parametrize(
    "opener", [RequestOpener(KEYS), ResponseOpener(exchange()[2]._encapsulation)]
)
def test_a_stream_without_a_header_has_no_end(
    opener: RequestOpener | ResponseOpener,
) -> None:
    assert opener.feed(b"") == []
    assert opener.feed(b"\x02") == []
    with pytest.raises(SealingError, match=r"expected a whole (header|nonce)"):
        opener.finish()


def test_a_response_begins_when_its_nonce_is_whole() -> None:
    _, answer, opener = exchange()
    assert opener.feed(answer[:32]) == []
    with pytest.raises(SealingError, match="expected a final one, got the end"):
        opener.finish()


def test_a_stream_without_a_final_chunk_has_no_end() -> None:
    opener = ChunkOpener(cipher())
    opener.feed(ChunkSealer(cipher()).seal(b"one"))
    with pytest.raises(SealingError, match="expected a final one, got the end"):
        opener.finish()


@GATEWAYS
def test_every_changed_byte_is_noticed(gateway: GatewayKey) -> None:
    request, _, _ = exchange(gateway)
    for at in range(len(request)):
        changed = bytearray(request)
        changed[at] ^= 0x01
        with pytest.raises(SealingError):
            opened(RequestOpener(KEYS), [bytes(changed)])


def pieces() -> tuple[bytes, bytes, bytes]:
    sealer = ChunkSealer(cipher())
    return sealer.seal(b"one"), sealer.seal(b"two"), sealer.seal_final(b"three")


ONE, TWO, LAST = pieces()
FINAL = b"\x00"


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param([TWO, ONE, LAST], id="moved"),
        pytest.param([ONE, ONE, TWO, LAST], id="doubled"),
        pytest.param([ONE, LAST], id="missing"),
        pytest.param([TWO, LAST], id="the first missing"),
        pytest.param([LAST], id="all but the final missing"),
        pytest.param([ONE, TWO], id="the final missing"),
        pytest.param([ONE, TWO, LAST, LAST], id="the final doubled"),
        pytest.param([ONE, TWO, LAST, b"\x00"], id="a byte more"),
        pytest.param([ONE, TWO, FINAL], id="an empty end"),
        pytest.param([ONE, FINAL + TWO[1:]], id="taken for the final"),
        pytest.param(
            [ONE, TWO, varint.encode(len(LAST) - 1) + LAST[1:]],
            id="the final taken for another",
        ),
        pytest.param(
            [ONE, TWO, varint.encode(len(LAST) - 1) + LAST[1:], FINAL + bytes(16)],
            id="the final taken for another, and one made up",
        ),
        pytest.param([b"\x05" + bytes(5)], id="shorter than a tag"),
        pytest.param([], id="nothing"),
    ],
)
def test_a_stream_that_was_meddled_with_does_not_open(stream: list[bytes]) -> None:
    with pytest.raises(SealingError):
        opened(ChunkOpener(cipher()), stream)


def test_a_stream_ends_once() -> None:
    opener = ChunkOpener(cipher())
    assert opened(opener, [ONE, TWO, LAST]) == [b"one", b"two", b"three"]
    with pytest.raises(SealingError, match="do not open with this key"):
        opener.finish()


def test_an_empty_chunk_that_is_not_final_is_refused() -> None:
    with pytest.raises(SealingError, match="expected data in all but the final one"):
        ChunkOpener(cipher()).feed(b"\x10" + cipher().seal(b""))


@pytest.mark.parametrize("size", [MAX_CHUNK_BYTES + 17, varint.MAX])
def test_a_chunk_too_large_is_refused_before_it_arrives(size: int) -> None:
    with pytest.raises(SealingError, match=f"at most 1048592 bytes, got {size}"):
        ChunkOpener(cipher()).feed(varint.encode(size))


def test_a_final_chunk_too_large_is_refused_before_it_is_whole() -> None:
    opener = ChunkOpener(cipher())
    assert opener.feed(FINAL + bytes(MAX_CHUNK_BYTES + 16)) == []
    with pytest.raises(SealingError, match="at most 1048592 bytes, got 1048593"):
        opener.feed(b"\x00")


def test_an_answer_to_another_request_does_not_open() -> None:
    _, answer, _ = exchange()
    _, _, other = exchange()
    with pytest.raises(SealingError, match="do not open with this key"):
        other.feed(answer)


def test_a_whole_request_is_no_chunked_one() -> None:
    sealed, _ = seal_request(X25519.config, b"one")
    with pytest.raises(SealingError):
        opened(RequestOpener(KEYS), [sealed[:39] + FINAL + sealed[39:]])


def test_a_request_to_an_unknown_key_is_refused_at_its_first_byte() -> None:
    with pytest.raises(UnknownKeyError, match="got 9"):
        RequestOpener(KEYS).feed(b"\x09")


def test_the_answer_is_sealed_only_after_the_header() -> None:
    request, _, _ = exchange()
    server = RequestOpener(KEYS)
    server.feed(request[:38])
    with pytest.raises(SealingError, match="expected a whole header"):
        _ = server.encapsulation
    server.feed(request[38:39])
    assert server.encapsulation.enc == request[7:39]


@given(st.binary(max_size=100), st.integers(0, 100))
def test_no_bytes_open_but_a_sealed_stream(data: bytes, cut: int) -> None:
    for opener in (RequestOpener(KEYS), exchange()[2], ChunkOpener(cipher())):
        with pytest.raises(SealingError):
            opened(opener, [data[:cut], data[cut:]])


# Sizes.


def test_the_sizes_are_those_of_the_draft_and_the_aeads() -> None:
    assert len(cipher().seal(b"")) == hpke.TAG_BYTES
    assert (COMMON_CHUNK_BYTES, CHUNK_BYTES, MAX_CHUNK_BYTES) == (2**14, 2**16, 2**20)
