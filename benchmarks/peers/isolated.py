"""The least that a model in a process of its own costs: shared memory, and two bytes.

One process for each run at a time. A run is a copy of its input into memory that both
share, a byte there to wake the process and one back. No sandbox, no shapes, no checks.
"""

from __future__ import annotations

import asyncio
import mmap
import multiprocessing
import os
import socket
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from benchmarks.floor import session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blindai.protocol.buffers import Bytes

    Array = np.ndarray[Any, Any]


class Task(Protocol):
    """What processes run."""

    def content(self) -> bytes:
        """Make the ONNX file."""
        ...

    def array(self) -> Array:
        """Make an input, of the size that all have."""
        ...


class Processes:
    """Processes that run one model.

    Args:
        task: The model, and an input.
        count: How many.
        threads: Of ONNX Runtime, in each.
    """

    def __init__(self, task: Task, count: int, threads: int) -> None:
        self._free: asyncio.Queue[_Process] = asyncio.Queue()
        for _ in range(count):
            self._free.put_nowait(_Process(task, threads))

    async def run(self, pieces: Iterable[Bytes]) -> None:
        """Run the model on an input that comes in pieces; what it gives stays there."""
        process = await self._free.get()
        await process.run(pieces)
        self._free.put_nowait(process)


class _Process:
    def __init__(self, task: Task, threads: int) -> None:
        array = task.array()
        descriptor = os.memfd_create("input")
        os.truncate(descriptor, array.nbytes)
        self._memory = mmap.mmap(descriptor, array.nbytes)
        self._end, other = socket.socketpair()
        context = multiprocessing.get_context("fork")  # the descriptor goes along
        told = (self._end, other, descriptor, task.content(), array, threads)
        context.Process(target=_serve, args=told, daemon=True).start()
        other.close()
        os.close(descriptor)
        self._end.recv(1)
        self._end.setblocking(False)  # noqa: FBT003  the socket's own words
        self._answered: asyncio.Future[None] | None = None

    async def run(self, pieces: Iterable[Bytes]) -> None:
        loop = asyncio.get_running_loop()
        if self._answered is None:
            loop.add_reader(self._end.fileno(), self._take)
        self._answered = loop.create_future()
        at = 0
        for piece in pieces:
            self._memory[at : at + len(piece)] = piece
            at += len(piece)
        self._end.send(b"?")
        await self._answered

    def _take(self) -> None:
        self._end.recv(1)
        if self._answered is not None:
            self._answered.set_result(None)


def _serve(
    other: socket.socket,
    end: socket.socket,
    descriptor: int,
    content: bytes,
    like: Array,
    threads: int,
) -> None:
    other.close()  # so that this process ends with the one that asks
    running = session(content, threads)
    shared = mmap.mmap(descriptor, like.nbytes)
    array = np.frombuffer(shared, like.dtype).reshape(like.shape)
    name = running.get_inputs()[0].name
    end.send(b"!")
    while end.recv(1):
        running.run(None, {name: array})
        end.send(b"!")
