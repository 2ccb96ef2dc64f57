"""Fuzz targets, each in a process of its own, as many at a time as processors are.

    python -m fuzz [NAME ...] SECONDS

No name means all targets; the seconds are for each. How each ended is printed as it
ends. The exit status is 1 if any found something, 2 for wrong words, 130 for Ctrl-C.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING

from fuzz.targets import targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INTERRUPTED = 130
_TAIL_BYTES = 8000


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments say; the exit status."""
    *names, seconds = arguments or [""]
    known = list(targets())
    unknown = sorted(set(names) - set(known))
    if unknown or not seconds.isdecimal():
        print(
            f"usage: python -m fuzz [NAME ...] SECONDS, with names of {known}",
            *(f"no target is called {name}" for name in unknown),
            sep="\n",
            file=sys.stderr,
        )
        return 2
    chosen = list(dict.fromkeys(names)) or known
    commands = {
        name: (sys.executable, "-m", "fuzz.one", name, seconds) for name in chosen
    }
    print(f"{len(chosen)} targets, {seconds} s for each", flush=True)
    try:
        failed = asyncio.run(run(commands))
    except KeyboardInterrupt:
        return INTERRUPTED
    if failed:
        print(f"failed: {' '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


async def run(commands: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Run all commands, as many at a time as there are processors.

    Args:
        commands: Each with its name.

    Returns:
        The names of those that failed, in the order they ended. When this is
        cancelled, all that run are killed.
    """
    free = asyncio.Semaphore(os.cpu_count() or 1)
    failed: list[str] = []

    async def run_one(name: str, command: tuple[str, ...]) -> None:
        async with free:
            if not await _succeeds(name, command):
                failed.append(name)

    async with asyncio.TaskGroup() as group:
        for name, command in commands.items():
            group.create_task(run_one(name, command))
    return failed


async def _succeeds(name: str, command: tuple[str, ...]) -> bool:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    try:
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = errors.decode(errors="replace").rstrip()
    print(f"{name}: {text.rpartition(chr(10))[2]}", flush=True)
    if process.returncode:
        print(text[-_TAIL_BYTES:], file=sys.stderr, flush=True)
    return not process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
