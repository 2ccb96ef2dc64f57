"""A model in service: loaded, at rest, coming back after its worker died, or given up.

A worker that dies answers its own requests with that, and comes back after a pause that
doubles each time. After several deaths in a short time the model is out of service for
a while: requests are refused at once instead of killing one worker after the other.
Other models notice nothing of it.

One that is always busy makes way all the same when another one needs its memory: after
some time in memory it begins nothing new, rests once nothing of it runs, and comes back
when it is its turn.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from blindai.errors import (
    ConfigurationError,
    InternalError,
    OverloadedError,
    SealingError,
    UnavailableError,
)
from blindai.inference.batches import has_rows
from blindai.inference.queueing import Batching, Queue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from blindai.inference.isolation import Lane, Loaded
    from blindai.inference.model import ModelInfo
    from blindai.inference.observer import Observer
    from blindai.inference.scheduler import Scheduler

_log = logging.getLogger("blindai.server")
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 10.0
_DEATHS: Final = 5
_DEATHS_WITHIN_S: Final = 60.0
_OUT_OF_SERVICE_S: Final = 30.0
_ROOM_PAUSE_S: Final = 0.1
_LOOK_S: Final = 0.02
_STAYS_S: Final = 3.0  # in memory, whoever else wants to be; or this many times as long
_STAYS_LOADS: Final = 3.0  # as it took to load
_LEAVES_S: Final = 3.0  # for its runs to end
_OUT_OF_SERVICE: Final = (
    f"model: expected its worker to live, but it died {_DEATHS} times;"
    f" out of service for {_OUT_OF_SERVICE_S:g} s"
)


class Served:
    """One model, its lanes and its queue; see `scheduler.Servable`.

    Args:
        info: What is known about it.
        load: Makes it ready to run, from wherever its bytes are.
        scheduler: Whose lanes these are.
        observer: Is told of restarts.
        max_queue: Requests that may wait.
        batching: How requests go together.

    Attributes:
        used: When somebody last asked for it, by `time.monotonic`.
        stays_until: When it may be asked to make way, likewise.
    """

    def __init__(
        self,
        info: ModelInfo,
        load: Callable[[], Awaitable[Loaded]],
        scheduler: Scheduler,
        observer: Observer,
        *,
        max_queue: int,
        batching: Batching,
    ) -> None:
        self.info = info
        self.name = info.name
        rows = batching.max_rows > 1 and has_rows(info.spec)
        self.queue = Queue(max_queue, batching if rows else None)
        self.idle: list[Lane] = []
        self.used = self.stays_until = time.monotonic()
        self._aside: list[Lane] = []  # idle, and nothing begins on them
        self._leaving: asyncio.TimerHandle | None = None
        self._load = load
        self._scheduler = scheduler
        self._observer = observer
        self._loaded: Loaded | None = None
        self._coming: asyncio.Task[None] | None = None
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._refused_until = 0.0
        self._why = _OUT_OF_SERVICE
        self._closed = False

    @property
    def loaded(self) -> bool:
        """Whether it is in memory."""
        return self._loaded is not None

    @property
    def busy(self) -> bool:
        """Whether somebody waits for it, or something of it runs."""
        return len(self.queue) > 0 or self._runs

    @property
    def leaving(self) -> bool:
        """Whether it makes way."""
        return self._leaving is not None

    @property
    def may_rest(self) -> bool:
        """Whether it is in memory and need not be."""
        return self.loaded and not self._runs and (self.leaving or not self.busy)

    def make_way(self) -> None:
        """Begin nothing new for a while, so that it may rest soon."""
        if self._leaving is None:
            self._aside, self.idle = self.idle, []
            loop = asyncio.get_running_loop()
            self._leaving = loop.call_later(_LEAVES_S, self._stay)

    def attach(self, loaded: Loaded, took_s: float = 0.0) -> None:
        """Put what was loaded into service.

        Args:
            loaded: What it is.
            took_s: How long that took, in seconds.
        """
        self._detach()
        self._loaded = loaded
        self.idle = list(loaded.lanes)
        self._stay_for(max(_STAYS_S, _STAYS_LOADS * took_s))
        loaded.gone.add_done_callback(lambda _: self._died(loaded))
        self._scheduler.dispatch()

    def give_back(self, lane: Lane) -> bool:
        """Take a lane back after a run; whether it is still there."""
        if self._loaded is None or lane not in self._loaded.lanes:
            return False  # its worker died, and another may have taken its place
        (self._aside if self.leaving else self.idle).append(lane)
        return True

    def require(self) -> None:
        """Have it come back if it is at rest; a request for it waits meanwhile.

        Raises:
            UnavailableError: If it is out of service.
        """
        self.used = time.monotonic()
        if self._refused_until > self.used:
            raise UnavailableError(self._why)
        if self._loaded is None and self._coming is None and not self._closed:
            self._come(0.0)

    async def rest(self) -> None:
        """Free its memory; who waits for it, or the next request, brings it back."""
        loaded = self._loaded
        self._detach()
        if loaded is not None:
            await loaded.close()
        if len(self.queue) and not (self._closed or self._coming or self._loaded):
            self._come(_ROOM_PAUSE_S)

    async def drain(self) -> None:
        """Wait until nobody waits for it, and nothing of it runs."""
        while self.busy:  # noqa: ASYNC110  not worth a line where each request ends
            await asyncio.sleep(_LOOK_S)

    async def close(self) -> None:
        """Take it out of service for good."""
        self._closed = True
        self._scheduler.refuse(
            self, OverloadedError("model: expected it in service, got it taken out")
        )
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait({self._coming})
        await self.rest()

    @property
    def _runs(self) -> bool:
        lanes = 0 if self._loaded is None else len(self._loaded.lanes)
        return len(self.idle) + len(self._aside) < lanes

    def _detach(self) -> None:
        self._loaded = None
        self.idle, self._aside = [], []
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    def _stay(self) -> None:
        """Its runs took too long: go on, and be left alone for a while."""
        self._leaving = None
        self.idle, self._aside = self._aside, []
        self._stay_for(_STAYS_S)
        self._scheduler.dispatch()

    def _stay_for(self, seconds: float) -> None:
        self.stays_until = time.monotonic() + seconds

    def _died(self, loaded: Loaded) -> None:
        if loaded is not self._loaded:
            return  # it was closed, or put to rest
        self._detach()
        self._observer.restarted()
        self._count_death()

    def _count_death(self) -> None:
        now = time.monotonic()
        self._deaths.append(now)
        recent = [at for at in self._deaths if now - at < _DEATHS_WITHIN_S]
        if len(recent) >= _DEATHS:
            self._refuse(_OUT_OF_SERVICE)
            return
        self._come(min(_FIRST_PAUSE_S * 2 ** (len(recent) - 1), _LONGEST_PAUSE_S))

    def _refuse(self, why: str) -> None:
        self._deaths.clear()
        self._refused_until = time.monotonic() + _OUT_OF_SERVICE_S
        self._why = why
        self._scheduler.refuse(self, UnavailableError(why))

    def _come(self, pause_s: float) -> None:
        self._coming = asyncio.get_running_loop().create_task(self._return(pause_s))
        self._coming.add_done_callback(self._returned)

    async def _return(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        began = time.monotonic()
        loaded = await self._load()
        self.attach(loaded, time.monotonic() - began)

    def _returned(self, coming: asyncio.Task[None]) -> None:
        if self._coming is coming:  # else it died at once, and comes back again
            self._coming = None
        error = None if coming.cancelled() else coming.exception()
        if error is None or self._closed:
            return
        if isinstance(error, (SealingError, InternalError, ConfigurationError)):
            self._refuse(  # its bytes are gone: no worker's fault
                f"model: expected its file as it was, got this: {error.message};"
                f" out of service for {_OUT_OF_SERVICE_S:g} s"
            )
        elif not isinstance(error, OverloadedError):
            self._count_death()
        elif len(self.queue):  # busy models leave no room, which is not its fault
            self._come(_ROOM_PAUSE_S)
