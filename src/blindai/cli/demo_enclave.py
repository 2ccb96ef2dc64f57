"""The demo's enclave: `blindai serve --simulation` in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from blindai.cli.signals import uninterrupted
from blindai.errors import BlindAIError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 10.0
_ADDRESS = re.compile(rb"http://(127\.0\.0\.1):(\d+)\n")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens.

    Attributes:
        host: Where.
        port: Where.
        process_id: Of its process.
    """

    host: str
    port: int
    process_id: int


@contextlib.contextmanager
def run_enclave(
    config: Path, log: Path, python: Path | None = None
) -> Iterator[Running]:
    """Run a simulated enclave on a free port until the context ends.

    Args:
        config: Its measured configuration.
        log: Where its log lines go.
        python: Runs it; this process's own Python if not given.

    Raises:
        BlindAIError: If it does not start.
    """
    words = ["-m", "blindai", "serve", "--simulation", "--port", "0"]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("BLINDAI_")
    }
    with contextlib.ExitStack() as undo:
        with log.open("wb") as errors, uninterrupted():
            process = subprocess.Popen(  # noqa: S603  this very program
                [str(python or sys.executable), *words, "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,  # Ctrl-C is ours; we end it
            )
            undo.enter_context(process)
            undo.callback(_stop, process)
        host, port = _await_address(process)
        yield Running(host, port, process.pid)


def _await_address(process: subprocess.Popen[bytes]) -> tuple[str, int]:
    """Read what the server prints until it names its address.

    Raises:
        BlindAIError: If it ends, or names none in time.
    """
    printed = b""
    give_up = time.monotonic() + _START_TIMEOUT_S
    output = cast("IO[bytes]", process.stdout)
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while (found := _ADDRESS.search(printed)) is None:
            ready = selector.select(max(0.0, give_up - time.monotonic()))
            piece = os.read(output.fileno(), 4096) if ready else b""
            if not piece:
                raise BlindAIError("demo: expected the enclave to start, it did not")
            printed += piece
    return found[1].decode(), int(found[2])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
