"""Messages between the server and its workers: any bytes are one, or the one error."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import ProtocolError
from blindai.inference.worker import frames


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = frames.pair()
    with ours, theirs:
        yield ours, theirs


def message(head: bytes, body: bytes = b"") -> bytes:
    return len(head).to_bytes(4, "big") + head + body


def test_what_is_sent_arrives(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    head: dict[str, object] = {"run": 1 << 62, "in": [[0, [1, 4], 0, 16]], "x": None}

    frames.send(theirs, head, [b"\x00\xff", b"body"])
    frame = frames.receive(ours)

    assert frame is not None
    assert frame.head == head
    assert bytes(frame.body) == b"\x00\xffbody"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b"\xa1a1",
        b"[" * 100_000,
        b'{"out":' * 15_000,
        b'{"ns": ' + b"9" * 100_000 + b"}",
    ],
    ids=[
        "nothing",
        "cut",
        "list",
        "number",
        "no UTF-8",
        "CBOR",
        "deep",
        "maps",
        "long",
    ],
)
def test_a_head_that_is_none_is_the_one_error(
    ends: tuple[socket.socket, socket.socket], head: bytes
) -> None:
    ours, theirs = ends
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    theirs.send(message(head))

    with pytest.raises(ProtocolError, match="worker message"):
        frames.receive(ours)


@given(data=st.binary(min_size=1, max_size=200))
def test_any_bytes_are_a_message_or_the_one_error(data: bytes) -> None:
    ours, theirs = frames.pair()
    with ours, theirs, suppress(ProtocolError):
        theirs.send(data)
        frames.receive(ours)
