"""A worker's side of a lane: takes a batch, runs it, hands back what it gave.

    server -> lane   {run: number, in: [[number, shape, offset, size]], out: [numbers],
                      shared, free: [numbers]}   body or shared memory holds the inputs;
                                                 new shared memory comes as a descriptor
    lane -> server   {out: [[shape, offset, size]], ns, memory, dropped: [numbers]}
                     or {problem}                likewise; memory null means the body

Inputs and outputs have the numbers of their places in the model's declaration. Outputs
that do not fit in a message go into memory that this side makes and numbers. The server
says with each batch which of it nobody looks at any more.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from blindai.errors import BlindAIError
from blindai.inference import binding
from blindai.inference.runtime import Stop, out_of_memory
from blindai.inference.worker import frames, memory
from blindai.inference.worker.memory import KEEP_BYTES, SharedMemory
from blindai.protocol import problems
from blindai.protocol.tensor import Tensor
from blindai.protocol.tensor_data import parse_binary

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from blindai.inference.isolation import Outcome
    from blindai.inference.runtime import Model
    from blindai.inference.worker.frames import Frame

_ANY_SIZE = 1 << 62
_MAX_MESSAGE = 4096  # characters: names in it are as long as a model's maker likes


class Lane:
    """Runs one batch after the other, in a thread of its own.

    Args:
        end: This side of the lane.
        model: What to run.
    """

    def __init__(self, end: socket.socket, model: Model) -> None:
        self._end = end
        self._model = model
        self._current = (0, Stop())
        self._stopped = 0
        self._inputs: SharedMemory | None = None
        self._outputs = _Outputs()
        threading.Thread(target=self._serve_or_exit, daemon=True).start()

    def stop(self, number: int) -> None:
        """Stop the run of a number, whether it has begun or not."""
        self._stopped = number
        current, stop = self._current
        if current == number:
            stop()

    def _serve_or_exit(self) -> None:
        try:
            self._serve()
        finally:
            os._exit(1)  # a lane that answers no more is worse than no worker

    def _serve(self) -> None:
        while (frame := frames.receive(self._end)) is not None:
            try:
                outcome = self._run(frame)
                self._answer(outcome, frame.head["free"])
            except BlindAIError as error:
                refuse(self._end, error)
            except (MemoryError, OSError):  # of memory, as there is nothing else
                refuse(self._end, out_of_memory())
            if self._inputs is not None and self._inputs.size_bytes > KEEP_BYTES:
                self._inputs = None

    def _run(self, frame: Frame) -> Outcome:
        stop = self._begin(frame.head["run"])
        if frame.descriptors:
            self._inputs = None  # first: there may not be room for both
            self._inputs = SharedMemory.receive(frame.descriptors[0], _ANY_SIZE)
        source = frame.body
        if frame.head["shared"] and self._inputs is not None:
            source = self._inputs.bytes()
        tensors = [self._read(entry, source) for entry in frame.head["in"]]
        outputs = [self._model.spec.outputs[number] for number in frame.head["out"]]
        return self._model.run(tensors, outputs, stop)

    def _begin(self, number: int) -> Stop:
        stop = Stop()
        self._current = (number, stop)
        if self._stopped == number:  # it came first, by its own connection
            stop()
        return stop

    def _read(self, entry: Sequence[Any], source: memoryview) -> Tensor:
        number, shape, offset, size = entry
        spec, dimensions = self._model.spec.inputs[number], tuple(shape)
        data = source[offset : offset + size]
        array = parse_binary(data, spec.datatype, dimensions, "input")
        return Tensor(spec.name, spec.datatype, dimensions, array)

    def _answer(self, outcome: Outcome, free: list[int]) -> None:
        entries: list[list[Any]] = []
        end = 0
        for tensor in outcome.outputs:
            size = binding.size_of((tensor.array,), tensor.datatype)
            entries.append([list(tensor.shape), end, size])
            end = memory.aligned(end + size)
        head: dict[str, object] = {
            "out": entries,
            "ns": round(outcome.inference_time_s * 1e9),
            "memory": None,
            "dropped": [],
        }
        if end <= frames.INLINE_BYTES:
            body = bytearray(end)
            _write(outcome, entries, memoryview(body))
            frames.send(self._end, head, [body])
            return
        number, target, dropped = self._outputs.take(end, free)
        _write(outcome, entries, target.bytes())
        head |= {"memory": number, "dropped": dropped}
        frames.send(self._end, head, descriptors=target.new_descriptors)
        self._outputs.sent(number, target, dropped)


class _Outputs:
    """Shared memory for outputs, by number."""

    def __init__(self) -> None:
        self._all: dict[int, SharedMemory] = {}
        self._next = 0

    def take(self, size: int, free: list[int]) -> tuple[int, SharedMemory, list[int]]:
        """Memory of a size: some that is free, or new in place of all that is.

        Returns:
            Its number, itself, and the numbers of what it is in place of.
        """
        for number in free:
            if self._all[number].size_bytes >= size:
                return number, self._all[number], []
        return self._next, SharedMemory.create(size), free

    def sent(self, number: int, target: SharedMemory, dropped: list[int]) -> None:
        """The server has it now; what is large is not kept here."""
        target.sent()
        for each in dropped:
            del self._all[each]
        if number == self._next:
            self._next += 1
        if target.size_bytes <= KEEP_BYTES:
            self._all[number] = target


def refuse(end: socket.socket, error: BlindAIError) -> None:
    """Answer with an error, as it would cross to a client."""
    problem = problems.encode(type(error)(error.message[:_MAX_MESSAGE]), "").content
    frames.send(end, {"problem": True}, [problem])


def _write(
    outcome: Outcome, entries: Sequence[Sequence[Any]], target: memoryview
) -> None:
    for tensor, (_, offset, _) in zip(outcome.outputs, entries, strict=True):
        memory.write(target[offset:], tensor.array, tensor.datatype)
