"""Whether requests should be sent here: asked by orchestrators, again and again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_PATIENCE_S: Final = 2.0  # hardware that makes no quote can take half a minute


class Readiness:
    """Ready once started and while evidence can be given, until it drains.

    Evidence is the enclave's own without a nonce, which it keeps for ten minutes: that
    costs the hardware one quote in this time, however often somebody asks.
    """

    def __init__(self) -> None:
        """Not ready yet."""
        self._evidence: Callable[[], Awaitable[object]] | None = None
        self._asking: asyncio.Future[object] | None = None
        self._started = False
        self._draining = False

    def watch(self, evidence: Callable[[], Awaitable[object]]) -> None:
        """Ask for evidence with this; it raises where there is none."""
        self._evidence = evidence

    def start(self) -> None:
        """What is loaded at the start is loaded."""
        self._started = True

    def drain(self) -> None:
        """No more requests, please."""
        self._draining = True

    async def ready(self) -> bool:
        """Whether to send requests here; it takes 2 s at most."""
        if not self._started or self._draining or self._evidence is None:
            return False
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._evidence())
        done, _ = await asyncio.wait({self._asking}, timeout=_PATIENCE_S)
        return bool(done) and self._asking.exception() is None
