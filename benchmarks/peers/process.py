"""Servers as processes: started, awaited, weighed, ended with all that they started."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_MARK = "PEERS_BENCHMARK_RUN"
_END_S = 15
_WORD = re.compile(r"[A-Za-z]{3}")


class NotMeasuredError(Exception):
    """A peer cannot be measured here; the text says why, and goes into the tables."""


class Process:
    """A server's process, and those that it started.

    Attributes:
        popen: The process.
        log: Where its output goes.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: dict[str, str],
        *,
        talks: bool,
    ) -> None:
        self.log = log
        self._mark = secrets.token_hex(8)
        with log.open("wb") as output:
            self.popen = subprocess.Popen(  # noqa: S603  our own commands
                command,
                stdout=subprocess.PIPE if talks else output,
                stderr=output,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                env={**os.environ, **environment, _MARK: self._mark},
                start_new_session=True,
            )

    def await_ready(self, ready: Callable[[], object], seconds: float = 120) -> None:
        """Wait until a call does not fail any more.

        Raises:
            NotMeasuredError: If the process ends, or the time passes.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                ready()
            except Exception as error:
                if self.popen.poll() is not None:
                    raise NotMeasuredError(f"ended at start: {self.words()}") from error
                if time.monotonic() > deadline:
                    raise NotMeasuredError(f"not ready: {self.words()}") from error
                time.sleep(0.05)
            else:
                return

    def tell(self, line: bytes) -> bytes:
        """Give a line to a process that talks; its line in return.

        Raises:
            NotMeasuredError: If it has ended.
        """
        if self.popen.stdin is None or self.popen.stdout is None:
            raise NotMeasuredError("no way to tell it anything")
        try:
            self.popen.stdin.write(line + b"\n")
            self.popen.stdin.flush()
            answer: bytes = self.popen.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            self.popen.wait(_END_S)
            raise NotMeasuredError(f"ended: {self.words()}")
        return answer

    def words(self) -> str:
        """The last line of an error that it wrote, or else the last line."""
        text = self.log.read_text(errors="replace")
        lines = [each.strip() for each in text.splitlines() if _WORD.search(each)]
        errors = [each for each in lines if "error" in each.lower()]
        return ([*lines[-1:], *errors[-1:]] or ["no word"])[-1][:200]

    def pids(self) -> set[int]:
        """The process and all that come from it, by parent or by its mark."""
        parents = {
            int(path.name): _parent(path) for path in Path("/proc").glob("[0-9]*")
        }
        found = {pid for pid in parents if self._is_marked(pid)} | {self.popen.pid}
        while more := {p for p, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def pss_mib(self) -> float:
        """Memory in MiB: of each page shared by n processes, its nth part."""
        return sum(_pss_kib(pid) for pid in self.pids()) / 1024

    def stop(self) -> None:
        """End it, and whatever it leaves behind."""
        known = {pid: _started(pid) for pid in self.pids()}
        self.popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(_END_S)
        known |= {pid: _started(pid) for pid in self.pids()}
        deadline = time.monotonic() + _END_S
        while time.monotonic() < deadline:
            left = [p for p, begun in known.items() if begun and _started(p) == begun]
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
            time.sleep(0.01)
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # what it never read
                    pipe.close()

    def _is_marked(self, pid: int) -> bool:
        try:
            content = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return f"{_MARK}={self._mark}".encode() in content.split(b"\0")


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    environment: dict[str, str] | None = None,
    *,
    talks: bool = False,
) -> Iterator[Process]:
    """A process for as long as the block lasts; one that talks has pipes."""
    process = Process(command, log, environment or {}, talks=talks)
    try:
        yield process
    finally:
        process.stop()


def free_port() -> int:
    """The first of three ports in a row that nobody listens on."""
    while True:
        # Below those that the system gives to connections: a load leaves many behind.
        port = 20000 + secrets.randbelow(4000) * 3
        try:
            for each in range(port, port + 3):
                socket.create_server(("127.0.0.1", each)).close()
        except OSError:
            continue
        return port


def _parent(path: Path) -> int:
    fields = _stat(path)
    return int(fields[1]) if fields else 0


def _started(pid: int) -> str:
    """When a process began, which tells it from a later one; or nothing."""
    fields = _stat(Path(f"/proc/{pid}"))
    return fields[19] if fields and fields[0] not in "ZX" else ""


def _stat(path: Path) -> list[str]:
    """What the system says of a process, from its state on (proc_pid_stat(5), 3)."""
    try:
        return (path / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(each.split()[1]) for each in lines if each.startswith("Pss:")), 0)
