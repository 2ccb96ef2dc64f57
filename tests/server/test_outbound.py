"""How an answer leaves: sealed, piece by piece, and whole or not at all."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest

from blindai.errors import SealingError
from blindai.protocol import ohttp_chunked as chunked
from blindai.protocol.bhttp import Content, ResponseHead
from blindai.protocol.bhttp_decoder import ResponseDecoder
from blindai.server.gateway import GatewayLimits
from blindai.server.outbound import response_head

if TYPE_CHECKING:
    from tests.server.conftest import Answer, MakeDoor, Sealing

    from blindai.server.asgi import App, Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def sends(*messages: Message) -> App:
    """An application that sends just these messages."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def stopping_after(count: int, taken: list[Message]) -> Send:
    """A client that takes so many messages in, and then no more."""

    async def client(message: Message) -> None:
        taken.append(message)
        if len(taken) == count:
            await asyncio.Event().wait()

    return client


@pytest.mark.parametrize("whole", [False, True], ids=["chunked", "whole"])
async def test_status_fields_and_content_come_through(
    make_door: MakeDoor, *, whole: bool
) -> None:
    app = sends(
        start(207, (b"X-Answer", b"yes"), (b"set-cookie", b"a"), (b"set-cookie", b"b")),
        body(b"one ", more=True),
        body(b"", more=True),
        body(b"two", more=True),
        body(),
    )
    door = make_door(app)
    message = door.message()
    sealing = door.seal_whole(message) if whole else door.seal(message)

    opened = await door.send(sealing)

    assert opened.status == 207
    assert opened.response.head.fields == (
        (b"x-answer", b"yes"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
    )
    assert opened.content == b"one two"


def test_fields_of_a_connection_stay_behind() -> None:
    names = [b"Connection", b"keep-alive", b"TE", b"Transfer-Encoding", b"upgrade"]
    names += [b"proxy-connection", b"Content-Type"]

    head = response_head(start(200, *((name, b"1") for name in names)))

    assert head.fields == ((b"content-type", b"1"),)


def test_a_head_needs_no_headers() -> None:
    message = {"type": "http.response.start", "status": 204}

    assert response_head(message) == ResponseHead(204)


async def test_a_small_answer_leaves_as_one_chunk_of_known_length(
    make_door: MakeDoor,
) -> None:
    door = make_door(sends(start(), body(b"small")))

    answer = await door.post(door.seal().pieces)

    assert len(answer.pieces) == 1
    assert answer.headers[b"content-length"] == str(len(answer.body)).encode()
    assert answer.headers[b"cache-control"] == b"no-store"


def sizes_of_chunks(sealing: Sealing, answer: Answer) -> list[int]:
    """Of all but the final one."""
    opener = chunked.ResponseOpener(sealing.encapsulation)
    return [len(plaintext) for plaintext in opener.feed(answer.body)]


@pytest.mark.parametrize(
    ("takes", "size"),
    [
        pytest.param(None, 16384, id="what every client takes"),
        pytest.param(b"16384", 16384, id="no more than that"),
        pytest.param(b"20000", 20000, id="a little more"),
        pytest.param(b"1048576", 65536, id="more than is sealed at once"),
    ],
)
@pytest.mark.parametrize("more", [False, True], ids=["whole", "streamed"])
async def test_chunks_are_of_a_size_that_the_client_takes(
    make_door: MakeDoor, takes: bytes | None, size: int, *, more: bool
) -> None:
    content = secrets.token_bytes(200_000)
    door = make_door(sends(start(), body(content, more=more), *([body()] * more)))
    fields = ((b"blindai-chunk-bytes", takes),) if takes else ()
    sealing = door.seal(door.message(fields=fields))

    answer = await door.post(sealing.pieces)

    sizes = sizes_of_chunks(sealing, answer)
    assert max(sizes) == size, f"expected chunks of {size} bytes, got {sizes}"
    assert sum(each == size for each in sizes) >= 200_000 // size - 1
    assert sealing.open(answer.body).content == content


async def test_the_first_of_two_sizes_counts(make_door: MakeDoor) -> None:
    door = make_door(sends(start(), body(bytes(200_000))))
    fields = ((b"blindai-chunk-bytes", b"20000"), (b"blindai-chunk-bytes", b"65536"))
    sealing = door.seal(door.message(fields=fields))

    answer = await door.post(sealing.pieces)

    assert max(sizes_of_chunks(sealing, answer)) == 20000


@pytest.mark.parametrize("takes", [b"16383", b"", b"-1", b"64k", b"1" * 13])
async def test_who_takes_less_than_every_client_is_refused(
    make_door: MakeDoor, takes: bytes
) -> None:
    door = make_door(sends(start(), body(b"answer")))

    opened = await door.ask(fields=((b"blindai-chunk-bytes", takes),))

    why = (
        "blindai-chunk-bytes: expected a whole number of at least 16384, of at most 12"
        " digits"
    )
    assert opened.problem == (400, "invalid-request", why)


async def test_a_large_answer_leaves_while_it_is_sealed(make_door: MakeDoor) -> None:
    door = make_door(sends(start(), body(bytes(1_000_000))))

    answer = await door.post(door.seal().pieces)

    assert max(map(len, answer.pieces)) < 100_000
    assert answer.headers[b"content-length"] == str(len(answer.body)).encode()


async def test_a_streamed_answer_arrives_while_the_application_still_writes(
    make_door: MakeDoor,
) -> None:
    read: asyncio.Queue[bytes] = asyncio.Queue()
    arrived: list[bytes] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-type", b"text/event-stream")))
        for number in range(3):
            event = b"data: %d\n\n" % number
            await send(body(event, more=True))
            arrived.append(await asyncio.wait_for(read.get(), 5))
        await send(body())

    door = make_door(app)
    sealing = door.seal()
    opener = chunked.ResponseOpener(sealing.encapsulation)
    decoder = ResponseDecoder()
    headers: list[Message] = []

    async def client(message: Message) -> None:
        headers.extend(message.get("headers", ()))
        for plaintext in opener.feed(message.get("body", b"")):
            for event in decoder.feed(plaintext):
                match event:
                    case Content(data=data):
                        read.put_nowait(bytes(data))
                    case _:
                        pass

    await door.into(sealing, client)

    assert arrived == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
    assert b"content-length" not in dict(headers)  # type: ignore[arg-type]  # pairs


async def test_an_application_that_stops_half_way_is_found_out(
    make_door: MakeDoor,
) -> None:
    door = make_door(sends(start(), body(b"half", more=True)))
    sealing = door.seal()

    answer = await door.post(sealing.pieces)

    assert not answer.complete
    with pytest.raises(SealingError, match="expected a final one"):
        sealing.open(answer.body)


async def test_an_application_that_fails_half_way_is_found_out(
    make_door: MakeDoor, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"half", more=True))
        raise RuntimeError("half-way")

    door = make_door(app)
    sealing = door.seal()

    answer = await door.post(sealing.pieces)

    assert not answer.complete
    with pytest.raises(SealingError):
        sealing.open(answer.body)
    assert "half-way" not in caplog.text


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([], id="no answer"),
        pytest.param([start()], id="a head alone"),
        pytest.param([body(b"content")], id="content without a head"),
        pytest.param([start(999), body()], id="no status of HTTP"),
        pytest.param([start(200, (b"a", b"b\r\nc: d")), body()], id="no header"),
        pytest.param([{"type": "http.response.trailers"}], id="trailers alone"),
    ],
)
async def test_an_answer_that_is_none_becomes_an_internal_problem(
    make_door: MakeDoor, messages: list[Message]
) -> None:
    door = make_door(sends(*messages))

    opened = await door.ask()

    assert opened.problem == (500, "internal", "the enclave failed to answer")


