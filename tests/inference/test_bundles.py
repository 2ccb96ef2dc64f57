"""Bundles in service: loaded without a path, sealed, and loaded again."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from blindai.errors import ModelRefusedError
from blindai.inference import runtime
from blindai.inference.admission import admit
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.arrivals import Upload
from blindai.inference.folder import SealedFolder
from blindai.inference.service import InferenceService, ServiceSettings
from blindai.protocol.bundle import END, header, padding
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 1, tzinfo=UTC)
WEIGHTS = np.arange(300, dtype=np.float32)
X = Tensor.of("x", np.ones(300, "<f4"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def model(location: str = "w.data") -> onnx.ModelProto:
    """Adds 300 numbers that are in another file."""
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [300]) for n in "xy")
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[300])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="offset", value="12")
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [x], [y], [tensor])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def bundle(files: Mapping[str, bytes] | None = None) -> bytes:
    files = files or {
        "model.onnx": model().SerializeToString(),
        "w.data": bytes(12) + WEIGHTS.tobytes(),
    }
    parts = (
        header(name, len(data)) + data + padding(len(data))
        for name, data in files.items()
    )
    return b"".join(parts) + END


@pytest.fixture(params=["process", "thread"])
def settings(request: pytest.FixtureRequest) -> ServiceSettings:
    return ServiceSettings(isolation=request.param)


@pytest.fixture
async def service(settings: ServiceSettings) -> AsyncIterator[InferenceService]:
    async with InferenceService(settings) as running:
        yield running


async def upload(service: InferenceService, contents: bytes) -> None:
    with service.spool() as spool:
        await spool.write(contents)
        await service.upload("m", "owner", spool, Upload(now=NOW))


async def answer(service: InferenceService) -> np.ndarray:
    result = await service.infer("m", [X], deadline=time.monotonic() + 10)
    return result.outputs[0].array


async def test_a_bundle_runs(service: InferenceService) -> None:
    await upload(service, bundle())

    assert np.array_equal(await answer(service), WEIGHTS + 1)


async def test_threads_infer_no_sizes() -> None:
    """What infers them is native code, and a crash of it would be the server's."""
    large = model()
    node = large.graph.node.add(op_type="ConstantOfShape", output=["z"])
    node.input.append("s")
    large.graph.initializer.append(
        helper.make_tensor("s", TensorProto.INT64, [2], [2**40, 2**10])
    )
    files = {"model.onnx": large.SerializeToString(), "w.data": bytes(1212)}
    refused = ServiceSettings(isolation="process")
    async with InferenceService(refused) as service:
        with pytest.raises(ModelRefusedError, match="node of 'z'"):
            await upload(service, bundle(files))
    async with InferenceService(ServiceSettings(isolation="thread")) as service:
        with pytest.raises(
            ModelRefusedError, match="on zeros"
        ):  # it runs out of memory
            await upload(service, bundle(files))


async def test_a_bundle_is_sealed_and_comes_back(
    settings: ServiceSettings, tmp_path: Path
) -> None:
    folder = SealedFolder(tmp_path / "models", bytes(32))
    async with InferenceService(settings, folder) as service:
        await upload(service, bundle())
        digest = service.model("m").digest
    async with InferenceService(settings, folder) as service:
        assert not service.skipped
        assert service.model("m").digest == digest
        assert np.array_equal(await answer(service), WEIGHTS + 1)


async def test_a_file_beside_the_server_is_never_read(
    service: InferenceService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w.data").write_bytes(bytes(12) + WEIGHTS.tobytes())
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelRefusedError, match=r"got external data in 'w.data'"):
        await upload(service, model().SerializeToString())


def test_the_runtime_opens_no_path_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if admission had let one pass."""
    (tmp_path / "w.data").write_bytes(bytes(12) + WEIGHTS.tobytes())
    monkeypatch.chdir(tmp_path)
    spec = admit(memoryview(bundle()), AdmissionLimits())
    files = {"model.onnx": model().SerializeToString(), "other.data": b""}

    with pytest.raises(ModelRefusedError, match=r"w.data not found from the table"):
        runtime.load(
            runtime.source_of(memoryview(bundle(files)), None),
            spec,
            threads=1,
            max_output_bytes=1 << 20,
        )
