"""Servers on made-up hardware, each in a process of its own.

`serving` starts one as people do. `Servers` forks them from a process that has imported
everything, which is ten times as fast: what runs is the same `main`.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import IO, Self

from blindai.testing import serve

_FACTS = ("listening on", "measurement", "sealing key")
_ENDS_WITHIN_S = 20


@dataclass(frozen=True)
class Server:
    """A server that listens.

    Attributes:
        pid: Its process.
        printed: Everything it has printed so far.
        facts: What it says of itself, by name.
    """

    pid: int
    printed: str
    facts: dict[str, str]

    @property
    def url(self) -> str:
        return self.facts["listening on"]


@contextmanager
def serving(*words: object) -> Iterator[Server]:
    """`python -m blindai.testing.serve`, until Ctrl-C at the end."""
    command = [sys.executable, "-m", "blindai.testing.serve", *map(str, words)]
    with subprocess.Popen(  # noqa: S603  this very package
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield _server(process.pid, process.stdout)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=_ENDS_WITHIN_S)


class Servers(AbstractContextManager["Servers"]):
    """Starts servers, many of them and fast."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([serve.__name__])
        self._ending: list[BaseProcess] = []

    @contextmanager
    def serving(self, *words: object) -> Iterator[Server]:
        """A server, which is told to end and not waited for."""
        reader, writer = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_main, args=(words, writer))
        process.start()
        self._ending.append(process)
        writer.close()
        with reader, open(reader.fileno(), closefd=False) as printed:
            assert process.pid is not None
            yield _server(process.pid, printed)
            os.kill(process.pid, signal.SIGINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for all of them."""
        for process in self._ending:
            process.join(_ENDS_WITHIN_S)
            process.close()


def _main(words: Sequence[object], printed: Connection) -> None:
    for stream in (sys.stdout, sys.stderr):
        os.dup2(printed.fileno(), stream.fileno())
    try:
        sys.exit(serve.main([str(word) for word in words]))
    except KeyboardInterrupt:
        pass
    finally:
        atexit._run_exitfuncs()  # a forked process runs none by itself


def _server(pid: int, stream: IO[str]) -> Server:
    """A server, as soon as it has said what it is."""
    lines = []
    facts: dict[str, str] = {}
    while facts.keys() < set(_FACTS):
        line = stream.readline()
        lines.append(line)
        assert line, f"the server did not start: {''.join(lines)}"
        facts |= {
            name: line.removeprefix(name).strip()
            for name in _FACTS
            if line.startswith(name)
        }
    return Server(pid, "".join(lines), facts)
