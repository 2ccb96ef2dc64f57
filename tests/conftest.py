"""ONNX files, and interruptions, for whoever needs one."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, settings
from onnx import TensorProto, helper

# Tests are never timed: a busy machine is no fault of what they test.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes what the user's own clients have seen."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLINDAI_STATE_DIR", str(folder))
        yield


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as a terminal leaves it; what a shell put aside, children inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def interrupted_starts(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    interruptible: None,  # noqa: ARG001  for what it does
) -> list[subprocess.Popen[bytes]]:
    """Each process that is started has this one interrupted; those there were."""
    begun: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  handed on
            super().__init__(*args, **kwargs)
            begun.append(self)
            signal.raise_signal(request.param)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    return begun


def onnx_file(graph: onnx.GraphProto) -> bytes:
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    data: bytes = model.SerializeToString()
    return data


@pytest.fixture(scope="session")
def add() -> bytes:
    """Y = x + w, FP32, (batch, 2)."""
    shape: list[int | str] = ["batch", 2]
    weights = np.array([1, 2], np.float32)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "add",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [helper.make_tensor("w", TensorProto.FLOAT, [2], weights)],
    )
    return onnx_file(graph)


@pytest.fixture(scope="session")
def endless() -> bytes:
    """Adds one to y, n times; n is INT64, without a shape."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["cond"], ["again"]),
            helper.make_node("Add", ["before", "one"], ["after"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("cond", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, []),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["n", "", "zero"], ["y"], body=body)],
        "endless",
        [helper.make_tensor_value_info("n", TensorProto.INT64, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
        [
            helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
            helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        ],
    )
    return onnx_file(graph)
