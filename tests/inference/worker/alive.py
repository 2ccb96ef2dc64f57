"""Processes of others, by their numbers."""

from __future__ import annotations

import asyncio
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def ended(*pids: int, within_s: float = 5.0) -> None:
    """Wait until processes have ended."""
    async with asyncio.timeout(within_s):
        while any(map(alive, pids)):  # noqa: ASYNC110  nothing tells us
            await asyncio.sleep(0.005)


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
