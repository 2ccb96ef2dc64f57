"""What `blindai serve` is going to run: as it was asked for, and as it was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindai.cli.exits import CommandError
from blindai.server.observability.logs import LogFormat

if TYPE_CHECKING:
    from pathlib import Path

    from blindai.attester import Attester, DeviceAttester
    from blindai.server.serve import Listen
    from blindai.server.settings import Settings
    from blindai.server.stapling import Endorsing

TEE_PREFIX = "application/vnd.blindai."


@dataclass(frozen=True, slots=True)
class Hardware:
    """What attests: the TEE, and GPUs beside it if there are any."""

    attester: Attester
    devices: DeviceAttester | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a server is made of.

    Attributes:
        settings: The measured configuration.
        listen: Where the sealed door is.
        hardware: What attests.
        data_dir: Where models are kept, sealed; nowhere if None.
        endorsing: How to come by endorsements; None to staple the hardware's own.
        metrics: Where metrics and health are; nowhere if None.
        log_format: How lines in the log look.
        muted_by: The variable that turns telemetry off; None if none does.
    """

    settings: Settings
    listen: Listen
    hardware: Hardware
    data_dir: Path | None = None
    endorsing: Endorsing | None = None
    metrics: Listen | None = None
    log_format: LogFormat = field(default=LogFormat.TEXT)
    muted_by: str | None = None

    @property
    def tee(self) -> str:
        """The TEE, as its evidence's media type names it."""
        return self.hardware.attester.tee.removeprefix(TEE_PREFIX)

    @property
    def telemetry(self) -> str:
        """What becomes of telemetry, in words."""
        told = self.settings.telemetry
        if told is None:
            return "none: the configuration names no address"
        if self.muted_by is not None:
            return f"none: {self.muted_by} turns it off"
        return f"to {told.url}, every {told.interval_s} s"

    @property
    def models(self) -> str:
        """Whether models are kept, and under which key."""
        if self.data_dir is None:
            return "end with the server (no --data-dir)"
        sealing = self.hardware.attester.sealing
        if sealing is None:
            return "end with the server: this TEE derives no sealing key"
        return f"kept in {self.data_dir}, sealed; the key is {sealing}"


def parse_address(text: str, option: str) -> tuple[str, int]:
    """Host and port of an address, `HOST:PORT` or `[IPV6]:PORT`.

    Raises:
        CommandError: If it is not one.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    plain = bool(host and colon) and (bracketed or ":" not in host)
    if not (plain and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise CommandError(
            f"{option}: expected HOST:PORT, got {text[:80]!r}",
            f"Give an address of this machine, such as {option} 127.0.0.1:9924.",
        )
    return host, int(port)
