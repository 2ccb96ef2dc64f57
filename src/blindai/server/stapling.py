"""Endorsements beside the enclave: fetched, refreshed and stapled while it runs.

Where they come from and whether they are kept is the operator's affair, not measured:
they are signed by vendors, and a client verifies them whoever hands them over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blindai.endorsements.cache import Cache
from blindai.endorsements.fetch import HttpFetch
from blindai.endorsements.refresh import Refresher, Timing
from blindai.endorsements.sources import COVERED, Addresses
from blindai.errors import BlindAIError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime
    from pathlib import Path

    from blindai.protocol.attestation import Evidence
    from blindai.server.enclave import Enclave

_PAUSE_S: Final = 60.0  # after a fault of our own
_log = logging.getLogger("blindai.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsing:
    """What the operator chose; none of it is trusted.

    Attributes:
        addresses: Whom to ask.
        cache: A folder to keep documents in; they are kept nowhere if None.
        required: Whether to start only with everything.
    """

    addresses: Addresses = field(default_factory=Addresses)
    cache: Path | None = None
    required: bool = False


def needs_endorsements(tee: str) -> bool:
    """Whether evidence of this media type has endorsements that can be fetched."""
    return tee in COVERED


class Stapling:
    """Keeps the endorsements of one enclave as long as its server runs."""

    def __init__(self, endorsing: Endorsing, clock: Callable[[], datetime]) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            endorsing: What the operator chose.
            clock: The host's clock, aware, in UTC.
        """
        self._required = endorsing.required
        self._fetch = HttpFetch(clock)
        self._refresher = Refresher(
            self._fetch,
            endorsing.addresses,
            Timing(clock=clock),
            None if endorsing.cache is None else Cache(endorsing.cache),
        )

    def endorse(self, evidence: Evidence) -> Evidence:
        """The evidence with what there is of its endorsements; never waits."""
        return self._refresher.endorse(evidence)

    @contextlib.asynccontextmanager
    async def running(self, enclave: Enclave) -> AsyncIterator[None]:
        """Fetch what the enclave's evidence needs, and then keep it current.

        Raises:
            BlindAIError: If something required is missing.
        """
        async with self._fetch:
            await self._start(enclave)
            refreshing = asyncio.create_task(self._keep_refreshing())
            try:
                yield
            finally:
                refreshing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await refreshing

    async def _start(self, enclave: Enclave) -> None:
        try:
            evidence = await enclave.evidence()
            await self._refresher.start(evidence, required=self._required)
        except BlindAIError as error:
            if self._required:
                _log.error("not started: %s", error.message)
                raise
            _log.warning("endorsements are not fetched yet: %s", error.message)

    async def _keep_refreshing(self) -> None:
        while True:
            try:
                await self._refresher.run()
            except Exception:  # noqa: BLE001  the edge of a task that has to go on
                _log.exception("refreshing endorsements failed")
                await asyncio.sleep(_PAUSE_S)
