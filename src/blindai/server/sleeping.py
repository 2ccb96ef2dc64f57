"""An HTTP server that sleeps until somebody connects, or tells it to end."""

from __future__ import annotations

import asyncio
import contextlib

import uvicorn


class SleepingServer(uvicorn.Server):
    """uvicorn's, which does not look ten times a second whether it was told to end.

    A model that runs on the same cores feels that: all that a server touches has left
    their caches each time. What uvicorn does besides when it looks is not done:
    `callback_notify`, `limit_max_requests`, and the header fields that every answer
    has (`date_header`, `headers`).
    """

    def __init__(self, config: uvicorn.Config) -> None:
        """Prepare.

        Args:
            config: The server's.
        """
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None  # once it serves
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        """Whether it was told to end; any thread may tell it."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, told: bool) -> None:
        self._should_exit = told
        loop = self._loop
        if told and loop is not None:
            with contextlib.suppress(RuntimeError):  # closed: it has ended
                loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        """Serve until it is told to end."""
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:  # from now on the event says so
            await self._told.wait()
