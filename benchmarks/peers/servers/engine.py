"""ONNX Runtime, the same way in every peer: what differs is what stands around it.

Runs in each peer's own environment, with nothing of blindai in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from pathlib import Path

Array: TypeAlias = "np.ndarray[Any, Any]"
_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class Model:
    """A model with one input `x` and one output `y`.

    Attributes:
        shape: Of the input; -1 where any size is taken.
        output_shape: Of the output, likewise.
        dtype: Of the input.
    """

    def __init__(self, path: Path | str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        takes, gives = self._session.get_inputs()[0], self._session.get_outputs()[0]
        self.shape = _sizes(takes.shape)
        self.output_shape = _sizes(gives.shape)
        self.dtype = _TYPES[takes.type]

    def run(self, x: Array) -> Array:
        """Run it."""
        output: Array = self._session.run(None, {"x": x})[0]
        return output

    def read(self, data: bytes) -> Array:
        """An input from its bytes."""
        return np.frombuffer(data, self.dtype).reshape(self.shape)


def _sizes(shape: list[Any]) -> tuple[int, ...]:
    return tuple(each if isinstance(each, int) else -1 for each in shape)
