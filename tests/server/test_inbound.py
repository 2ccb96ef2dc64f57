"""What a sealed request may do wrong on its way in.

The application counts as reached only if it was given a complete request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from blindai.protocol import bhttp, varint
from blindai.protocol import ohttp_chunked as chunked
from blindai.protocol.chunks import MAX_CHUNK_BYTES
from blindai.server.gateway import GatewayLimits

if TYPE_CHECKING:
    from tests.server.conftest import Answer, Door, MakeDoor, Opened, Sealing

    from blindai.server.asgi import App, Message, Receive, Scope, Send

Tamper = Callable[[list[bytes]], list[bytes]]

pytestmark = pytest.mark.anyio

GONE = [{"type": "http.disconnect"}]
UNFINISHED = "chunks: expected a final one, got the end of the stream"
DOES_NOT_OPEN = "sealed bytes: do not open with this key"


class Reached:
    """An application that notes what it is given, and answers whatever that was."""

    def __init__(self) -> None:
        self.content = b""
        self.complete = False
        self.gone = False

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        while not (self.complete or self.gone):
            message = await receive()
            self.gone = message["type"] == "http.disconnect"
            self.content += message.get("body", b"")
            self.complete = not (self.gone or message["more_body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"taken"})


@pytest.fixture
def reached() -> Reached:
    return Reached()


@pytest.fixture
def watched(make_door: MakeDoor, reached: Reached) -> Door:
    limits = GatewayLimits(max_content_bytes=1000, idle_timeout_s=0.1)
    return make_door(reached, limits=limits)


def request(door: Door, *contents: bytes) -> Sealing:
    """A request of indeterminate length: head, contents and end, each a chunk."""
    fields = ((b"date", b"Mon, 01 Jun 2026 12:00:00 GMT"),)
    head = bhttp.RequestHead(b"POST", b"https", b"", b"/", fields)
    pieces = [b"".join(map(bytes, bhttp.encode_content(each))) for each in contents]
    return door.seal(bhttp.encode_request_head(head), *pieces, bhttp.encode_end())


def at_once(sealing: Sealing) -> list[Message]:
    return [{"type": "http.request", "body": sealing.body}]


def assert_refused(
    opened: Opened, reached: Reached, expected: tuple[int, str, str]
) -> None:
    assert opened.problem == expected, f"expected {expected}, got {opened.problem}"
    assert not reached.complete, "expected no complete request, got one"


async def test_a_request_in_many_chunks_arrives_whole(
    watched: Door, reached: Reached
) -> None:
    opened = await watched.send(request(watched, b"one", b"two"))

    assert opened.content == b"taken"
    assert reached.content == b"onetwo"


async def test_a_request_in_many_chunks_may_arrive_at_once(
    watched: Door, reached: Reached
) -> None:
    contents = [bytes([each]) * 100 for each in range(5)]
    sealing = request(watched, *contents)

    answer = await watched.post([], ending=at_once(sealing))

    assert sealing.open(answer.body).content == b"taken"
    assert reached.content == b"".join(contents)


async def test_the_last_content_says_that_it_is_the_last(make_door: MakeDoor) -> None:
    received: list[tuple[bytes, bool]] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            received.append((message["body"], more))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"taken"})

    door = make_door(app)
    sealing = request(door, b"one", b"two")

    await door.post([], ending=at_once(sealing))

    assert received == [(b"one", True), (b"two", False)]


async def test_a_first_chunk_that_opens_and_is_no_message_has_a_sealed_answer(
    watched: Door, reached: Reached
) -> None:
    sealing = watched.seal(b"\x09", b"")

    answer = await watched.post(sealing.pieces[:2])

    detail = "framing indicator: expected 0 or 2, got 9"
    expected = (400, "malformed-message", detail)
    assert_refused(sealing.open(answer.body), reached, expected)


async def test_a_request_may_arrive_byte_by_byte(
    watched: Door, reached: Reached
) -> None:
    sealing = request(watched, b"one")
    bytes_ = [sealing.body[at : at + 1] for at in range(len(sealing.body))]

    answer = await watched.post(bytes_)

    assert sealing.open(answer.body).content == b"taken"
    assert reached.content == b"one"


async def test_trailers_are_not_content(watched: Door, reached: Reached) -> None:
    head = bhttp.RequestHead(
        b"POST",
        b"https",
        b"",
        b"/",
        ((b"date", b"Mon, 01 Jun 2026 12:00:00 GMT"),),
    )
    message = bhttp.encode_request(head, b"content", ((b"checksum", b"1"),))

    opened = await watched.send(watched.seal(message))

    assert opened.status == 200
    assert reached.content == b"content"


def drop(chunks: list[bytes]) -> list[bytes]:
    return chunks[:2] + chunks[3:]


def swap(chunks: list[bytes]) -> list[bytes]:
    return [*chunks[:2], chunks[3], chunks[2], *chunks[4:]]


def double(chunks: list[bytes]) -> list[bytes]:
    return [*chunks[:3], chunks[2], *chunks[3:]]


def cut(chunks: list[bytes]) -> list[bytes]:
    return chunks[:-1]


def cut_within(chunks: list[bytes]) -> list[bytes]:
    return [*chunks[:-2], chunks[-2][:-1]]


def cut_the_end(chunks: list[bytes]) -> list[bytes]:
    return [*chunks[:-1], chunks[-1][:-1]]


def append(chunks: list[bytes]) -> list[bytes]:
    return [*chunks, b"\x00"]


def end_early(chunks: list[bytes]) -> list[bytes]:
    """Say that a chunk is the last one."""
    (_, start) = varint.decode(chunks[2]) or (0, 0)
    return [*chunks[:2], b"\x00" + chunks[2][start:]]


def empty(chunks: list[bytes]) -> list[bytes]:
    return [*chunks[:2], varint.encode(0), *chunks[2:]]


def too_large(chunks: list[bytes]) -> list[bytes]:
    return [*chunks[:2], varint.encode(MAX_CHUNK_BYTES + 17), *chunks[2:]]


@pytest.mark.parametrize(
    ("tamper", "detail"),
    [
        (drop, DOES_NOT_OPEN),
        (swap, DOES_NOT_OPEN),
        (double, DOES_NOT_OPEN),
        (cut, UNFINISHED),
        (cut_within, UNFINISHED),
        (cut_the_end, DOES_NOT_OPEN),
        (append, DOES_NOT_OPEN),
        (end_early, DOES_NOT_OPEN),
        (empty, DOES_NOT_OPEN),
        (too_large, "chunk: expected at most 1048592 bytes, got 1048593"),
    ],
)
async def test_a_request_that_stops_opening_is_refused_under_seal(
    watched: Door,
    reached: Reached,
    tamper: Tamper,
    detail: str,
) -> None:
    sealing = request(watched, b"first", b"second", b"third")

    answer = await watched.post(tamper(sealing.pieces))

    assert answer.status == 200, f"expected a sealed answer, got {answer.status}"
    assert_refused(sealing.open(answer.body), reached, (400, "not-opened", detail))
    assert reached.gone, "expected the application to see its client go"


async def test_a_chunk_of_nothing_is_refused(watched: Door, reached: Reached) -> None:
    sealer = chunked.RequestSealer(watched.configs()[0])
    pieces = [sealer.header, sealer.chunks.seal(b"")]

    answer = await watched.post(pieces)

    assert answer.status == 400, f"expected 400, got {answer.status}"
    assert not reached.complete


async def test_an_empty_message_is_refused_under_seal(
    watched: Door, reached: Reached
) -> None:
    opened = await watched.send(watched.seal(b""))

    expected = "message: expected more bytes, got its end"
    assert_refused(opened, reached, (400, "malformed-message", expected))


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        pytest.param(b"\x01", "framing indicator: expected 0 or 2, got 1", id="answer"),
        pytest.param(b"\x00\x03GE", "message: expected more bytes", id="cut short"),
        pytest.param(
            b"\x00\x00\x05https\x00\x01/",
            "method: expected a token other than CONNECT",
            id="no method",
        ),
        pytest.param(
            b"\x00\x80\x00\x40\x01", "method: expected at most 16384 bytes", id="long"
        ),
        pytest.param(
            b"\x00\x03GET\x05https\x00\x04path", "path: expected a path", id="path"
        ),
    ],
)
async def test_malformed_binary_http_is_refused_under_seal(
    watched: Door, reached: Reached, message: bytes, detail: str
) -> None:
    opened = await watched.send(watched.seal(message))

    status, kind, actual = opened.problem
    assert (status, kind) == (400, "malformed-message")
    assert actual.startswith(detail), f"expected {detail}, got {actual}"
    assert not reached.gone, "expected the application not to be called"


async def test_padding_that_is_not_zero_is_refused(
    watched: Door, reached: Reached
) -> None:
    head = watched.message("POST", "/", b"content")

    opened = await watched.send(watched.seal(head, b"x"))

    detail = "padding: expected zeros, got other bytes"
    assert_refused(opened, reached, (400, "malformed-message", detail))


@pytest.mark.parametrize("contents", [(bytes(1001),), (bytes(600), bytes(401))])
async def test_content_over_the_limit_is_refused_while_it_arrives(
    watched: Door, reached: Reached, contents: tuple[bytes, ...]
) -> None:
    opened = await watched.send(request(watched, *contents))

    detail = "content: expected at most 1000 bytes"
    assert_refused(opened, reached, (413, "too-large", detail))


async def test_content_at_the_limit_is_taken(watched: Door, reached: Reached) -> None:
    opened = await watched.send(request(watched, bytes(600), bytes(400)))

    assert opened.status == 200
    assert len(reached.content) == 1000


async def test_a_client_that_stops_sending_is_told_under_seal(
    watched: Door, reached: Reached
) -> None:
    sealing = request(watched, b"first", b"second")

    async with asyncio.timeout(2):
        answer = await watched.post(sealing.pieces[:-1], ending=())

    detail = "request: expected bytes within 0.1 s"
    expected = (504, "deadline-passed", detail)
    assert_refused(sealing.open(answer.body), reached, expected)


async def test_a_client_that_goes_half_way_gets_no_answer(
    watched: Door, reached: Reached
) -> None:
    sealing = request(watched, b"first", b"second")

    answer = await watched.post(sealing.pieces[:-1], ending=GONE)

    assert answer.status == 0, f"expected no answer, got {answer.status}"
    assert reached.gone
    assert not reached.complete


async def test_after_a_failure_the_application_gets_nothing_but_a_gone_client(
    make_door: MakeDoor,
) -> None:
    received: list[Message] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        received.extend([await receive() for _ in range(5)])

    door = make_door(app)
    sealing = request(door, b"first", b"second", b"third")
    answer = await door.post(drop(sealing.pieces))

    assert [message["type"] for message in received[-4:]] == ["http.disconnect"] * 4
    assert sealing.open(answer.body).problem[1] == "not-opened"


async def test_nothing_is_read_ahead_of_the_application(make_door: MakeDoor) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    door = make_door(app)
    sealing = request(door, b"first")
    rest = iter(sealing.pieces)
    sent: list[bytes] = []

    async def receive() -> Message:
        sent.append(next(rest))
        await asyncio.sleep(0)
        return {"type": "http.request", "body": sent[-1], "more_body": True}

    answer = await _call(door, receive)

    assert sealing.open(answer.body).status == 204
    assert sent == sealing.pieces[:2], "expected the header and the head to be read"


async def _call(door: Door, receive: Receive) -> Answer:
    answer = await door.call("GET", "/")  # for an answer of the right type
    answer.status, answer.complete, answer.pieces = 0, False, []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": "POST",
        "path": "/.well-known/ohttp-gateway",
        "headers": [(b"content-type", chunked.REQUEST_TYPE.encode())],
    }
    await door.gateway(scope, receive, answer.take)
    return answer


async def test_an_application_that_does_not_read_is_answered_all_the_same(
    make_door: MakeDoor, echo: App
) -> None:
    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        await echo(scope, nothing, send)

    door = make_door(app)

    assert (await door.send(request(door, b"first"))).content == b""
