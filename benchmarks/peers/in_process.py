"""An engine without a server: threads that call it, told what to do by lines of JSON.

python -m benchmarks.peers.in_process ENGINE THREADS MODEL.onnx

Runs in the engine's own environment. What is told names a file of NumPy's with the
input, and either `seconds` and `concurrency`, or `due`, or neither to be answered once.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peers import load

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[Any], Any]


def _onnxruntime(path: str, threads: int) -> Run:
    from engine import Model  # noqa: PLC0415  of the environment's, beside the servers

    run: Run = Model(path, threads).run
    return run


def _tract(path: str, threads: int) -> Run:
    import tract  # noqa: PLC0415  of its own environment

    if threads != 1:
        raise ValueError(f"threads: expected 1, which is tract's way, got {threads}")
    model = tract.onnx().load(path).into_model().into_runnable()
    return lambda x: model.run([x])[0].to_numpy()


_ENGINES = {"onnxruntime": _onnxruntime, "tract": _tract}


def _obey(run: Run, told: dict[str, Any]) -> dict[str, object] | list[float]:
    array = np.load(told["input"])

    def make(index: int) -> load.Ask:
        del index
        return lambda: run(array)

    if "seconds" in told:
        sample = load.closed(make, told["concurrency"], told["seconds"])
    elif "due" in told:
        sample = load.opened(make, told["due"])
    else:
        return [float(each) for each in np.asarray(run(array)).ravel()]
    return dataclasses.asdict(sample)


def _main() -> None:
    run = _ENGINES[sys.argv[1]](sys.argv[3], int(sys.argv[2]))
    for line in sys.stdin:
        print(json.dumps(_obey(run, json.loads(line))), flush=True)


if __name__ == "__main__":
    _main()
