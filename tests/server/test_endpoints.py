"""Whether the client of a run is watched, and for how long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from starlette.requests import ClientDisconnect, Request

from blindai.server import endpoints
from blindai.server.endpoints import while_connected

if TYPE_CHECKING:
    from blindai.server.asgi import Message

pytestmark = pytest.mark.anyio


class Client:
    """Sends nothing more, or goes away when it is looked for."""

    def __init__(self, *, goes: bool = False) -> None:
        self.looked_for = 0
        self.request = Request({"type": "http"}, self.receive)
        self._goes = goes

    async def receive(self) -> Message:
        self.looked_for += 1
        if not self._goes:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "_UNWATCHED_S", 0.005)


async def test_a_run_that_ends_at_once_is_never_watched() -> None:
    client = Client(goes=True)

    await while_connected(client.request, asyncio.sleep(0))
    await asyncio.sleep(0.02)

    assert client.looked_for == 0


async def test_nobody_looks_for_a_client_whose_run_has_ended() -> None:
    client = Client()
    before = asyncio.all_tasks()

    await while_connected(client.request, asyncio.sleep(0.02))
    await asyncio.sleep(0)

    assert client.looked_for == 1
    assert asyncio.all_tasks() == before


async def test_a_run_whose_client_has_gone_is_cancelled() -> None:
    with pytest.raises(ClientDisconnect):
        await while_connected(Client(goes=True).request, asyncio.sleep(10))
