"""A session exists for a verified enclave, and no key in it is used twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from blindai import verifier
from blindai.client.session import Session
from blindai.errors import BinaryHttpError, ProtocolError
from blindai.protocol import bhttp, ohttp
from blindai.protocol import ohttp_chunked as chunked
from blindai.protocol.bhttp import InformationalResponse, RequestHead, ResponseHead
from blindai.protocol.bhttp_decoder import Request, decode_request
from blindai.protocol.kem import Kem, generate
from blindai.testing import NOW, SimulatedEvidence, simulated_keyset
from blindai.verifier import Policy

HEAD = RequestHead(b"GET", b"https", b"enclave", b"/")
X_WING = ohttp.GatewayKey(1, generate(Kem.X_WING))
X25519 = ohttp.GatewayKey(2, generate(Kem.X25519))


def session(*keys: ohttp.GatewayKey, process: Callable[[], int] = lambda: 1) -> Session:
    configs = ohttp.encode_key_configs(tuple(key.config for key in keys))
    enclave = SimulatedEvidence(keyset=replace(simulated_keyset(), ohttp_keys=configs))
    nonce = bytes(32)
    result = verifier.verify(
        enclave.attestation(nonce),
        nonce=nonce,
        policy=Policy.for_simulation(),
        now=NOW,
    )
    return Session(result, process)


def first_bytes(session: Session) -> bytes:
    """The header of the next request: it names the key and holds the encapsulation."""
    (sealed,) = session.begin(HEAD).end()
    return sealed[:39]


@pytest.mark.parametrize("keys", [(X_WING, X25519), (X25519, X_WING)])
def test_x_wing_is_preferred(keys: tuple[ohttp.GatewayKey, ...]) -> None:
    assert first_bytes(session(*keys))[0] == X_WING.key_id


def test_x25519_serves_where_there_is_nothing_better() -> None:
    assert first_bytes(session(X25519))[0] == X25519.key_id


def test_the_first_of_several_keys_of_a_kind_is_taken() -> None:
    other = ohttp.GatewayKey(3, generate(Kem.X25519))
    assert first_bytes(session(X25519, other))[0] == X25519.key_id


def test_an_enclave_without_a_key_has_no_session() -> None:
    with pytest.raises(ProtocolError):
        session()


def test_a_session_serves_until_its_keys_end() -> None:
    verified = session(X25519)
    last = verified.result.keyset.not_after
    assert verified.usable(last)
    assert not verified.usable(last.replace(year=last.year + 1))


def test_each_request_has_a_key_of_its_own() -> None:
    verified = session(X25519)
    before = first_bytes(verified)
    verified.prepare()
    ahead, after = first_bytes(verified), first_bytes(verified)
    assert len({before, ahead, after}) == 3


def test_one_key_is_made_ahead() -> None:
    verified = session(X25519)
    verified.prepare()
    verified.prepare()
    assert len(verified._spare) == 1


def test_a_key_made_before_a_fork_is_not_used_after_it() -> None:
    process = iter([1, 2, 2])
    verified = session(X25519, process=lambda: next(process))
    verified.prepare()
    _, made_before = verified._spare[0]
    assert not made_before.header.startswith(first_bytes(verified))


def test_a_request_in_memory_is_sealed_whole() -> None:
    message = session(X25519).begin(HEAD).whole([b"con", memoryview(b"tent")])
    sealed = b"".join(message.seal())
    assert len(sealed) == message.size_bytes
    opener = chunked.RequestOpener({X25519.key_id: X25519})
    assert opener.feed(sealed) == []
    assert decode_request(opener.finish()) == Request(HEAD, b"content")


def test_an_answer_opens_with_its_head_and_content() -> None:
    sealing = session(X25519).begin(HEAD)
    (sealed,) = sealing.end()
    opener = chunked.RequestOpener({X25519.key_id: X25519})
    opener.feed(sealed)
    sealer = chunked.ResponseSealer(opener.encapsulation, bytes(32))
    head = ResponseHead(200, ((b"a", b"b"),))
    plaintext = bhttp.encode_response_head(head) + b"\x02hi" + bhttp.encode_end()
    opening = sealing.opening()
    assert opening.feed(sealer.header + sealer.chunks.seal_final(plaintext)) == []
    assert opening.finish() == [b"hi"]
    assert opening.require_head() == head


def test_an_answer_without_a_head_is_malformed() -> None:
    opening = session(X25519).begin(HEAD).opening()
    with pytest.raises(BinaryHttpError, match="expected a head, got the end"):
        opening.require_head()


def test_what_is_around_the_answer_is_left_out() -> None:
    sealing = session(X25519).begin(HEAD)
    (sealed,) = sealing.end()
    opener = chunked.RequestOpener({X25519.key_id: X25519})
    opener.feed(sealed)
    sealer = chunked.ResponseSealer(opener.encapsulation, bytes(32))
    head = ResponseHead(200, informational=(InformationalResponse(103),))
    ending = bhttp.encode_end(((b"a", b"b"),))
    plaintext = bhttp.encode_response_head(head) + b"\x02hi" + ending
    opening = sealing.opening()
    opening.feed(sealer.header + sealer.chunks.seal_final(plaintext))
    assert opening.finish() == [b"hi"]
    assert opening.require_head().status == 200