async def test_who_stops_reading_is_waited_for_no_longer(
    make_door: MakeDoor, caplog: pytest.LogCaptureFixture
) -> None:
    app = sends(start(), body(bytes(1_000_000)))
    door = make_door(app, limits=GatewayLimits(idle_timeout_s=0.05))
    taken: list[Message] = []

    with caplog.at_level("INFO", "blindai.gateway"):
        await door.into(door.seal(), stopping_after(3, taken))

    assert len(taken) == 3
    assert all(each["more_body"] for each in taken[1:]), "it is cut short, not ended"
    assert "its client reads no further" in caplog.text


async def test_nothing_more_leaves_for_who_stopped_reading(make_door: MakeDoor) -> None:
    pieces = [body(b"piece", more=True)] * 5
    app = sends(start(), *pieces, body())
    door = make_door(app, limits=GatewayLimits(idle_timeout_s=0.05))
    taken: list[Message] = []

    await door.into(door.seal(), stopping_after(3, taken))

    assert len(taken) == 3


async def test_others_have_their_turn_while_a_large_answer_is_sealed(
    make_door: MakeDoor,
) -> None:
    door = make_door(sends(start(), body(bytes(16 << 20))))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def client(_: Message) -> None:
        pass  # takes all there is, and lets nobody else in

    task = asyncio.create_task(other())
    await door.into(door.seal(), client)
    task.cancel()

    assert turns > 10
