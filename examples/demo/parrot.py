"""A stand-in for the language model, for tests: it repeats the question."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper
from onnx.numpy_helper import from_array


def parrot() -> ModelProto:
    """`question` and `max_tokens` in, `answer` and `tokens` out, as of SmolLM2."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("StringConcat", ["before", "question"], ["answer"]),
            helper.make_node("Identity", ["max_tokens"], ["tokens"]),
        ],
        "parrot",
        [
            info("question", TensorProto.STRING, ["rows"]),
            info("max_tokens", TensorProto.INT64, [1]),
        ],
        [
            info("answer", TensorProto.STRING, ["rows"]),
            info("tokens", TensorProto.INT64, [1]),
        ],
        [from_array(np.array(["You asked: "], object), "before")],
    )
    opset = helper.make_opsetid("", 20)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10)
