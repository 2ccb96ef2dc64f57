"""The short way to an enclave: what the network does wrong is one of httpx's errors."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
from tests.client.scripted import LARGE, OK, Script, Serve, answers, read_request

from blindai.client.direct import DirectWire
from blindai.client.streams import as_sync

INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 99 + b"\r\n\r\n"


def ask(
    wire: DirectWire,
    url: httpx.URL,
    content: bytes | Iterator[bytes] = b"",
    timeout_s: float = 10,
) -> httpx.Response:
    """Send one request and read its answer."""
    with httpx.Client(transport=wire) as client:
        request = client.build_request("POST", url, content=content, timeout=timeout_s)
        answer = wire.handle_request(request)
        try:
            answer.read()
        finally:
            answer.close()
        return answer


def asked(wire: DirectWire, url: httpx.URL) -> httpx.Response:
    """Send one request, and leave the wire open."""
    answer = wire.handle_request(httpx.Request("GET", url))
    answer.read()
    return answer


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((OK,), id="at once"),
        pytest.param((OK[:20], OK[20:-1], OK[-1:]), id="in pieces"),
        pytest.param((b"HTTP/1.1 100 Continue\r\n\r\n", OK), id="after a 100"),
        pytest.param((b"HTTP/1.1 103 X\r\nA: b\r\n\r\n" + OK,), id="after a 103"),
        pytest.param((b"HTTP/1.0 200 OK\r\n\r\nhi",), id="until the end"),
        pytest.param(
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh",
                b"\r\n1\r\ni\r\n0\r\n\r\n",
            ),
            id="in chunks",
        ),
    ],
)
def test_an_answer_is_read(scripted: Serve, pieces: tuple[bytes, ...]) -> None:
    server = scripted(answers(*pieces))
    answer = ask(DirectWire(server.url), server.url)
    assert (answer.status_code, answer.content) == (200, b"hi")


@pytest.mark.parametrize("size", [0, 1, 1000, 1 << 16, LARGE])
def test_a_body_that_is_there_arrives_with_its_length(
    scripted: Serve, size: int
) -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    server = scripted(script)
    ask(DirectWire(server.url), server.url, bytes(size))
    assert seen[0].startswith(b"POST /path HTTP/1.1\r\nHost: 127.0.0.1")
    assert b"\r\nContent-Length: %d\r\n" % size in seen[0]
    assert seen[0].partition(b"\r\n\r\n")[2] == bytes(size)


@pytest.mark.parametrize("sizes", [(9,), (9, 5), (LARGE, 9), (LARGE, 1 << 20)])
def test_all_of_a_body_has_left_before_its_maker_goes_on(
    scripted: Serve, sizes: tuple[int, ...]
) -> None:
    arrived = threading.Event()
    waited: list[bool] = []

    def script(connection: socket.socket) -> None:
        read_request(connection)
        arrived.set()
        connection.sendall(OK)

    def body() -> Iterator[bytes]:
        yield from map(bytes, sizes)
        waited.append(arrived.wait(5))

    server = scripted(script)
    wire = DirectWire(server.url)
    fields = {"content-length": str(sum(sizes))}
    request = httpx.Request("POST", server.url, content=body(), headers=fields)
    with httpx.Client(transport=wire):
        wire.handle_request(request).read()
    assert waited == [True]


def test_a_body_that_is_made_as_it_is_sent_arrives_in_chunks(scripted: Serve) -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    server = scripted(script)
    ask(DirectWire(server.url), server.url, iter([b"abc", b"", b"d" * 17]))
    chunks = b"3\r\nabc\r\n11\r\n" + b"d" * 17 + b"\r\n0\r\n\r\n"
    assert seen[0].partition(b"\r\n\r\n")[2] == chunks


def test_a_connection_is_used_again(scripted: Serve) -> None:
    server = scripted(answers(OK, requests=3))
    wire = DirectWire(server.url)
    assert [asked(wire, server.url).content for _ in range(3)] == [b"hi"] * 3
    wire.close()


def left_open(answer: bytes) -> Script:
    """Answer one request, and wait until the client closes the connection."""

    def script(connection: socket.socket) -> None:
        answers(answer)(connection)
        assert connection.recv(1) == b""

    return script


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(answers(OK), id="closed meanwhile"),
        pytest.param(
            left_open(OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)),
            id="not to be kept",
        ),
        pytest.param(left_open(OK.replace(b"1.1", b"1.0")), id="of HTTP/1.0"),
    ],
)
def test_a_connection_that_is_over_is_not(scripted: Serve, first: Script) -> None:
    server = scripted(first, answers(OK))
    wire = DirectWire(server.url)
    assert asked(wire, server.url).content == b"hi"
    server.wait()
    assert asked(wire, server.url).content == b"hi"
    wire.close()


def test_a_connection_that_says_what_nobody_asked_for_is_not(scripted: Serve) -> None:
    read, said = threading.Event(), threading.Event()

    def script(connection: socket.socket) -> None:
        answers(OK)(connection)
        read.wait(10)
        connection.sendall(OK)
        said.set()
        with suppress(ConnectionResetError):  # the client leaves it unread
            connection.recv(1)

    server = scripted(script, answers(OK.replace(b"hi", b"ho")))
    wire = DirectWire(server.url)
    assert asked(wire, server.url).content == b"hi"
    read.set()
    said.wait(10)
    assert asked(wire, server.url).content == b"ho"
    wire.close()


def test_a_connection_from_before_a_fork_is_not_used_after_it(
    scripted: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(connection: socket.socket) -> None:
        answers(OK)(connection)
        connection.recv(1)  # until the fork lets go of it

    server = scripted(script, answers(OK.replace(b"hi", b"ho")))
    wire = DirectWire(server.url)
    assert asked(wire, server.url).content == b"hi"
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert asked(wire, server.url).content == b"ho"
    wire.close()


def test_an_answer_that_is_not_read_costs_its_connection(scripted: Serve) -> None:
    server = scripted(answers(OK[:-1]), answers(OK))
    wire = DirectWire(server.url)
    answer = wire.handle_request(httpx.Request("GET", server.url))
    answer.close()
    as_sync(answer.stream).close()  # once more, in vain
    assert asked(wire, server.url).content == b"hi"
    wire.close()


def test_a_wire_that_is_closed_keeps_no_connection(scripted: Serve) -> None:
    server = scripted(answers(OK))
    wire = DirectWire(server.url)
    answer = wire.handle_request(httpx.Request("GET", server.url))
    wire.close()
    assert answer.read() == b"hi"
    assert wire._idle == []


def test_a_refusal_before_the_end_of_the_request_is_read(scripted: Serve) -> None:
    refusal = b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n"

    def script(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(refusal)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    server = scripted(script)
    assert ask(DirectWire(server.url), server.url, bytes(LARGE)).status_code == 413


@pytest.mark.parametrize("before", [0, 1])
def test_a_connection_on_which_a_request_was_cut_short_is_not_used_again(
    scripted: Serve, before: int
) -> None:
    def script(connection: socket.socket) -> None:
        answers(OK, requests=before)(connection)
        connection.recv(1)
        connection.sendall(OK)
        _hang_up(connection)

    server = scripted(script, answers(OK))
    wire = DirectWire(server.url)
    for _ in range(before):
        asked(wire, server.url)
    request = httpx.Request("POST", server.url, content=bytes(LARGE))
    with suppress(httpx.ReadError):  # where the end comes before the answer
        wire.handle_request(request).read()
    assert wire._idle == []
    assert asked(wire, server.url).content == b"hi"
    wire.close()


def test_a_connection_with_more_than_the_answer_is_not_used_again(
    scripted: Serve,
) -> None:
    empty = b"HTTP/1.1 204 No Content\r\n\r\n"
    server = scripted(left_open(empty + OK), answers(OK.replace(b"hi", b"ho")))
    wire = DirectWire(server.url)
    wire.handle_request(httpx.Request("GET", server.url)).close()
    assert asked(wire, server.url).content == b"ho"
    wire.close()


def _hangs_up(connection: socket.socket) -> None:
    connection.recv(1)
    _hang_up(connection)


def _interim_ones(connection: socket.socket) -> None:
    read_request(connection)
    with suppress(OSError):  # the client hangs up
        for _ in range(1000):
            connection.sendall(INTERIM)
        connection.sendall(OK)


def _hang_up(connection: socket.socket) -> None:
    """Have the connection end with a reset."""
    linger = b"\1\0\0\0\0\0\0\0"
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param(answers(), httpx.RemoteProtocolError, id="no answer"),
        pytest.param(answers(OK[:30]), httpx.RemoteProtocolError, id="half a head"),
        pytest.param(answers(OK[:-1]), httpx.RemoteProtocolError, id="half a body"),
        pytest.param(answers(OK + b"!"), httpx.RemoteProtocolError, id="too much"),
        pytest.param(answers(b"SSH-2.0\r\n\r\n"), httpx.RemoteProtocolError, id="SSH"),
        pytest.param(_interim_ones, httpx.RemoteProtocolError, id="interim ones"),
        pytest.param(_hangs_up, httpx.ReadError, id="a reset"),
    ],
)
def test_what_is_no_answer_is_an_error(
    scripted: Serve, script: Script, error: type[httpx.TransportError]
) -> None:
    server = scripted(script)
    with pytest.raises(error):
        ask(DirectWire(server.url), server.url)


@pytest.mark.parametrize(
    ("size", "error"), [(0, httpx.ReadTimeout), (LARGE, httpx.WriteTimeout)]
)
def test_a_timeout_holds(
    scripted: Serve, size: int, error: type[httpx.TransportError]
) -> None:
    over = threading.Event()
    server = scripted(lambda _: over.wait(10) and None)
    with pytest.raises(error):
        ask(DirectWire(server.url), server.url, bytes(size), timeout_s=0.1)
    over.set()


def test_a_timeout_is_the_requests_where_a_connection_is_used_again(
    scripted: Serve,
) -> None:
    over = threading.Event()

    def script(connection: socket.socket) -> None:
        answers(OK)(connection)
        over.wait(10)

    server = scripted(script)
    wire = DirectWire(server.url)
    asked(wire, server.url)
    with pytest.raises(httpx.ReadTimeout):
        ask(wire, server.url, timeout_s=0.1)
    over.set()


@pytest.mark.parametrize(
    "piece", [pytest.param(b"a", id="of bytes"), pytest.param(INTERIM, id="of heads")]
)
def test_a_head_that_comes_drop_by_drop_is_not_waited_for(
    scripted: Serve, piece: bytes
) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        with suppress(OSError):  # the client hangs up
            for _ in range(200):
                connection.sendall(piece)
                time.sleep(0.05)
            connection.sendall(OK)

    server = scripted(script)
    with pytest.raises(httpx.ReadTimeout):
        ask(DirectWire(server.url), server.url, timeout_s=0.2)


def test_a_connection_that_is_refused_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = httpx.URL(f"http://127.0.0.1:{listener.getsockname()[1]}")
    with pytest.raises(httpx.ConnectError):
        ask(DirectWire(url), url)


def test_a_connection_that_nobody_accepts_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(*_: object) -> socket.socket:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", late)
    url = httpx.URL("http://enclave.test")
    with pytest.raises(httpx.ConnectTimeout):
        ask(DirectWire(url), url)


def test_a_connection_that_cannot_be_prepared_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Refusing(socket.socket):
        def setsockopt(self, *_: object) -> None:
            raise OSError("not supported")

    made = Refusing()
    monkeypatch.setattr(socket, "create_connection", lambda *_: made)
    url = httpx.URL("http://enclave.test")
    with pytest.raises(httpx.ConnectError):
        ask(DirectWire(url), url)
    assert made.fileno() == -1


@pytest.mark.parametrize(
    ("url", "port"), [("http://enclave.test", 80), ("https://enclave.test", 443)]
)
def test_a_scheme_has_its_port(url: str, port: int) -> None:
    assert DirectWire(httpx.URL(url))._address == ("enclave.test", port)


def test_only_so_many_connections_are_kept(scripted: Serve) -> None:
    count = 22
    server = scripted(*[answers(OK)] * count)
    wire = DirectWire(server.url)
    request = httpx.Request("GET", server.url)
    open_ = [wire.handle_request(request) for _ in range(count)]
    for answer in open_:
        answer.read()
    assert len(wire._idle) == 20
    wire.close()
