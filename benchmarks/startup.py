"""How long until a client has verified an enclave, and until a server answers."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.server import running

_CONNECT = """
import sys, time
start = time.perf_counter()
import warnings
warnings.simplefilter("ignore")
import blindai
imported = time.perf_counter()
with blindai.connect(sys.argv[1], simulation=True):
    print(imported - start, time.perf_counter() - start)
"""


@dataclass(frozen=True, slots=True)
class Startup:
    """Medians, in seconds.

    Attributes:
        imported_s: `import blindai`.
        connected_s: The import and a first verified connection.
        ready_s: From starting `blindai serve` until it prints its address.
    """

    imported_s: float
    connected_s: float
    ready_s: float


def startup(rounds: int = 7) -> Startup:
    """Start processes and take the time."""
    with running() as doors:
        times = [_connect(doors.sealed) for _ in range(rounds)]
    ready = [_serve() for _ in range(rounds)]
    return Startup(
        statistics.median(each[0] for each in times),
        statistics.median(each[1] for each in times),
        statistics.median(ready),
    )


def _connect(url: str) -> tuple[float, float]:
    printed = subprocess.run(  # noqa: S603  our own text
        [sys.executable, "-c", _CONNECT, url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    imported, connected = map(float, printed.split())
    return imported, connected


def _serve() -> float:
    command = [sys.executable, "-m", "blindai", "serve", "--simulation", "--port", "0"]
    start = time.perf_counter()
    with subprocess.Popen(  # noqa: S603  our own module
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        for line in process.stdout or ():
            if "http://" in line:
                break
        ready = time.perf_counter() - start
        process.terminate()
    return ready
