"""The load: threads of one process, the same for every peer and for blindai.

Closed: each thread asks again as soon as it is answered. Open: requests arrive when
they are due, whatever became of those before, and wait in their latency.
"""

from __future__ import annotations

import gc
import itertools
import resource
import threading
import time
from typing import TYPE_CHECKING

from benchmarks.peers.figures import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Ask = Callable[[], object]
    Make = Callable[[int], Ask]

OPEN_THREADS = 64
_WARM_S = 0.1
_AFTER_AN_ERROR_S = 0.01
_READY_S = 60
_COME_AT_ONCE = 32  # connections that are made at the same time


class EndedError(Exception):
    """There is nothing more to ask: the slice ends here."""


class _Record:
    """What a thread saw: when each request ended, how long it took, or its error."""

    def __init__(self) -> None:
        self.answered: list[tuple[float, float]] = []
        self.failed: list[tuple[float, str]] = []

    def ask(self, ask: Ask, since: float) -> None:
        """Ask once; the latency counts from a given time.

        Raises:
            EndedError: If there is nothing more to ask.
        """
        try:
            ask()
        except EndedError:
            raise
        except Exception as error:  # noqa: BLE001  every failure is counted, by name
            self.failed.append((time.perf_counter(), type(error).__name__))
            time.sleep(_AFTER_AN_ERROR_S)
        else:
            now = time.perf_counter()
            self.answered.append((now, now - since))


def _sample(records: list[_Record], start: float, end: float) -> Sample:
    answered = [each for record in records for each in record.answered]
    failed = [each for record in records for each in record.failed]
    return Sample(
        end - start,
        tuple(took * 1e3 for at, took in answered if start <= at <= end),
        tuple(name for at, name in failed if start <= at <= end),
    )


def allow_files(count: int = 8192) -> None:
    """Let this process have so many sockets, where the system does."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        count = min(count, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, most))


class _Closed:
    """Threads that ask again as soon as they are answered."""

    def __init__(self, make: Make, concurrency: int) -> None:
        self._make = make
        self._records = [_Record() for _ in range(concurrency)]
        self._begin, self._over = threading.Event(), threading.Event()
        self._ready = threading.Semaphore(0)
        self._coming = threading.Semaphore(_COME_AT_ONCE)

    def run(self, seconds: float) -> Sample:
        """One slice."""
        threads = _start(self._work, len(self._records))
        self._begin.set()
        deadline = time.monotonic() + _READY_S
        for _ in threads:
            self._ready.acquire(timeout=max(0.0, deadline - time.monotonic()))
        time.sleep(_WARM_S)
        start = time.perf_counter()
        self._over.wait(seconds)
        end = time.perf_counter()
        self._over.set()
        for thread in threads:
            thread.join()
        return _sample(self._records, start, end)

    def _work(self, index: int) -> None:
        try:
            self._begin.wait()  # one that works would slow the start of the next
            with self._coming:
                ask = self._make(index)
                self._ask(ask, index)
            self._ready.release()
            while not self._over.is_set():
                self._ask(ask, index)
        except EndedError:
            self._over.set()
        finally:
            self._ready.release()

    def _ask(self, ask: Ask, index: int) -> None:
        self._records[index].ask(ask, time.perf_counter())


def closed(make: Make, concurrency: int, seconds: float) -> Sample:
    """So many threads ask, one request each at a time.

    The slice begins when every thread has been answered once, and ends early where
    there is nothing more to ask.

    Args:
        make: Makes what a thread calls, from the thread's number.
        concurrency: How many threads.
        seconds: How long the slice is.
    """
    return _Closed(make, concurrency).run(seconds)


def opened(make: Make, due: Sequence[float]) -> Sample:
    """Ask at given times, in seconds from the start.

    Up to `OPEN_THREADS` requests are under way at once; one more waits for a thread,
    and its latency counts that.
    """
    count = min(OPEN_THREADS, len(due))
    records = [_Record() for _ in range(count)]
    turns = itertools.count()
    begin = threading.Barrier(count + 1)
    start = [0.0]

    def work(index: int) -> None:
        ask, record = make(index), records[index]
        record.ask(ask, time.perf_counter())  # before it counts
        begin.wait(_READY_S)
        begin.wait(_READY_S)
        while (turn := next(turns)) < len(due):
            at = start[0] + due[turn]
            time.sleep(max(0.0, at - time.perf_counter()))
            record.ask(ask, at)

    threads = _start(work, count)
    begin.wait(_READY_S)
    start[0] = time.perf_counter() + _WARM_S
    begin.wait(_READY_S)
    for thread in threads:
        thread.join()
    return _sample(records, start[0], max(start[0] + due[-1], time.perf_counter()))


def _start(work: Callable[[int], None], count: int) -> list[threading.Thread]:
    gc.collect()
    threads = [
        threading.Thread(target=work, args=(index,), daemon=True)
        for index in range(count)
    ]
    for thread in threads:
        thread.start()
    return threads
