"""What a worker does, in its sandbox: judge a model, load one, run it.

    server -> worker   {op: admit, limits}      with the model
                       {op: load, spec, threads, paths, max_output_bytes}
                                                with the model and the ends of lanes
                       {op: stop, lane, run}
    worker -> server   {spec}, or {loaded}, or {problem} with the problem in the body

A lane is a connection with a thread of its own; see `lane`. What the server says is
believed: it made this process.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import TensorProto, helper

from blindai.errors import BlindAIError, ModelRefusedError
from blindai.inference import runtime
from blindai.inference.admission import admit
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.worker import frames, specs
from blindai.inference.worker.lane import Lane, refuse
from blindai.protocol import cbor
from blindai.protocol.tensor import Tensor

if TYPE_CHECKING:
    import socket

    from blindai.inference.worker.frames import Frame

_MAX_DECLARATION_BYTES: Final = 96 << 10  # fits in a message; see `frames.MAX_BYTES`


def warm_up() -> None:
    """Run a model, so that the whole runtime is there before no file can be read."""
    runtime.take_memory_as_needed()
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"
    )
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "warm", [x], [y]
    )
    opset = helper.make_opsetid("", 17)
    contents = helper.make_model(
        graph, opset_imports=[opset], ir_version=8
    ).SerializeToString()
    spec = admit(memoryview(contents), AdmissionLimits())
    descriptor = os.memfd_create("warm")
    os.write(descriptor, contents)
    model = runtime.load(
        _path(descriptor), spec, threads=1, max_output_bytes=4, exact=True
    )
    model.run([Tensor.of("x", np.zeros(1, "<f4"))], spec.outputs, runtime.Stop())
    os.close(descriptor)


def serve(end: socket.socket) -> None:
    """Do as the server says until it is gone."""
    lanes: list[Lane] = []
    while (frame := frames.receive(end)) is not None:
        try:
            _obey(end, frame, lanes)
        except BlindAIError as error:
            refuse(end, error)
        except MemoryError:
            refuse(end, ModelRefusedError(runtime.out_of_memory().message))


def _obey(end: socket.socket, frame: Frame, lanes: list[Lane]) -> None:
    match frame.head:
        case {"op": "stop", "lane": int(number), "run": int(run)}:
            lanes[number].stop(run)
        case {"op": "admit", "limits": limits}:
            spec = admit(_view(frame.descriptors[0]), AdmissionLimits(**limits))
            declaration = specs.encode(spec)
            if len(cbor.encode(declaration)) > _MAX_DECLARATION_BYTES:
                raise ModelRefusedError(
                    "inputs and outputs: expected names and shapes of at most"
                    f" {_MAX_DECLARATION_BYTES} bytes together, got more"
                )
            frames.send(end, {"spec": declaration})
        case {
            "op": "load",
            "spec": spec,
            "threads": int(threads),
            "paths": bool(paths),
            "max_output_bytes": int(limit),
        }:
            file, *ends = frame.descriptors
            with os.fdopen(file, "rb"):
                # Without Landlock no path opens here, and the bytes are there twice.
                contents = _view(file)
                model = runtime.load(
                    runtime.source_of(contents, _path(file) if paths else None),
                    specs.parse(spec),
                    threads=threads,
                    max_output_bytes=limit,
                    size_bytes=len(contents),
                    exact=True,
                )
            lanes.extend(Lane(frames.take_over(each), model) for each in ends)
            frames.send(end, {"loaded": True})
        case _:
            frames.close_all(frame.descriptors)


def _view(descriptor: int) -> memoryview:
    """The model's bytes; nothing cannot be mapped."""
    if not os.fstat(descriptor).st_size:
        return memoryview(b"")
    return memoryview(mmap.mmap(descriptor, 0, mmap.MAP_PRIVATE, mmap.PROT_READ))


def _path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"
