"""How long until a client has verified an enclave, and until a server answers."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

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


_EVIDENCE = Path(__file__).parents[2] / "shared" / "vectors" / "snp"


@dataclass(frozen=True, slots=True)
class Startup:
    """Medians, in seconds.

    Attributes:
        imported_s: `import blindai`.
        connected_s: The import and a first verified connection.
        ready_s: From starting `blindai serve` until it prints its address.
        verified_s: Processor time of `blindai evidence verify`, imports included, for
            genuine evidence of SEV-SNP; None where that is not beside the project.
    """

    imported_s: float
    connected_s: float
    ready_s: float
    verified_s: float | None


def startup(rounds: int = 7) -> Startup:
    """Start processes and take the time."""
    with running() as doors:
        times = [_connect(doors.sealed) for _ in range(rounds)]
    ready = [_serve() for _ in range(rounds)]
    genuine = _EVIDENCE.is_dir()
    return Startup(
        statistics.median(each[0] for each in times),
        statistics.median(each[1] for each in times),
        statistics.median(ready),
        statistics.median(_verify() for _ in range(rounds)) if genuine else None,
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


def _verify() -> float:
    words = ["evidence", "verify", str(_EVIDENCE / "trustee_milan_report.bin")]
    words += ["--tee", "snp", "--at", "2025-01-01"]
    for name in ("ark_milan.pem", "ask_milan.pem", "trustee_milan_vcek.der"):
        words += ["--endorsements", str(_EVIDENCE / name)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "blindai", *words]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  our own
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
