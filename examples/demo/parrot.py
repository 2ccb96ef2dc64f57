"""A stand-in for the language model, for tests: it repeats the question."""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper
from onnx.numpy_helper import from_array

_SIDE = 600


def parrot(thinks: int = 0) -> ModelProto:
    """`question` and `max_tokens` in, `answer` and `tokens` out, as of SmolLM2.

    Args:
        thinks: How often a large matrix is multiplied before it answers.
    """
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("StringConcat", ["before", "question"], ["answer"]),
            helper.make_node(
                "Loop", ["thinks", "", "matrix"], ["thought"], body=_once()
            ),
            helper.make_node("ReduceMax", ["thought"], ["none"], keepdims=0),
            helper.make_node("Cast", ["none"], ["nothing"], to=TensorProto.INT64),
            helper.make_node("Add", ["max_tokens", "nothing"], ["tokens"]),
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
        [
            from_array(np.array(["You asked: "], object), "before"),
            from_array(np.array(thinks), "thinks"),
            from_array(np.zeros((_SIDE, _SIDE), np.float32), "matrix"),
        ],
    )
    opset = helper.make_opsetid("", 20)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10)


def _once() -> GraphProto:
    """A thought: numbers times the matrix."""
    info = helper.make_tensor_value_info
    return helper.make_graph(
        [
            helper.make_node("MatMul", ["before_it", "matrix"], ["behind_it"]),
            helper.make_node("Identity", ["on_before"], ["on_behind"]),
        ],
        "once",
        [
            info("round", TensorProto.INT64, []),
            info("on_before", TensorProto.BOOL, []),
            info("before_it", TensorProto.FLOAT, [_SIDE, _SIDE]),
        ],
        [
            info("on_behind", TensorProto.BOOL, []),
            info("behind_it", TensorProto.FLOAT, [_SIDE, _SIDE]),
        ],
    )
