"""Answers that were tampered with do not open.

The wire is the attacker here: it sees, changes and swaps what goes by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from blindai.errors import OverloadedError, SealingError, TooLargeError, TransportError
from blindai.protocol import varint

if TYPE_CHECKING:
    from tests.client.conftest import Wire

pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning"
)


def chunks(answer: bytes) -> tuple[bytes, list[bytes]]:
    """Split a sealed answer into its nonce and its chunks, lengths before them."""
    nonce, rest = answer[:32], answer[32:]
    pieces = []
    while rest[0]:
        decoded = varint.decode(rest)
        assert decoded is not None
        end = sum(decoded)
        pieces.append(rest[:end])
        rest = rest[end:]
    return nonce, [*pieces, rest]


def joined(nonce: bytes, pieces: list[bytes]) -> bytes:
    return nonce + b"".join(pieces)


def reordered(answer: bytes) -> bytes:
    nonce, (first, second, *rest) = chunks(answer)
    return joined(nonce, [second, first, *rest])


def without_one(answer: bytes) -> bytes:
    nonce, (first, _, *rest) = chunks(answer)
    return joined(nonce, [first, *rest])


def with_one_twice(answer: bytes) -> bytes:
    nonce, (first, *rest) = chunks(answer)
    return joined(nonce, [first, first, *rest])


def ending_early(answer: bytes) -> bytes:
    nonce, (first, *rest) = chunks(answer)
    return joined(nonce, [first, rest[-1]])


def bit_flipped(at: int) -> Callable[[bytes], bytes]:
    def flip(answer: bytes) -> bytes:
        changed = bytearray(answer)
        changed[at] ^= 1
        return bytes(changed)

    return flip


@pytest.mark.parametrize(
    "rewrite",
    [
        pytest.param(bit_flipped(0), id="nonce"),
        pytest.param(bit_flipped(40), id="first chunk"),
        pytest.param(bit_flipped(-1), id="last chunk"),
        pytest.param(lambda _: b"", id="nothing"),
        pytest.param(lambda answer: answer[:20], id="half a nonce"),
        pytest.param(lambda answer: answer[:-1], id="cut by a byte"),
        pytest.param(lambda answer: joined(*chunks(answer))[:-17], id="no last chunk"),
        pytest.param(lambda answer: answer[: len(answer) // 2], id="cut in half"),
        pytest.param(lambda answer: answer + b"\0", id="longer"),
        pytest.param(reordered, id="reordered"),
        pytest.param(without_one, id="a chunk left out"),
        pytest.param(with_one_twice, id="a chunk doubled"),
        pytest.param(ending_early, id="chunks left out at the end"),
    ],
)
def test_an_answer_that_was_changed_does_not_open(
    wire: Wire, model: str, rewrite: Callable[[bytes], bytes]
) -> None:
    with wire.connect() as client:
        client.predict(model, [1.0])
        wire.rewrite("POST", rewrite)
        with pytest.raises(SealingError):
            client.predict(model, np.ones(1 << 15, np.float32))


def test_the_answer_to_another_request_does_not_open(wire: Wire, model: str) -> None:
    answers: list[bytes] = []

    def first_again(answer: bytes) -> bytes:
        answers.append(answer)
        return answers[0]

    with wire.connect() as client:
        client.predict(model, [1.0])
        wire.rewrite("POST", first_again)
        client.predict(model, [1.0])
        with pytest.raises(SealingError):
            client.predict(model, [1.0])


class CutShort(httpx.SyncByteStream):
    """A body on a connection that breaks."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.ReadError("connection reset")

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("part", [10, 100, 50_000])
def test_a_connection_that_breaks_half_way_is_the_networks_fault(
    wire: Wire, model: str, part: int
) -> None:
    bodies: list[CutShort] = []
    honest = wire.answer

    def cut(request: httpx.Request) -> httpx.Response:
        answered = honest(request)
        bodies.append(CutShort(answered.content[:part]))
        kind = {"content-type": answered.headers["content-type"]}
        return httpx.Response(200, headers=kind, stream=bodies[0])

    with wire.connect() as client:
        client.predict(model, [1.0])
        wire.change("POST", cut)
        with pytest.raises(TransportError, match="ReadError: connection reset"):
            client.predict(model, np.ones(1 << 15, np.float32))
    assert bodies[0].closed


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        pytest.param(
            httpx.Response(413), TooLargeError, "over the gateway's limit", id="413"
        ),
        pytest.param(httpx.Response(429), OverloadedError, "answered 429", id="429"),
        pytest.param(httpx.Response(503), OverloadedError, "answered 503", id="503"),
        pytest.param(
            httpx.Response(200, html="<html>"), TransportError, "text/html", id="HTML"
        ),
        pytest.param(
            httpx.Response(502), TransportError, "no content type", id="proxy"
        ),
    ],
)
def test_an_answer_that_is_no_gateways_is_not_read(
    wire: Wire, answer: httpx.Response, error: type[Exception], message: str
) -> None:
    wire.change("POST", lambda _: answer)
    with wire.connect() as client, pytest.raises(error, match=message):
        client.models()


def test_the_name_of_a_header_field_may_have_capitals(wire: Wire, model: str) -> None:
    honest = wire.answer

    def capital(request: httpx.Request) -> httpx.Response:
        answered = honest(request)
        fields = {"Content-Type": answered.headers["content-type"]}
        return httpx.Response(200, headers=fields, content=answered.content)

    wire.change("POST", capital)
    with wire.connect() as client:
        assert client.predict(model, [1.0]).output[0].as_flat() == [1.0]


def test_an_answer_of_two_types_is_not_read(wire: Wire, model: str) -> None:
    honest = wire.answer

    def twice(request: httpx.Request) -> httpx.Response:
        answered = honest(request)
        fields = [("content-type", answered.headers["content-type"])] * 2
        return httpx.Response(200, headers=fields, content=answered.content)

    wire.change("POST", twice)
    with wire.connect() as client, pytest.raises(TransportError, match="expected"):
        client.predict(model, [1.0])
