"""What would block the loop, in threads; and work that must not stop half-way."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from blindai.errors import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_T = TypeVar("_T")


class Threads:
    """A few threads for disks, hashes and loading."""

    def __init__(self, count: int = 2) -> None:
        self._threads = ThreadPoolExecutor(count, "blindai-load")
        self._busy: set[asyncio.Future[Any]] = set()
        self._closed = False

    async def call(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Call what would block the loop. A cancellation waits until it has ended.

        Raises:
            OverloadedError: If the threads are closed.
        """
        if self._closed:
            raise OverloadedError("server: expected it open, got it closing")
        future = asyncio.get_running_loop().run_in_executor(
            self._threads, function, *arguments
        )
        self._busy.add(future)
        future.add_done_callback(self._busy.discard)
        return await finish(future)

    async def close(self) -> None:
        """Wait for all calls, and accept nothing more."""
        self._closed = True
        while self._busy:
            await asyncio.wait(self._busy)
        self._threads.shutdown()


async def finish(work: Awaitable[_T]) -> _T:
    """Await work that must not stop half-way. A cancellation waits until its end."""
    future = asyncio.ensure_future(work)
    future.add_done_callback(look_at)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return future.result()


def look_at(future: asyncio.Future[Any]) -> None:
    """Look at a future's error, so that asyncio logs none that nobody waits for."""
    future.cancelled() or future.exception()
