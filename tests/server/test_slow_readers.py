"""Who does not read an answer holds nothing for long."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import pytest

from blindai.protocol import ohttp_chunked as chunked
from blindai.protocol.names import GATEWAY_PATH
from blindai.server import writes
from blindai.server.gateway import GatewayLimits
from blindai.server.serve import Listen, bind, build_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import Door, MakeDoor

    from blindai.server.asgi import Receive, Scope, Send

SIZE = 64 << 20


async def _large(scope: Scope, _receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(SIZE)})


@pytest.mark.parametrize("reads", [False, True], ids=["late", "at once"])
def test_the_connection_of_who_does_not_read_ends(
    make_door: MakeDoor, monkeypatch: pytest.MonkeyPatch, *, reads: bool
) -> None:
    monkeypatch.setattr(writes, "_UNREAD_S", 0.1)
    door = make_door(_large, limits=GatewayLimits(idle_timeout_s=0.2))
    sealed = door.seal().body
    head = (
        f"POST {GATEWAY_PATH} HTTP/1.1\r\nhost: enclave\r\nconnection: close\r\n"
        f"content-type: {chunked.REQUEST_TYPE}\r\ncontent-length: {len(sealed)}\r\n\r\n"
    )
    received = 0
    with (
        _server(door) as (address, connections),
        socket.create_connection(address, 10) as connection,
    ):
        connection.sendall(head.encode() + sealed)
        connection.recv(1, socket.MSG_PEEK)
        assert len(connections) == 1
        if not reads:
            time.sleep(1)
            assert not connections, "it has ended, and nothing was read"
        while piece := connection.recv(1 << 20):
            received += len(piece)

    assert (received > SIZE) == reads


@contextmanager
def _server(door: Door) -> Iterator[tuple[tuple[str, int], set[object]]]:
    """Gives its address, and the connections it has."""
    listen = Listen(port=0)
    server = build_server(door.gateway, listen)
    with bind(listen) as sock:
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        yield sock.getsockname(), cast("set[object]", server.server_state.connections)
        server.should_exit = True
        thread.join()
