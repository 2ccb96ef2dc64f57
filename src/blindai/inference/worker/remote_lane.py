"""The server's side of a lane: puts a batch where the worker sees it, reads the answer.

Inputs are copied once, into the message or into memory both see; outputs are looked at
where the worker put them, and the memory is used again once nobody does. What the
worker answers is hostile: sizes, shapes and places are held against the memory they are
in, and the memory can neither shrink nor grow.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from blindai.errors import (
    BlindAIError,
    InternalError,
    InvalidRequestError,
    ModelCrashedError,
    OverloadedError,
    ProtocolError,
    TensorError,
    TooLargeError,
)
from blindai.inference import binding
from blindai.inference.isolation import BlamelessError, Outcome
from blindai.inference.model import MAX_STRINGS
from blindai.inference.worker import frames, memory
from blindai.inference.worker.channel import Channel
from blindai.inference.worker.memory import KEEP_BYTES, SharedMemory
from blindai.protocol import problems
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor
from blindai.protocol.tensor_data import parse_binary
from blindai.text import printable

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from blindai.inference.isolation import Feed
    from blindai.inference.model import ModelSpec, TensorSpec
    from blindai.inference.worker.frames import Frame

_MAX_DIMENSIONS: Final = 32
_MAX_ELEMENTS: Final = 2**59
_MAX_NANOSECONDS: Final = 2**53
_MAX_REASON: Final = 8192  # characters; an honest worker cuts at half of that
_REFUSALS: Final = (
    InvalidRequestError,
    TensorError,
    TooLargeError,
    ModelCrashedError,
    OverloadedError,
)
"""What a worker may say of a run; see `runtime.Model.run`."""


class RemoteLane:
    """One lane of a worker.

    Args:
        end: This side of the lane's connection.
        spec: The model's inputs and outputs.
        max_output_bytes: Of one run's outputs together.
        stop: Called when the run of a number should end soon.
        broken: Called when the connection has ended; with the reason, if the worker has
            to be killed for it.

    Attributes:
        run_number: How many runs have begun.
        began: When the last one did, by `time.monotonic`.
    """

    def __init__(
        self,
        end: socket.socket,
        spec: ModelSpec,
        max_output_bytes: int,
        stop: Callable[[int], None],
        broken: Callable[[str | None], None],
    ) -> None:
        self._channel = Channel(end, self._take, broken)
        self._loop = asyncio.get_running_loop()
        self._inputs_by_name = {each.name: at for at, each in enumerate(spec.inputs)}
        self._outputs_by_name = {each.name: at for at, each in enumerate(spec.outputs)}
        self._max_output_bytes = max_output_bytes
        self._stop = stop
        self._future: asyncio.Future[Outcome] | None = None
        self._wanted: Sequence[TensorSpec] = ()
        self._inputs: SharedMemory | None = None
        self._outputs = _OutputMemory(max_output_bytes)
        self.run_number = 0
        self.began = 0.0

    def run(
        self, feeds: Sequence[Feed], outputs: Sequence[TensorSpec]
    ) -> asyncio.Future[Outcome]:
        """Begin a run; see `isolation.Lane`."""
        future = self._future = self._loop.create_future()
        self.run_number += 1
        self.began = time.monotonic()
        self._wanted = outputs
        try:
            if not self._send(feeds, outputs):
                self.fail(BlamelessError("model: expected its worker, but it ended"))
        except OSError as error:  # of memory
            self.fail(InternalError(f"inputs: expected memory: {error.strerror}"))
        return future

    def stop(self) -> None:
        """Have the run end soon; see `isolation.Lane`."""
        self._stop(self.run_number)

    @property
    def busy(self) -> bool:
        """Whether a run has begun and not ended."""
        return self._future is not None

    def fail(self, error: BlindAIError) -> None:
        """End the run, if there is one, with an error."""
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_exception(error)
            future.exception()  # looked at: nobody may be waiting any more

    def close(self) -> None:
        """End the connection, and free the memory that nobody looks at."""
        self._channel.close()
        self._inputs = None
        self._outputs.close()

    def _send(self, feeds: Sequence[Feed], outputs: Sequence[TensorSpec]) -> bool:
        entries, size = self._layout(feeds)
        shared = size > frames.INLINE_BYTES
        head: dict[str, object] = {
            "run": self.run_number,
            "in": entries,
            "out": [self._outputs_by_name[each.name] for each in outputs],
            "shared": shared,
            "free": self._outputs.offer(),
        }
        if not shared:
            body = bytearray(size)
            _fill(memoryview(body), feeds, entries)
            return self._channel.send(head, [body])
        target = self._inputs
        if target is None or target.size_bytes < size:
            target = self._inputs = SharedMemory.create(size)
        _fill(target.bytes(), feeds, entries)
        sent = self._channel.send(head, descriptors=target.new_descriptors)
        target.sent()
        if target.size_bytes > KEEP_BYTES:
            self._inputs = None
        return sent

    def _layout(self, feeds: Sequence[Feed]) -> tuple[list[list[Any]], int]:
        """Where each input goes, and how many bytes all take."""
        entries = []
        end = 0
        for feed in feeds:
            size = binding.size_of(feed.parts, feed.datatype)
            number = self._inputs_by_name[feed.name]
            entries.append([number, list(feed.shape), end, size])
            end = memory.aligned(end + size)
        return entries, end

    def _take(self, frame: Frame) -> None:
        descriptors = list(frame.descriptors)
        try:
            if self._future is None:
                raise ProtocolError("it answered to nothing")
            if "problem" in frame.head:
                self.fail(refusal(frame, _REFUSALS))
                return
            outcome = self._outcome(frame, descriptors)
        finally:
            frames.close_all(descriptors)
        future, self._future = self._future, None
        if not future.done():
            future.set_result(outcome)

    def _outcome(self, frame: Frame, descriptors: list[int]) -> Outcome:
        match frame.head:
            case {
                "out": [*entries],
                "ns": int(nanoseconds),
                "memory": None | int() as number,
                "dropped": [*dropped],
            } if len(entries) == len(self._wanted):
                self._outputs.drop(dropped)
                source = frame.body
                if number is not None:
                    source = self._outputs.look(number, descriptors)
                outputs = self._read(entries, source)
                seconds = min(max(nanoseconds, 0), _MAX_NANOSECONDS) / 1e9
                return Outcome(outputs, seconds)
        raise ProtocolError("it gave no outputs")

    def _read(self, entries: Sequence[Any], source: memoryview) -> tuple[Tensor, ...]:
        """The outputs; no more of them is read than a run may give.

        Raises:
            ProtocolError: If they are more, or not in their memory.
            TensorError: If one's bytes are not elements of its type and shape.
        """
        outputs = []
        size = strings = 0
        for spec, entry in zip(self._wanted, entries, strict=True):
            shape, data = _part(entry, source)
            size += len(data)
            if spec.datatype is Datatype.BYTES:
                strings += prod(shape)
            if size > self._max_output_bytes or strings > MAX_STRINGS:
                raise ProtocolError("its outputs are larger than they may be")
            array = parse_binary(data, spec.datatype, shape, "its output")
            outputs.append(Tensor(spec.name, spec.datatype, shape, array))
        return tuple(outputs)


class _OutputMemory:
    """What the worker made for outputs, by its numbers, and what of it is free."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._all: dict[int, SharedMemory] = {}
        self._offered: list[int] = []
        self.free: list[int] = []

    def offer(self) -> list[int]:
        """What a run may write to."""
        self._offered = list(self.free)
        return self._offered

    def look(self, number: int, descriptors: list[int]) -> memoryview:
        """The memory of an answer; free again once nobody looks at it.

        Args:
            number: The worker's number for it.
            descriptors: What came with the answer; the memory's is taken out.

        Raises:
            ProtocolError: If the worker may not write there, shows no memory, or shows
                more without giving up what it was offered.
        """
        if number in self.free and not descriptors:
            self.free.remove(number)
        elif (
            number not in self._all
            and len(descriptors) == 1
            and not set(self._offered) & self._all.keys()
        ):
            self._all[number] = SharedMemory.receive(descriptors.pop(), self._max_bytes)
        else:
            raise ProtocolError("it wrote to memory that is not free")
        seen = np.frombuffer(self._all[number].bytes(), np.uint8)
        weakref.finalize(seen, self._release, number).atexit = False
        return memoryview(seen)  # type: ignore[arg-type]  # arrays are buffers

    def drop(self, numbers: Sequence[Any]) -> None:
        """Forget what the worker has given up.

        Raises:
            ProtocolError: If it was not free.
        """
        for number in numbers:
            if number not in self.free:
                raise ProtocolError("it gave up memory that is not free")
            self.free.remove(number)
            del self._all[number]

    def close(self) -> None:
        """Forget all; what somebody looks at stays until they do not."""
        self._all.clear()
        self.free.clear()

    def _release(self, number: int) -> None:
        memory = self._all.get(number)
        if memory is None:  # the lane is closed
            return
        if memory.size_bytes > KEEP_BYTES:
            del self._all[number]  # the worker has not kept it either
        else:
            self.free.append(number)


