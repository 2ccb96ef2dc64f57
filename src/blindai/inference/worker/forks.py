"""The server's side of the zygote: asks it for processes, starts it anew if it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from blindai.errors import InternalError, OverloadedError, ProtocolError
from blindai.inference.blocking import look_at
from blindai.inference.worker import frames
from blindai.inference.worker.channel import Channel

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from blindai.inference.worker.frames import Frame

_START_S: Final = 60.0
_EPITAPH_S: Final = 0.5
# Nothing of the server's environment; and one thread, as only that one is forked.
_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
EXTENSIONS: Final = "extensions"  # an argument of the zygote's
_ZYGOTE: Final = ("-m", "blindai.inference.worker.zygote")


class Process:
    """A worker's process.

    Args:
        descriptor: Of the process; taken over.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        """End it at once."""
        if self._descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            os.close(self._descriptor)
            self._descriptor = None

    def ended(self, status: int) -> None:
        """Note how it ended: an exit status, or a negative signal."""
        if not self._status.done():
            self._status.set_result(status)

    async def epitaph(self) -> str:
        """How it ended, in words."""
        await asyncio.wait({self._status}, timeout=_EPITAPH_S)
        if not self._status.done():
            return "its worker ended"
        status = self._status.result()
        if status < 0:
            return f"its worker died of {_name(-status)}"
        return f"its worker ended with status {status}"


class Forks:
    """Makes worker processes.

    Args:
        sandbox: What a worker's sandbox must at least be.
        program: What Python runs as the zygote.
        extensions: Whether workers have the library of onnxruntime-extensions.
    """

    def __init__(
        self,
        sandbox: str,
        program: Sequence[str] = _ZYGOTE,
        *,
        extensions: bool = False,
    ) -> None:
        self._sandbox = sandbox
        self._program = program
        self._options = [EXTENSIONS] if extensions else []
        self._zygote: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._ready: asyncio.Future[None]
        self._asked: deque[asyncio.Future[Process]] = deque()
        self._processes: dict[int, Process] = {}
        self._starting = asyncio.Lock()

    async def start(self) -> Channel:
        """Start the zygote, unless it runs; the connection to it.

        Raises:
            InternalError: If it does not start.
        """
        async with self._starting:
            if self._channel is not None:
                return self._channel
            await self._bury()
            self._ready = asyncio.get_running_loop().create_future()
            self._channel = channel = self._spawn()
            await asyncio.wait({self._ready}, timeout=_START_S)
            if not self._ready.done():
                channel.close()
                self._lost("it took too long")
            if self._ready.exception() is not None:
                await self._bury()
            self._ready.result()
            return channel

    async def fork(self, end: socket.socket, limits: dict[str, object]) -> Process:
        """A new worker process.

        Args:
            end: The worker's end of its connection.
            limits: What `sandbox.Limits` takes.

        Raises:
            InternalError: If the zygote fails.
            OverloadedError: If the kernel has no process left.
            asyncio.CancelledError: If the caller is cancelled; there is none then.
        """
        channel = await self.start()
        answer: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(look_at)
        self._asked.append(answer)
        head: dict[str, object] = {"limits": limits, "sandbox": self._sandbox}
        channel.send(head, descriptors=[end.fileno()])
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(_kill)  # nobody will take it
            raise

    async def close(self) -> None:
        """End the zygote; its workers end with it."""
        if self._channel is not None:
            self._channel.close()
            self._lost("it was closed")
        await self._bury()

    def _spawn(self) -> Channel:
        ours, theirs = frames.pair()
        arguments = [str(theirs.fileno()), *self._options]
        command = [sys.executable, "-I", *self._program, *arguments]
        with theirs:
            try:
                self._zygote = subprocess.Popen(  # noqa: S603  ours
                    command,
                    env=_ENVIRONMENT,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                )
            except OSError as error:
                ours.close()
                raise InternalError(f"zygote: {error.strerror}") from error
        return Channel(ours, self._take, self._ended)

    async def _bury(self) -> None:
        """Wait until a zygote that lost its connection has ended; it does at once."""
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            zygote.kill()
            await asyncio.to_thread(zygote.wait)

    def _take(self, frame: Frame) -> None:
        match frame.head:
            case {"ready": True}:
                self._ready.set_result(None)
            case {"pid": int(pid)}:
                # Known from here on: it may have ended by the next message.
                process = self._processes[pid] = Process(*frame.descriptors)
                self._asked.popleft().set_result(process)
            case {"pid": None}:
                self._asked.popleft().set_exception(
                    OverloadedError("workers: expected another process, got none")
                )
            case {"exit": int(pid), "status": int(status)}:
                self._processes.pop(pid).ended(status)
            case _:
                frames.close_all(frame.descriptors)
                raise ProtocolError("it sent another message than its own")

    def _ended(self, reason: str | None) -> None:
        self._lost(reason or "the zygote ended")

    def _lost(self, reason: str) -> None:
        """The zygote is gone, and its workers with it; the next fork starts another."""
        self._channel = None
        error = InternalError(f"workers: expected them to start, but {reason}")
        answers: list[asyncio.Future[Any]] = [self._ready, *self._asked]
        for answer in answers:
            if not answer.done():
                answer.set_exception(error)
                look_at(answer)
        self._asked.clear()
        for process in self._processes.values():
            process.ended(-signal.SIGKILL)
        self._processes.clear()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # of real time, which have none but the first and the last
        return f"signal {number}"


def _kill(answer: asyncio.Future[Process]) -> None:
    if not answer.cancelled() and answer.exception() is None:
        answer.result().kill()
