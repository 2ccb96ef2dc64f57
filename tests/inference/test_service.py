"""The door of the package: from an upload to an answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from blindai.errors import (
    ConflictError,
    ForbiddenError,
    ModelRefusedError,
    NotFoundError,
    OverloadedError,
    TensorError,
)
from blindai.inference.arrivals import Upload
from blindai.inference.folder import SealedFolder
from blindai.inference.model import ModelInfo
from blindai.inference.room import StoreLimits
from blindai.inference.service import InferenceService, ServiceSettings
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio

NOW = datetime(2024, 5, 6, tzinfo=UTC)
SETTINGS = ServiceSettings(isolation="thread", slots=1, store=StoreLimits(max_models=1))
FLOAT = TensorProto.FLOAT
ONE_TWO = [Tensor.of("x", np.array([-1, 2], np.float32))]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["thread", "process"])
def isolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def service(isolation: str) -> AsyncIterator[InferenceService]:
    async with InferenceService(replace(SETTINGS, isolation=isolation)) as service:
        yield service


def model() -> bytes:
    """The negative and the absolute value of a vector."""
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], [op]) for op in ("Neg", "Abs")],
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ["n"])],
        [helper.make_tensor_value_info(op, FLOAT, ["n"]) for op in ("Neg", "Abs")],
    )
    opset = helper.make_opsetid("", 20)
    proto = helper.make_model(graph, ir_version=10, opset_imports=[opset])
    return bytes(proto.SerializeToString())


MODEL = model()


async def upload(service: InferenceService, name: str = "model") -> ModelInfo:
    with service.spool() as spool:
        await spool.write(MODEL)
        return await service.upload(
            name, "key:alice", spool, Upload(now=NOW, may_replace=False)
        )


def soon() -> float:
    return time.monotonic() + 30


async def test_an_uploaded_model_answers(service: InferenceService) -> None:
    info = await upload(service)

    result = await service.infer("model", ONE_TWO, soon())

    assert {tensor.name: tensor.array.tolist() for tensor in result.outputs} == {
        "Neg": [1.0, -2.0],
        "Abs": [1.0, 2.0],
    }
    assert result.model == info
    assert result.inference_time_s > 0
    assert service.models() == (info,)
    assert service.model("model") == info


async def test_a_request_may_ask_for_some_outputs(service: InferenceService) -> None:
    await upload(service)

    result = await service.infer("model", ONE_TWO, soon(), outputs=["Abs"])

    assert [tensor.name for tensor in result.outputs] == ["Abs"]
    with pytest.raises(TensorError, match="got 'Other'"):
        await service.infer("model", ONE_TWO, soon(), outputs=["Other"])


async def test_a_pinned_digest_must_be_the_models(service: InferenceService) -> None:
    info = await upload(service)

    assert await service.infer("model", ONE_TWO, soon(), digest=info.digest) is not None
    with pytest.raises(ConflictError, match=f"expected {'0' * 64}, got {info.digest}"):
        await service.infer("model", ONE_TWO, soon(), digest="0" * 64)


async def test_an_unknown_model_is_not_found(service: InferenceService) -> None:
    with pytest.raises(NotFoundError):
        service.model("model")
    with pytest.raises(NotFoundError):
        await service.infer("model", ONE_TWO, soon())


async def test_a_deleted_model_answers_no_more(service: InferenceService) -> None:
    await upload(service)

    with pytest.raises(ForbiddenError):
        await service.delete("model", "key:bob")
    await service.delete("model", "key:alice")

    with pytest.raises(NotFoundError):
        await service.infer("model", ONE_TWO, soon())


async def test_refuses_external_data(service: InferenceService) -> None:
    external = TensorProto(
        name="w", data_type=FLOAT, dims=[1], data_location=TensorProto.EXTERNAL
    )
    external.external_data.add(key="location", value="/etc/hostname")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["y"])],
        "g",
        [],
        [helper.make_tensor_value_info("y", FLOAT, [1])],
        [external],
    )
    opset = helper.make_opsetid("", 20)
    proto = helper.make_model(graph, ir_version=10, opset_imports=[opset])

    with service.spool() as spool:
        await spool.write(proto.SerializeToString())
        with pytest.raises(ModelRefusedError, match="external data"):
            await service.upload(
                "m", "key:alice", spool, Upload(now=NOW, may_replace=False)
            )


async def test_settings_reach_the_store(service: InferenceService) -> None:
    await upload(service)

    with pytest.raises(OverloadedError, match="models: expected at most 1"):
        await upload(service, "second")


async def test_sealed_models_answer_after_a_restart(tmp_path: Path) -> None:
    folder = SealedFolder(tmp_path / "models", b"k" * 32)
    async with InferenceService(SETTINGS, folder) as service:
        info = await upload(service)

    async with InferenceService(SETTINGS, folder) as service:
        result = await service.infer("model", ONE_TWO, soon(), digest=info.digest)

        assert service.skipped == ()
        assert result.model == info


async def test_files_that_were_not_loaded_are_told(tmp_path: Path) -> None:
    folder = SealedFolder(tmp_path, b"k" * 32)
    (tmp_path / "foreign").write_bytes(b"foreign")

    async with InferenceService(SETTINGS, folder) as service:
        assert [entry.file for entry in service.skipped] == ["foreign"]


async def test_closing_ends_all_threads_and_refuses_who_waits() -> None:
    before = set(threading.enumerate())  # other enclaves may run in this process
    service = InferenceService(SETTINGS)
    await upload(service)
    running = asyncio.create_task(service.infer("model", ONE_TWO, soon()))
    waiting = asyncio.create_task(service.infer("model", ONE_TWO, soon()))
    await asyncio.sleep(0)

    await service.close()
    await service.close()

    with pytest.raises(OverloadedError, match="closing"):
        await waiting
    await asyncio.gather(running, return_exceptions=True)
    assert service.models() == ()
    started = set(threading.enumerate()) - before
    assert not [each for each in started if each.name.startswith("blindai")]
