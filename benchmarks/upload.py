"""Uploading a large model: how fast, and how much memory beyond the model's own."""

from __future__ import annotations

import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import blindai
from benchmarks import models
from benchmarks.server import running
from blindai.client.policies import SimulationWarning

warnings.simplefilter("ignore", SimulationWarning)
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload.

    Attributes:
        size_mib: Of the model's file.
        sent_s: Until the last byte had left the client.
        total_s: Until the enclave served the model.
        receiving_mib: The server's most memory while bytes arrived, above what it had
            before and the bytes that had arrived.
        serving_mib: The server's memory when the model is served, above what it had
            before.
    """

    size_mib: float
    sent_s: float
    total_s: float
    receiving_mib: float
    serving_mib: float

    @property
    def rate(self) -> float:
        """MiB a second, until the last byte had left."""
        return self.size_mib / self.sent_s


class _Watch(threading.Thread):
    """Samples a process's memory, beside the bytes that were sent to it."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.most_above = 0.0
        self.receiving = True
        self._pid = pid
        self._before = memory_mib(pid)

    def run(self) -> None:
        """Sample until the upload has been received."""
        while self.receiving:
            sent = self.sent / _MIB
            above = memory_mib(self._pid) - self._before - sent
            self.most_above = max(self.most_above, above)
            time.sleep(0.005)


def memory_mib(pid: int) -> float:
    """Memory in MiB of a process and those it started, with the models in memfds."""
    return own_mib(pid) + sum(map(memory_mib, children(pid)))


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in text.split()]


def own_mib(pid: int) -> float:
    """Memory of one process in MiB: its own pages, and the models it has received."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(each for each in status.splitlines() if each.startswith("RssAnon"))
    files = Path(f"/proc/{pid}/fd").iterdir()
    spooled = sum(_spooled_bytes(file) for file in files)
    return int(resident.split()[1]) / 1024 + spooled / _MIB


def _spooled_bytes(file: Path) -> int:
    try:
        if "memfd" in str(file.readlink()):
            return file.stat().st_blocks * 512
    except FileNotFoundError:  # closed meanwhile
        pass
    return 0


def upload(size_bytes: int) -> Upload:
    """Upload a model of about one big weight."""
    content = models.weights_of(size_bytes)
    with (
        running() as doors,
        blindai.connect(doors.sealed, simulation=True, timeout=300) as client,
    ):
        before = memory_mib(doors.pid)
        watch = _Watch(doors.pid)
        last = [0.0]

        def progress(sent: int, total: int) -> None:
            watch.sent = sent
            last[0] = time.perf_counter()
            watch.receiving = sent < total

        watch.start()
        start = time.perf_counter()
        client.upload_model(content, "large", progress=progress)
        total_s = time.perf_counter() - start
        watch.join()
        return Upload(
            size_mib=len(content) / _MIB,
            sent_s=last[0] - start,
            total_s=total_s,
            receiving_mib=watch.most_above,
            serving_mib=memory_mib(doors.pid) - before,
        )
