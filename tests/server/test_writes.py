"""An answer's head leaves with its content; nothing is held for longer, or lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from uvicorn.server import ServerState

from blindai.server import writes
from blindai.server.asgi import App, Receive, Scope, Send
from blindai.server.serve import Listen, build_server
from blindai.server.writes import HoldingTransport, HttpProtocol

pytestmark = pytest.mark.anyio
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Written(asyncio.Transport):
    """Notes each call that would be one of the system."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.calls: list[bytes] = []
        self.state = "open"
        self.reading = True
        self.unread = 0

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self.state == "open"
        self.calls.append(bytes(data))

    def writelines(
        self, list_of_data: Iterable[bytes | bytearray | memoryview]
    ) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.state != "open"

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@pytest.fixture
async def below() -> Written:
    return Written()


@pytest.fixture
async def transport(below: Written) -> HoldingTransport:
    return HoldingTransport(below, asyncio.get_running_loop())


async def test_a_head_and_its_content_leave_in_one_call(
    below: Written, transport: HoldingTransport
) -> None:
    transport.write(HEAD)
    transport.write(bytes(100_000))
    transport.write(b"end")
    await asyncio.sleep(0)
    assert below.calls == [HEAD + bytes(100_000), b"end"]


async def test_a_head_alone_leaves_when_the_loop_comes_round(
    below: Written, transport: HoldingTransport
) -> None:
    transport.write(HEAD)
    assert below.calls == []
    await asyncio.sleep(0)
    assert below.calls == [HEAD]


async def test_what_is_no_head_leaves_at_once(
    below: Written, transport: HoldingTransport
) -> None:
    transport.write(b"data: 1\n\n")
    assert below.calls == [b"data: 1\n\n"]


async def test_what_is_held_leaves_before_the_connection_closes(
    below: Written, transport: HoldingTransport
) -> None:
    transport.write(HEAD)
    transport.close()
    await asyncio.sleep(0)
    assert (below.calls, below.state) == ([HEAD], "closed")
    assert transport.is_closing()


@pytest.mark.parametrize(("unread", "state"), [(1, "aborted"), (0, "closed")])
async def test_the_end_waits_for_a_reader_but_not_for_ever(
    below: Written,
    transport: HoldingTransport,
    monkeypatch: pytest.MonkeyPatch,
    unread: int,
    state: str,
) -> None:
    monkeypatch.setattr(writes, "_UNREAD_S", 0.01)
    below.unread = unread
    transport.close()
    assert below.state == "closed"
    await asyncio.sleep(0.05)
    assert below.state == state


async def test_nothing_leaves_of_a_connection_that_is_aborted(
    below: Written, transport: HoldingTransport
) -> None:
    transport.write(HEAD)
    transport.abort()
    await asyncio.sleep(0)
    assert (below.calls, below.state) == ([], "aborted")


async def test_nothing_is_written_to_a_connection_that_was_lost(
    below: Written, transport: HoldingTransport
) -> None:
    transport.write(HEAD)
    below.close()
    await asyncio.sleep(0)
    assert below.calls == []


async def test_the_rest_is_the_connections_own(
    below: Written, transport: HoldingTransport
) -> None:
    assert transport.get_extra_info("peername") == ("127.0.0.1", 1)
    assert transport.get_extra_info("sslcontext", "none") == "none"
    transport.pause_reading()
    assert not below.reading
    transport.resume_reading()
    assert below.reading


async def _hello(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def _connected(app: App, below: Written) -> HttpProtocol:
    config = build_server(app, Listen()).config
    config.load()
    protocol = config.http_protocol_class(config, ServerState(), {})  # type: ignore[call-arg]  # uvicorn's own
    assert isinstance(protocol, HttpProtocol)
    protocol.connection_made(below)
    return protocol


@pytest.mark.parametrize(("waiting", "reads_on"), [(1 << 20, True), (1 << 21, False)])
async def test_a_chunk_is_read_on_and_no_more_than_that(
    below: Written, waiting: int, *, reads_on: bool
) -> None:
    protocol = _connected(_hello, below)
    head = b"POST / HTTP/1.1\r\nhost: enclave\r\ncontent-length: 9999999\r\n\r\n"
    protocol.data_received(head)
    protocol.data_received(bytes(waiting))
    assert below.reading is reads_on
    await asyncio.gather(*protocol.tasks)


async def test_requests_that_wait_their_turn_are_not_read_on(below: Written) -> None:
    protocol = _connected(_hello, below)
    request = b"POST / HTTP/1.1\r\nhost: enclave\r\ncontent-length: 5\r\n\r\nhello"
    protocol.data_received(request + request)
    assert not below.reading
    await asyncio.gather(*protocol.tasks)


async def test_an_answer_of_the_servers_is_one_call(below: Written) -> None:
    protocol = _connected(_hello, below)
    protocol.data_received(b"GET / HTTP/1.1\r\nhost: enclave\r\n\r\n")
    await asyncio.wait_for(asyncio.gather(*protocol.tasks), 5)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    (answer,) = below.calls
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"hello\r\n0\r\n\r\n")


@pytest.mark.parametrize("held", [b"", HEAD])
async def test_nothing_is_written_to_who_has_gone(below: Written, held: bytes) -> None:
    above = HoldingTransport(below, asyncio.get_running_loop())
    above.write(held or b"before")
    below.close()

    above.write(HEAD)
    above.write(b"content")
    await asyncio.sleep(0.01)

    assert below.calls == ([] if held else [b"before"])
