"""What blocks, in threads, and what must not stop half-way."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator

import pytest

from blindai.errors import OverloadedError, TensorError
from blindai.inference.blocking import Threads

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    threads = Threads()
    yield threads
    await threads.close()


async def test_a_thread_gives_its_result(threads: Threads) -> None:
    name = await threads.call(lambda: threading.current_thread().name)

    assert name.startswith("blindai-load")


async def test_a_threads_error_is_raised(threads: Threads) -> None:
    def fail() -> None:
        raise TensorError("from the thread")

    with pytest.raises(TensorError, match="from the thread"):
        await threads.call(fail)


async def test_a_cancellation_waits_for_the_thread(threads: Threads) -> None:
    gate, ended = threading.Event(), threading.Event()

    def work() -> None:
        gate.wait()
        ended.set()

    task = asyncio.create_task(threads.call(work))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    gate.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_an_error_nobody_waits_for_is_not_logged(
    threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()

    def fail() -> None:
        gate.wait()
        raise TensorError("about a tensor")

    task = asyncio.create_task(threads.call(fail))
    await asyncio.sleep(0.01)
    task.cancel()
    gate.set()
    await asyncio.wait({task})
    del task
    gc.collect()

    assert caplog.records == []


async def test_closing_waits_for_all_threads(threads: Threads) -> None:
    before = set(threading.enumerate())  # other enclaves may run in this process
    ended = threading.Event()

    def work() -> None:
        time.sleep(0.05)
        ended.set()

    task = asyncio.create_task(threads.call(work))
    await asyncio.sleep(0.01)

    await threads.close()
    await threads.close()

    assert ended.is_set()
    await task
    started = set(threading.enumerate()) - before
    assert not [each for each in started if each.name.startswith("blindai")]


async def test_closed_threads_accept_nothing(threads: Threads) -> None:
    await threads.close()

    with pytest.raises(OverloadedError, match="closing"):
        await threads.call(time.monotonic)
