"""A process that does nothing but run a model: THREADS MODEL.onnx INPUT.npy.

It waits for a line on its input, loads and runs the model some times, and says so.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime

_RUNS = 5


def main() -> None:
    """Be the program."""
    threads, model, given = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    sys.stdin.readline()
    session = onnxruntime.InferenceSession(model, options)
    array = np.load(given)
    for _ in range(_RUNS):
        session.run(None, {"x": array})
    print("done", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
