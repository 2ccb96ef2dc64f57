"""The server under measurement: one process, one service, a sealed and a plain door.

The plain door exists here only, to compare with: it is the same V2 application without
the gateway before it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blindai.attester.simulated import SimulatedAttester
from blindai.server.app import create_app
from blindai.server.enclave import Enclave, Measured
from blindai.server.gateway import Gateway
from blindai.server.process import keep_heap
from blindai.server.serve import (
    Listen,
    bind,
    build_server,
    build_service,
    now,
)
from blindai.server.settings import InferenceSettings, ModelSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the server listens.

    Attributes:
        sealed: URL of the gateway.
        plain: URL of the application without it.
        pid: Of the server's process.
    """

    sealed: str
    plain: str
    pid: int


@contextmanager
def running(threads: int = 1) -> Iterator[Doors]:
    """Run the server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.server", str(threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  our own module
        try:
            line = process.stdout.readline() if process.stdout else ""
            sealed, plain = line.split()
            yield Doors(sealed, plain, process.pid)
        finally:
            process.terminate()


async def _serve(threads: int) -> None:
    keep_heap()
    settings = Settings(
        inference=InferenceSettings(threads=threads, workers=1),
        models=ModelSettings(max_bytes=(2 << 30) - 1),
    )
    measured = Measured(config_digest=settings.digest, build="benchmark")
    enclave = Enclave(SimulatedAttester(), measured, now)
    app = create_app(build_service(settings, None, None), settings, now)
    gateway = Gateway(app, enclave, settings.gateway_limits)
    sockets = [bind(Listen(port=0)), bind(Listen(port=0))]
    addresses = [f"http://127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    sealed = build_server(gateway, Listen())
    plain = build_server(app, Listen())
    plain.config.lifespan = "off"  # one service: the gateway's lifespan starts it
    print(*addresses, flush=True)
    await asyncio.gather(
        sealed.serve(sockets=sockets[:1]), plain.serve(sockets=sockets[1:])
    )


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(int(sys.argv[1])))
