"""What a worker does, in its sandbox: judge a model, load one, run it.

    server -> worker   {op: admit, limits}      with the model
                       {op: load, spec, threads, paths, max_output_bytes, extensions}
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
from blindai.inference.extensions import DOMAINS
from blindai.inference.worker import frames, specs
from blindai.inference.worker.lane import Lane, refuse
from blindai.protocol import cbor
from blindai.protocol.tensor import Tensor

if TYPE_CHECKING:
    import socket

    from onnx import NodeProto

    from blindai.inference.worker.frames import Frame
    from blindai.protocol.datatypes import Array

_MAX_DECLARATION_BYTES: Final = 96 << 10  # fits in a message; see `frames.MAX_BYTES`


def warm_up(*, extensions: bool = False) -> None:
    """Run a model, so that the whole runtime is there before no file can be read.

    Args:
        extensions: Whether models will have onnxruntime-extensions; its library is
            loaded here then.

    Raises:
        ConfigurationError: If it should be, and is not installed.
    """
    runtime.take_memory_as_needed()
    _run_once(helper.make_node("Relu", ["x"], ["y"]), np.zeros(1, "<f4"))
    if extensions:
        node = helper.make_node("StringUpper", ["x"], ["y"], domain=DOMAINS[0])
        _run_once(node, np.array([b""], object), extensions=True)


def _run_once(node: NodeProto, x: Array, *, extensions: bool = False) -> None:
    kind = TensorProto.STRING if x.dtype == object else TensorProto.FLOAT
    values = [helper.make_tensor_value_info(name, kind, [1]) for name in "xy"]
    graph = helper.make_graph([node], "warm", values[:1], values[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAINS[0], 1)]
    contents = helper.make_model(
        graph, opset_imports=opsets, ir_version=8
    ).SerializeToString()
    spec = admit(memoryview(contents), AdmissionLimits(extensions=extensions))
    descriptor = os.memfd_create("warm")
    os.write(descriptor, contents)
    model = runtime.load(
        _path(descriptor),
        spec,
        threads=1,
        max_output_bytes=4,
        exact=True,
        extensions=extensions,
    )
    model.run([Tensor.of("x", x)], spec.outputs, runtime.Stop())
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
            "extensions": bool(extensions),
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
                    extensions=extensions,
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
