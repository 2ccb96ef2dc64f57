"""A server under mixed load for a long time: every error accounted for, memory flat.

    python -m benchmarks.soak 30          minutes; also `make soak MINUTES=30`

Two tenants predict with models of three kinds and check each answer; a third uploads,
replaces and deletes; workers are killed, and clients are killed in the middle of an
upload. An error counts as accounted for only where a worker was killed just before, or
where the server says that it is full. It ends with 1 if an error is not, if an answer
is wrong, or if memory or descriptors of the server have grown.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

import blindai
from benchmarks import models
from benchmarks.upload import children
from blindai.errors import (
    BlindAIError,
    ModelCrashedError,
    ModelRefusedError,
    OverloadedError,
    UnavailableError,
)
from blindai.server.auth import digest, generate_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_KILL_EVERY_S: Final = 7.0
_BLAMED_S: Final = 12.0  # after a kill: its requests, and those while it comes back
_SAMPLE_EVERY_S: Final = 2.0
_WARM_UP: Final = 0.2  # of the whole time
_GROWTH: Final = 1.05
_SLACK: Final = {"memory": 0.0, "descriptors": 10.0}  # connections come and go
_TENANTS: Final = ("alice", "bob", "carol")
_SHAPES: Final = {"tiny": (1, 4), "image": models.IMAGE, "rows": (2, 64)}


@dataclass
class Ledger:
    """What happened, from all threads.

    Attributes:
        done: How often what went well.
        accounted: Errors that had a reason.
        unaccounted: Errors that had none, in words.
        kills: When a worker was killed, by `time.monotonic`.
    """

    done: Counter[str] = field(default_factory=Counter)
    accounted: Counter[str] = field(default_factory=Counter)
    unaccounted: list[str] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def attempt(self, what: str, work: Callable[[], None]) -> None:
        """Do something, and book how it went."""
        try:
            work()
        except OverloadedError:
            self.accounted[f"{what}: full"] += 1
        except (ModelCrashedError, ModelRefusedError, UnavailableError) as error:
            name = type(error).__name__  # refused: its worker died as it was loaded
            if self.kills and time.monotonic() - self.kills[-1] < _BLAMED_S:
                self.accounted[f"{what}: {name} after a kill"] += 1
            else:
                self.unaccounted.append(f"{what}: {error}")
        except (BlindAIError, ValueError, OSError) as error:
            if not self.ended.is_set():
                self.unaccounted.append(f"{what}: {type(error).__name__}: {error}")
        else:
            self.done[what] += 1


@dataclass(frozen=True)
class Sample:
    """The server at one time: MiB of its own memory, descriptors, workers."""

    memory: float
    descriptors: int
    workers: int


def main(minutes: float) -> int:
    """Run, print what happened, and say whether all was well."""
    keys = {name: generate_key() for name in _TENANTS}
    ledger = Ledger()
    with (
        tempfile.TemporaryDirectory() as folder,
        _serving(Path(folder), keys) as server,
    ):
        url, process = server
        with _client(url, keys["alice"]) as client:
            for name, shape in _SHAPES.items():
                client.upload_model(model=models.reduction(shape), model_name=name)
        jobs: list[Callable[[], None]] = [
            *(
                lambda key=keys[each]: _predict(url, key, ledger)
                for each in _TENANTS[:2]
            ),
            lambda: _change_models(url, keys["carol"], ledger),
            lambda: _kill_workers(process.pid, ledger),
            lambda: _kill_clients(url, keys["bob"], ledger),
        ]
        threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        samples = _watch(process, minutes * 60)
        ledger.ended.set()
        for thread in threads:
            thread.join(30)
        crashed = process.poll() is not None
    return _report(ledger, samples, crashed=crashed)


def _predict(url: str, key: str, ledger: Ledger) -> None:
    chance = random.Random(key)  # noqa: S311  which model is next
    with _client(url, key) as client:

        def ask() -> None:
            name = chance.choice(list(_SHAPES))
            array = np.full(_SHAPES[name], chance.random(), np.float32)
            response = client.predict(name, array)
            if response.output[0].as_numpy() != array.max():
                raise ValueError("expected this request's answer, got another's")

        while not ledger.ended.is_set():
            ledger.attempt("predict", ask)


def _change_models(url: str, key: str, ledger: Ledger) -> None:
    with _client(url, key) as client:
        for number in range(1 << 30):
            if ledger.ended.is_set():
                return
            name = f"passing-{number % 3}"
            model = models.reduction((1, 1000 + number))

            def upload(name: str = name, model: bytes = model) -> None:
                client.upload_model(model=model, model_name=name)

            def delete(name: str = name) -> None:
                client.delete_model(name)

            ledger.attempt("upload", upload)
            ledger.attempt("replace", upload)
            ledger.attempt("delete", delete)
            ledger.ended.wait(0.5)


def _kill_workers(server: int, ledger: Ledger) -> None:
    while not ledger.ended.wait(_KILL_EVERY_S):
        if workers := _workers(server):
            ledger.kills.append(time.monotonic())
            os.kill(random.choice(workers), signal.SIGKILL)  # noqa: S311  any of them
            ledger.done["worker killed"] += 1


def _kill_clients(url: str, key: str, ledger: Ledger) -> None:
    program = (
        "import blindai, sys, warnings; warnings.simplefilter('ignore')\n"
        "key = sys.stdin.read()\n"
        f"with blindai.connect({url!r}, simulation=True, api_key=key) as c:\n"
        "    c.upload_model(model=bytes(64 << 20), model_name='never',"
        " progress=lambda done, all: print(done, flush=True))\n"
    )
    while not ledger.ended.wait(10):
        with subprocess.Popen(  # noqa: S603  our own words
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as client:
            if client.stdin and client.stdout:
                client.stdin.write(key)
                client.stdin.close()
                client.stdout.readline()  # it has begun
            client.kill()
        ledger.done["client killed while uploading"] += 1


def _watch(process: subprocess.Popen[str], seconds: float) -> list[Sample]:
    samples = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        time.sleep(_SAMPLE_EVERY_S)
        own = [process.pid, *children(process.pid)]
        samples.append(
            Sample(
                memory=sum(map(_memory, own)),
                descriptors=sum(map(_descriptors, own)),
                workers=len(_workers(process.pid)),
            )
        )
    return samples


def _report(ledger: Ledger, samples: list[Sample], *, crashed: bool) -> int:
    settled = samples[int(len(samples) * _WARM_UP) :]
    third = max(1, len(settled) // 3)
    faults = [*ledger.unaccounted[:20]]
    for name in ("memory", "descriptors"):
        first = statistics.median(getattr(each, name) for each in settled[:third])
        last = statistics.median(getattr(each, name) for each in settled[-third:])
        print(f"{name:12} {first:8.1f} -> {last:8.1f}  ({last / first:.3f}x)")
        if last > first * _GROWTH + _SLACK[name]:
            faults.append(f"{name}: expected it flat, got {last / first:.3f}x")
    for title, counts in (("done", ledger.done), ("accounted", ledger.accounted)):
        for what, count in sorted(counts.items()):
            print(f"{title:12} {count:8d}  {what}")
    print(f"not accounted for: {len(ledger.unaccounted)}")
    for fault in faults:
        print(f"  {fault}")
    return 1 if faults or crashed else 0


@contextmanager
def _serving(
    folder: Path, keys: dict[str, str]
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    lines = [
        f'[[api_keys]]\nname = "{name}"\nsha256 = "{digest(key)}"\n'
        'scopes = ["infer", "upload"]\n'
        for name, key in keys.items()
    ]
    # What is remembered against replays grows with the rate until it is forgotten.
    lines.append("[gateway]\nreplay_window_s = 10\n")
    lines.append('[[batching]]\nmodel = "rows"\nmax_batch_size = 16\n')
    configuration = folder / "soak.toml"
    configuration.write_text("".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "blindai", "serve", "--simulation", "--port", "0"]
    command += ["--data-dir", str(folder / "data"), "--config", str(configuration)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  our own words
        try:
            lines_out: Iterable[str] = process.stdout or []
            line = next(each for each in lines_out if "http://" in each)
            yield line.split()[-1], process
        finally:
            process.terminate()


def _client(url: str, key: str) -> blindai.Connection:
    return blindai.Connection(url, simulation=True, api_key=key)


def _workers(server: int) -> list[int]:
    return [worker for zygote in children(server) for worker in children(zygote)]


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _memory(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    private = [line for line in text.splitlines() if line.startswith("Private_")]
    return sum(int(line.split()[1]) for line in private) / 1024


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main(float(sys.argv[1])))
