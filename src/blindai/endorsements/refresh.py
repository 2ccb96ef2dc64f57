"""Keeps what is stapled current: fetched at start, again before it expires.

`endorse` gives what there is and never waits. `start` and `run` fetch, one document at
a time, from the cache or the vendor. A document that cannot be had is tried again,
later each time; until then the old one stays, and the log says so.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from blindai.endorsements.cache import Kept
from blindai.endorsements.fetch import FetchError
from blindai.endorsements.schedule import refresh_at, retry_at
from blindai.endorsements.sources import plan
from blindai.errors import ConfigurationError, EvidenceError, TransportError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from blindai.endorsements.cache import Cache
    from blindai.endorsements.documents import Answer, Request
    from blindai.endorsements.fetch import Fetch
    from blindai.endorsements.sources import Addresses, Plan
    from blindai.protocol.attestation import Evidence

START_TIMEOUT_S: Final = 10.0
REQUIRED_TIMEOUT_S: Final = 120.0
MAX_FOLLOWED: Final = 2  # what the platform is, and what it was before an update
_LONGEST_WAIT: Final = timedelta(hours=1)  # the clock may be set meanwhile
_PAST: Final = datetime.min.replace(tzinfo=UTC)
_log = logging.getLogger("blindai.endorsements")


async def wait_for_change(changed: asyncio.Event, seconds: float) -> None:
    """Wait until something changed, or so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changed.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Where time and chance come from.

    Attributes:
        clock: This machine's clock, aware, in UTC.
        wait: Waits until an event is set or so many seconds are over.
        chance: Draws a number from 0 to 1.
    """

    clock: Callable[[], datetime]
    wait: Callable[[asyncio.Event, float], Awaitable[None]] = wait_for_change
    chance: Callable[[], float] = secrets.SystemRandom().random


@dataclass(slots=True)
class _State:
    """What is known of one document.

    Attributes:
        kept: The newest one, if there is one.
        due: When to ask for it.
        failures: How often that failed in a row.
        looked_up: Whether the cache was asked.
    """

    kept: Kept | None = None
    due: datetime = _PAST
    failures: int = 0
    looked_up: bool = False


class Refresher:
    """Fetches what belongs to evidence, and staples it."""

    def __init__(
        self,
        fetch: Fetch,
        addresses: Addresses,
        timing: Timing,
        cache: Cache | None = None,
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            fetch: Asks vendors.
            addresses: Where they are.
            timing: Where time and chance come from.
            cache: Keeps documents over restarts; nothing does if None.
        """
        self._fetch = fetch
        self._addresses = addresses
        self._timing = timing
        self._cache = cache
        self._followed: list[tuple[Plan, ...]] = []
        self._states: dict[Request, _State] = {}
        self._busy: dict[str, datetime] = {}
        self._refusal = ""
        self._changed = asyncio.Event()

    def endorse(self, evidence: Evidence) -> Evidence:
        """The evidence with what there is of its endorsements, its own first.

        Evidence that needs other documents than before (a platform's firmware may be
        updated while it runs) has them fetched in the background.
        """
        try:
            plans = plan(evidence, self._addresses)
        except EvidenceError as error:
            self._refuse(error.message)
            return evidence
        self._refusal = ""
        if not plans:
            return evidence
        if plans not in self._followed:
            self._follow(plans)
        now = self._timing.clock()
        whole = self._considered(plans)[0].assemble(self._answers(), now)
        return replace(evidence, endorsements=whole)

    async def start(self, evidence: Evidence, *, required: bool) -> None:
        """Fetch what is not there yet, before the first client asks.

        Each document is asked for once, all within 10 s; if they are required, until
        they are there, for 120 s.

        Args:
            evidence: Of this platform.
            required: Whether to start only with everything.

        Raises:
            ConfigurationError: If something required is not there.
        """
        self.endorse(evidence)
        with suppress(TimeoutError):
            limit_s = REQUIRED_TIMEOUT_S if required else START_TIMEOUT_S
            async with asyncio.timeout(limit_s):
                await self.refresh()
                while required and self.missing():
                    await self._wait()
                    await self.refresh()
        missing = ", ".join(self.missing()) or self._refusal
        if not missing:
            return
        if required:
            raise ConfigurationError(f"endorsements: required, but missing: {missing}")
        _log.warning(
            "ENDORSEMENTS ARE MISSING: %s. Until they are fetched, clients have to "
            "bring their own (blindai endorsements fetch)",
            missing,
        )

    async def run(self) -> None:
        """Fetch what is due, for ever."""
        while True:
            await self._wait()
            await self.refresh()

    async def refresh(self) -> None:
        """Fetch what is due, once."""
        for plans in tuple(self._followed):
            await self._refresh(plans)

    async def _refresh(self, plans: tuple[Plan, ...]) -> None:
        considered = self._considered(plans)
        for each in considered:
            first, *others = each.requests
            await self._renew(first)
            if len(considered) > 1 and first not in self._answers():
                continue  # it is another product
            for request in others:
                await self._renew(request)
            return

    def missing(self) -> tuple[str, ...]:
        """What there is nothing current of, in words."""
        now, answers = self._timing.clock(), self._answers()
        return tuple(
            request.name
            for plans in self._followed[-1:]
            for request in self._considered(plans)[0].requests
            if request not in answers or answers[request].expires_at <= now
        )

    def _follow(self, plans: tuple[Plan, ...]) -> None:
        self._followed = [*self._followed, plans][-MAX_FOLLOWED:]
        self._states = {
            request: self._states.get(request, _State())
            for followed in self._followed
            for each in followed
            for request in each.requests
        }
        self._changed.set()

    def _refuse(self, message: str) -> None:
        if message != self._refusal:
            self._refusal = message
            _log.warning("endorsements cannot be fetched: %s", message)

    async def _renew(self, request: Request) -> None:
        state = self._states.get(request, _State())  # the plans may have changed since
        if state.due > self._timing.clock():
            return
        await self._look_up(request, state)
        now = self._timing.clock()
        state.due = max(state.due, self._busy.get(request.host, _PAST))
        if state.due > now:
            return
        try:
            answer = await self._fetch(request)
            _require_current(request, answer, self._timing.clock())
        except (TransportError, EvidenceError) as error:
            self._fail(request, state, error)
            return
        kept = Kept(answer, self._timing.clock())
        self._take(request, state, kept)
        if self._cache is not None:
            await asyncio.to_thread(self._cache.save, request, kept)

    async def _look_up(self, request: Request, state: _State) -> None:
        if self._cache is None or state.looked_up:
            return
        state.looked_up = True
        kept = await asyncio.to_thread(self._cache.load, request)
        if kept is not None:
            self._take(request, state, kept)

    def _take(self, request: Request, state: _State, kept: Kept) -> None:
        state.kept, state.failures = kept, 0
        if kept.fetched_at > self._timing.clock():
            return  # the file or the clock is wrong: it is due now
        state.due = refresh_at(
            kept.fetched_at,
            kept.answer.expires_at,
            self._timing.chance(),
            revised=request.revised,
        )

    def _fail(
        self, request: Request, state: _State, error: TransportError | EvidenceError
    ) -> None:
        now = self._timing.clock()
        asked = error.retry_after if isinstance(error, FetchError) else None
        state.failures += 1
        state.due = retry_at(now, state.failures, asked, self._timing.chance())
        if asked is not None:
            self._busy[request.host] = state.due
        left = "there is none yet"
        if state.kept is not None:
            left = f"the old one stays, until {state.kept.answer.expires_at:%Y-%m-%d}"
        _log.warning("endorsements: %s; %s", error.message, left)

    async def _wait(self) -> None:
        await self._timing.wait(self._changed, self._seconds_to_wait())
        self._changed.clear()

    def _seconds_to_wait(self) -> float:
        now = self._timing.clock()
        due = [
            self._states[request].due
            for plans in self._followed
            for each in self._considered(plans)
            for request in each.requests
        ]
        until = min([*due, now + _LONGEST_WAIT])
        return max((until - now).total_seconds(), 0)

    def _considered(self, plans: tuple[Plan, ...]) -> tuple[Plan, ...]:
        """The plan whose most important document is there; all while there is none."""
        answers = self._answers()
        decided = [each for each in plans if each.requests[0] in answers]
        return tuple(decided[:1]) or plans

    def _answers(self) -> dict[Request, Answer]:
        return {
            request: state.kept.answer
            for request, state in self._states.items()
            if state.kept is not None
        }


def _require_current(request: Request, answer: Answer, now: datetime) -> None:
    """Require that a document just fetched has not expired.

    Raises:
        EvidenceError: If it has.
    """
    if answer.expires_at <= now:
        raise EvidenceError(
            f"{request.name}: expected a current one, got one that expired on "
            f"{answer.expires_at:%Y-%m-%d}"
        )
