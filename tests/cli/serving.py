"""`blindai serve --simulation` in a process of its own."""

from __future__ import annotations

import contextlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("BLINDAI_")
}


@dataclass
class Served:
    """A server that runs.

    Attributes:
        process: Its process.
        facts: What it printed at its start, by label.
        log: The lines of its standard error so far.
    """

    process: subprocess.Popen[str]
    facts: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.facts["listening on"]

    @property
    def metrics(self) -> str:
        return self.facts["metrics on"]

    def wait(self) -> int:
        """How it ended."""
        return self.process.wait(timeout=30)


@contextlib.contextmanager
def serving(
    *words: object,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[Served]:
    """A server until the context ends, once it listens."""
    command = [sys.executable, "-m", "blindai", "serve", "--simulation", "--port", "0"]
    with subprocess.Popen(  # noqa: S603  this very program
        [*command, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, **(environment or {})},
        cwd=folder,
    ) as process:
        served = Served(process)
        assert process.stdout is not None
        assert process.stderr is not None
        reading = threading.Thread(target=_read, args=(process.stderr, served.log))
        reading.start()
        try:
            for line in iter(process.stdout.readline, "\n"):
                served.facts[line[:14].strip()] = line[15:].strip()
            yield served
        finally:
            process.kill()
            reading.join()


def _read(stream: IO[str], lines: list[str]) -> None:
    lines.extend(stream)


@contextlib.contextmanager
def told(messages: list[bytes]) -> Iterator[str]:
    """A receiver of telemetry that keeps what it is told, and its address."""

    class Keeping(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            head = str(self.headers).encode()
            messages.append(head + b"\n" + self.rfile.read(size))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keeping) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
