"""Anonymous usage: what is told, when, and to whom; docs/telemetry.md has each field.

It goes only to an address in the measured configuration, so whoever attests the enclave
knows of it, and a variable of the environment can only turn it off. It counts; it holds
no name, no size, no address and no time of a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import platform
import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from blindai import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from blindai.server.observability.record import Record

SWITCHES: Final = ("BLINDAI_DISABLE_TELEMETRY", "DO_NOT_TRACK")
_OFF: Final = frozenset({"", "0", "false"})
_SIMULATED: Final = "simulated-"
_COUNTED: Final = {"infer": "inferences", "upload": "uploads", "delete": "deletes"}
_log = logging.getLogger("blindai.telemetry")


def refused_by(environment: Mapping[str, str]) -> str | None:
    """The variable that turns telemetry off; None if none does."""
    for name in SWITCHES:
        if environment.get(name, "").strip().lower() not in _OFF:
            return name
    return None


@dataclass(slots=True)
class Counts:
    """Requests since the start.

    Attributes:
        inferences: That ran a model.
        uploads: That brought a model in.
        deletes: That removed one.
        errors: That were refused or failed.
    """

    inferences: int = 0
    uploads: int = 0
    deletes: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One message.

    Attributes:
        schema: Of these fields.
        instance: Random, 16 bytes in hexadecimal, drawn at each start and used for
            nothing else: counts of one start belong together.
        mode: `hardware` or `simulation`.
        tee: Kind of the evidence.
        version: Of blindai.
        system: Of the platform: its kernel's name.
        machine: Its processors' architecture.
        python: Its Python, major and minor version.
        uptime_h: Whole hours since the start.
        counts: Requests since the start.
    """

    schema: int = 1
    instance: str
    mode: str
    tee: str
    version: str = __version__
    system: str = field(default_factory=platform.system)
    machine: str = field(default_factory=platform.machine)
    python: str = field(
        default_factory=lambda: ".".join(platform.python_version_tuple()[:2])
    )
    uptime_h: int = 0
    counts: Counts

    def encode(self) -> bytes:
        """As it is sent: JSON."""
        return json.dumps(asdict(self)).encode()


class Telemetry:
    """Counts, and tells now and then what it has counted."""

    def __init__(self, tee: str) -> None:
        """Count from nothing.

        Args:
            tee: Media type of the evidence, without its prefix.
        """
        self._simulated = tee.startswith(_SIMULATED)
        self._tee = tee.removeprefix(_SIMULATED)
        self._instance = secrets.token_hex(16)
        self._counts = Counts()
        self._started_at = time.monotonic()
        self._silent = False

    def finished(self, record: Record) -> None:
        """Count a request that has ended."""
        counted = _COUNTED.get(record.route)
        if record.problem:
            self._counts.errors += 1
        elif counted is not None and record.status == "2xx":
            setattr(self._counts, counted, getattr(self._counts, counted) + 1)

    def report(self) -> Report:
        """What would be told now."""
        return Report(
            instance=self._instance,
            mode="simulation" if self._simulated else "hardware",
            tee=self._tee,
            uptime_h=int((time.monotonic() - self._started_at) // 3600),
            counts=self._counts,
        )

    @contextlib.asynccontextmanager
    async def telling(
        self, send: Callable[[bytes], Awaitable[None]], interval_s: float
    ) -> AsyncIterator[None]:
        """Tell at the start and every so often, as long as the context lasts.

        Args:
            send: Sends a message, or raises; it may be cancelled.
            interval_s: Between two messages, in seconds.
        """
        task = asyncio.create_task(self._tell(send, interval_s))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _tell(
        self, send: Callable[[bytes], Awaitable[None]], interval_s: float
    ) -> None:
        while True:
            try:
                await send(self.report().encode())
            except Exception as error:  # noqa: BLE001  whatever it is, serving goes on
                self._note(error)
            else:
                self._silent = False
            await asyncio.sleep(interval_s)

    def _note(self, error: Exception) -> None:
        """Say once that telemetry does not arrive."""
        if not self._silent:
            _log.warning("telemetry is not delivered: %s", type(error).__name__)
        self._silent = True
