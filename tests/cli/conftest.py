"""The command line, run in this process against a real server, and a small model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.cli.serving import serving
from typer.testing import CliRunner, Result

import blindai
from blindai.cli.application import app
from blindai.client.policies import SimulationWarning
from blindai.server import process
from blindai.server.observability.logs import LOGGERS
from blindai.server.settings import GatewaySettings, Settings
from blindai.testing import SimulatedEnclave

Run = Callable[..., Result]
_VARIABLES = ("BLINDAI_ADDR", "BLINDAI_API_KEY", "BLINDAI_CONFIG", "BLINDAI_POLICY")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `blindai` with these words, in an environment without its variables."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    runner = CliRunner()

    def run(*words: object, env: dict[str, str] | None = None) -> Result:
        return runner.invoke(app, [str(word) for word in words], env=env)

    return run


@pytest.fixture(autouse=True)
def _leaves_this_process_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `serve` asks of its process is undone, or not asked of this one."""
    monkeypatch.setattr(process, "forbid_core_dumps", lambda: None)
    loggers = [logging.getLogger(name) for name in (*LOGGERS, None)]
    before = [(each, each.handlers, each.propagate, each.level) for each in loggers]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.fixture(scope="session")
def enclave() -> Iterator[SimulatedEnclave]:
    """A simulated enclave without API keys."""
    settings = Settings(gateway=GatewaySettings(quotes_per_second=10_000))
    with SimulatedEnclave(settings) as running:
        yield running


@pytest.fixture(scope="session")
def double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file: y = x + x, float32, (n, 4)."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])], "g", [x], [y]
    )
    opset = helper.make_opsetid("", 20)
    path = tmp_path_factory.mktemp("models") / "double.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    return path


@pytest.fixture(scope="session")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file: so many times it adds 1."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["go_on"]),
            helper.make_node("Add", ["sum", "one"], ["more"]),
        ],
        "body",
        [
            value("round", TensorProto.INT64, []),
            value("going", TensorProto.BOOL, []),
            value("sum", TensorProto.INT64, [1]),
        ],
        [
            value("go_on", TensorProto.BOOL, []),
            value("more", TensorProto.INT64, [1]),
        ],
    )
    shape = helper.make_node("Squeeze", ["rounds"], ["count"])
    loop = helper.make_node("Loop", ["count", "", "zero"], ["sum_of_all"], body=body)
    graph = helper.make_graph(
        [shape, loop],
        "g",
        [value("rounds", TensorProto.INT64, [1])],
        [value("sum_of_all", TensorProto.INT64, [1])],
        [
            helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
            helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        ],
    )
    path = tmp_path_factory.mktemp("models") / "rounds.onnx"
    opset = helper.make_opsetid("", 20)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    return path


@pytest.fixture
def served(enclave: SimulatedEnclave, double: Path) -> Iterator[str]:
    """The address of an enclave that serves `double`."""
    with enclave.connect() as connection:
        connection.upload_model(double, "double")
        yield enclave.url
        connection.delete_model("double")


@pytest.fixture(scope="session")
def proved(double: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with proofs of a server process: an upload, two runs; and the inputs."""
    row = np.arange(4, dtype=np.float32).reshape(1, 4)
    folder = tmp_path_factory.mktemp("proofs")
    np.savez(folder / "in.npz", x=row)
    np.savez(folder / "other.npz", x=row + 1)
    with serving() as served:
        with pytest.warns(SimulationWarning):
            client = blindai.connect(
                served.url,
                simulation=True,
                remember_stores=False,
                prove_by_default=True,
            )
        with client:
            client.upload_model(double, "double").save_to_file(folder / "0.proof")
            for number in (1, 2):
                response = client.predict("double", row)
                response.save_to_file(folder / f"{number}.proof")
                proof = response.proof
                assert proof is not None
                proof.save_to_file(folder / f"whole{number}.proof", tensors=True)
                proof.save_to_file(folder / f"bare{number}.proof")
    return folder
