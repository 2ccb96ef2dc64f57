"""A model of 1 GB: sealed and stored, opened again, loaded.

    python -m benchmarks.storage [FOLDER]

Each step alone, in MB/s (10**6 bytes) of wall time and of this process's CPU time,
beside what the disk takes unsealed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from blindai.inference.blocking import Threads
from blindai.inference.folder import SealedFolder
from blindai.inference.model import ModelInfo, ModelSpec
from blindai.inference.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable

BYTES = 1_000_000_000
_PARTS = 10


def model(size: int = BYTES) -> bytes:
    """An ONNX file of about so many bytes: a sum with random weights."""
    random = np.random.default_rng(1)
    count = size // 4 // _PARTS
    weights = [
        numpy_helper.from_array(random.random(count, np.float32), f"w{number}")
        for number in range(_PARTS)
    ]
    names = ["x", *(f"s{number}" for number in range(_PARTS - 1)), "y"]
    nodes = [
        helper.make_node("Add", [names[number], f"w{number}"], [names[number + 1]])
        for number in range(_PARTS)
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [count])],
        weights,
    )
    opset = helper.make_opsetid("", 20)
    proto = helper.make_model(graph, ir_version=10, opset_imports=[opset])
    return bytes(proto.SerializeToString())


def timed(what: str, size: int, step: Callable[[], object]) -> None:
    """Do a step, and print how fast it was."""
    started, worked = time.perf_counter(), time.process_time()
    step()
    worked, took = time.process_time() - worked, time.perf_counter() - started
    speeds = f"{size / took / 1e6:7.0f} MB/s {size / worked / 1e6:7.0f} MB/CPU-s"
    print(f"{what:28} {took:6.2f} s {speeds}", flush=True)


def measure(folder: Path) -> None:
    """Print the figures for a folder on the disk to measure."""
    data = model()
    size, threads = len(data), Threads()
    store = SealedFolder(folder / "models", bytes(32))
    store.open()
    plain = folder / "plain"

    def write_plain() -> None:
        with plain.open("wb", buffering=0) as file:
            for start in range(0, size, 1 << 20):
                file.write(data[start : start + (1 << 20)])
            os.fsync(file.fileno())

    with Spool(threads, size) as spool, Spool(threads, size) as opened:
        timed("received: hashed, in memory", size, lambda: spool.append(data))
        info = ModelInfo(
            name="m",
            digest=spool.digest,
            size_bytes=size,
            spec=ModelSpec((), ()),
            owner="bench",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        entry = store.entry(info)
        timed("unsealed to the same disk", size, write_plain)
        plain.unlink()
        timed("sealed and stored", size, lambda: store.write(entry, spool.view()))
        timed("... and in the index", size, lambda: store.commit((entry,)))
        timed("opened and hashed", size, lambda: store.read(entry, opened))
        path = opened.path
        timed(
            "loaded by ONNX Runtime", size, lambda: onnxruntime.InferenceSession(path)
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as name:
        measure(Path(name))
