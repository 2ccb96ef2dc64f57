"""A server that has nothing to do does nothing, and still ends when it is told to."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn

from blindai.server.serve import Listen, bind
from blindai.server.sleeping import SleepingServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from blindai.server.asgi import Receive, Scope, Send

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


async def answer(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def made(loop: str) -> SleepingServer:
    return SleepingServer(
        uvicorn.Config(answer, loop=loop, lifespan="off", log_level="error")
    )


def serve(loop: str, use: Callable[[threading.Thread, str], None]) -> None:
    """Use a server that runs in a thread; then tell it to end, and await that."""
    server = made(loop)
    with bind(Listen(port=0)) as sock:
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
            assert httpx.get(url).status_code == 204
            use(thread, url)
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()


def wakes(thread: threading.Thread) -> int:
    """How often a thread has gone to sleep."""
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", status, re.MULTILINE)
    assert found
    return int(found[1])


@LOOPS
def test_a_server_that_nobody_asks_sleeps(loop: str) -> None:
    def idle(thread: threading.Thread, _: str) -> None:
        time.sleep(0.2)  # what the request leaves to do
        before = wakes(thread)
        time.sleep(0.6)
        assert wakes(thread) - before <= 2

    serve(loop, idle)


@LOOPS
def test_a_server_that_has_slept_answers(loop: str) -> None:
    def ask(_: threading.Thread, url: str) -> None:
        time.sleep(0.2)
        assert httpx.get(url).status_code == 204

    serve(loop, ask)


def test_one_that_was_told_before_it_began_does_not_begin() -> None:
    server = made("asyncio")
    server.should_exit = True

    with bind(Listen(port=0)) as sock:
        asyncio.run(asyncio.wait_for(server.serve([sock]), 10))


def test_one_that_is_told_as_it_begins_ends() -> None:
    class Told(SleepingServer):
        async def main_loop(self) -> None:
            self.should_exit = True  # after uvicorn has looked, before it sleeps
            await super().main_loop()

    with bind(Listen(port=0)) as sock:
        serving = Told(made("asyncio").config).serve([sock])
        asyncio.run(asyncio.wait_for(serving, 10))


@LOOPS
def test_one_whose_loop_has_closed_lets_whoever_tells_it_be(loop: str) -> None:
    class Cut(SleepingServer):
        async def main_loop(self) -> None:
            serving = asyncio.create_task(super().main_loop())
            await asyncio.sleep(0.01)  # it sleeps
            serving.cancel()

    server = Cut(made(loop).config)
    with bind(Listen(port=0)) as sock:
        server.run([sock])  # ends of itself, told by nobody

    server.should_exit = True