def refusal(frame: Frame, expected: tuple[type[BlindAIError], ...]) -> BlindAIError:
    """The error that a worker answers with.

    Raises:
        ProtocolError: If it is not one of those that it may.
    """
    error = problems.parse(500, problems.MEDIA_TYPE, bytes(frame.body))
    if not isinstance(error, expected):
        raise ProtocolError("it refused for a reason that it cannot have")
    return type(error)(printable(error.message[:_MAX_REASON]))


def _fill(
    target: memoryview, feeds: Sequence[Feed], entries: Sequence[Sequence[Any]]
) -> None:
    for feed, entry in zip(feeds, entries, strict=True):
        offset = entry[2]
        for part in feed.parts:
            offset += memory.write(target[offset:], part, feed.datatype)


def _part(
    entry: Sequence[Any], source: memoryview
) -> tuple[tuple[int, ...], memoryview]:
    """An output's dimensions, and the bytes of its elements.

    Raises:
        ProtocolError: If that is no entry, or not in its memory.
    """
    match entry:
        case [[*shape], offset, size] if (
            len(shape) <= _MAX_DIMENSIONS
            and {int}.issuperset(map(type, (*shape, offset, size)))
            and min(shape, default=0) >= 0
            and prod(filter(None, shape)) <= _MAX_ELEMENTS
            and 0 <= offset <= offset + size <= len(source)
        ):
            return tuple(shape), source[offset : offset + size]
    raise ProtocolError("its output is outside of its memory")
