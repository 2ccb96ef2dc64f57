"""Hostile models against a real server: other models go on answering all the while."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.inference.hostile import one
from tests.inference.hostile_admitted import ADMITTED
from tests.inference.hostile_refused import REFUSED

from blindai.client import model_file
from blindai.client.connection import Connection
from blindai.errors import BlindAIError, ModelRefusedError
from blindai.server.settings import InferenceSettings, Settings
from blindai.testing import SimulatedEnclave

SETTINGS = {
    isolation: Settings(
        inference=InferenceSettings(
            isolation=isolation,
            memory_bytes=1 << 30,
            load_timeout_s=20,
            default_timeout_s=2,
        )
    )
    for isolation in ("process", "thread")
}
# What takes seconds, and is judged the same way in tests/inference/test_hostile.py.
LONG = {
    "a million empty nodes",
    "a million attributes",
    "a hundred thousand dimensions",
    "an endless loop",
    "products of small constants",
}
WEIGHTS = np.arange(300, dtype=np.float32)


@dataclass
class Steady:
    """Asks one model over and over, until it is stopped."""

    client: Connection
    answers: int = 0
    failures: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        while not self._stop.wait(0.01):
            try:
                answer = self.client.predict("steady", np.ones(1, np.float32))
                assert answer.output[0].as_numpy() == [1]
                self.answers += 1
            except BaseException as error:  # noqa: BLE001  shown by the test
                self.failures.append(error)
                return

    def require_more(self) -> None:
        """Wait for an answer that is asked for from now on."""
        wanted = self.answers + 2
        until = time.monotonic() + 5
        while self.answers < wanted and not self.failures:
            assert time.monotonic() < until, "expected an answer within 5 s"
            time.sleep(0.005)
        assert not self.failures

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.slow
def test_hostile_models_harm_nobody_else() -> None:
    with SimulatedEnclave(SETTINGS["process"]) as enclave, enclave.connect() as owner:
        owner.upload_model(one("Relu"), "steady")
        with enclave.connect() as other, Steady(other) as steady:
            for name, (built, _) in REFUSED.items():
                if name not in LONG:
                    with pytest.raises(ModelRefusedError):
                        owner.upload_model(built(), "hostile")
            steady.require_more()
            for name, built in ADMITTED.items():
                if name not in LONG:
                    try_out(owner, built())
                    steady.require_more()
        assert [model.name for model in owner.models()] == ["steady"]


def try_out(owner: Connection, contents: bytes) -> None:
    """Upload, run and delete it: each works, or is refused with a documented error."""
    try:
        uploaded = owner.upload_model(contents, "hostile")
    except BlindAIError:
        return
    inputs = {
        spec.name: np.zeros(
            [size if size > 0 else 1 for size in spec.shape], spec.datatype.numpy
        )
        for spec in uploaded.model.inputs
    }
    try:
        owner.predict("hostile", inputs)
    except BlindAIError:
        pass
    finally:
        owner.delete_model("hostile")


# ------------------------------------------------------------------------- bundles


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A model whose weights are in two files beside it."""
    nodes = [
        helper.make_node("Add", ["x", "w"], ["a"]),
        helper.make_node("Mul", ["a", "v"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [300]) for n in "xy")
    weights = [numpy_helper.from_array(WEIGHTS, name) for name in "wv"]
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    for tensor, name in zip(graph.initializer, ("b.data", "a.data"), strict=True):
        (tmp_path / name).write_bytes(bytes(64) + tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=name)
        tensor.external_data.add(key="offset", value="64")
    path = tmp_path / "split.onnx"
    opsets = [helper.make_opsetid("", 17)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    return path


@pytest.fixture(params=["process", "thread"])
def enclave(request: pytest.FixtureRequest) -> Iterator[SimulatedEnclave]:
    with SimulatedEnclave(SETTINGS[request.param]) as running:
        yield running


def test_a_bundle_is_uploaded_and_run(
    enclave: SimulatedEnclave, split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "_FOLDED_BYTES", 100)
    with enclave.connect() as client:
        uploaded = client.upload_model(split)
        answer = client.predict("split", np.ones(300, np.float32))

    assert uploaded.model.size_bytes == model_file.find_model(split).size_bytes
    assert answer.model_digest == uploaded.model.digest
    assert np.array_equal(answer.output[0].as_numpy(), (WEIGHTS + 1) * WEIGHTS)


def test_a_bundle_with_a_file_too_short_is_refused(
    enclave: SimulatedEnclave, split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "_FOLDED_BYTES", 100)
    file = split.parent / "a.data"
    file.write_bytes(file.read_bytes()[:-4])

    with (
        enclave.connect() as client,
        pytest.raises(
            ModelRefusedError, match=r"'v': expected 1200 bytes within 'a\.data'"
        ),
    ):
        client.upload_model(split)
