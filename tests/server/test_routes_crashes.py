"""What a request is told, sealed, when the process that ran its model dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING

import pytest
from tests.inference.inside import served

from blindai.inference.worker.processes import ProcessIsolation, ProcessModel
from blindai.server.settings import InferenceSettings, Settings

if TYPE_CHECKING:
    from tests.server.conftest import V2, MakeV2, Opened

pytestmark = pytest.mark.anyio

TOKEN = ((b"blindai-owner-token", b"the owner"),)
LIMITED = InferenceSettings(
    isolation="process", default_timeout_s=30, workers=2, max_response_bytes=8
)


@pytest.fixture
async def crashing(make_v2: MakeV2, endless: bytes, add: bytes) -> V2:
    door = await make_v2(Settings(inference=LIMITED))
    for name, data in (("endless", endless), ("add", add)):
        uploaded = await door.ask("PUT", f"/v2/models/{name}", data, TOKEN)
        assert uploaded.status == 201
    return door


def number(value: int) -> bytes:
    entry = {"name": "n", "shape": [], "datatype": "INT64", "data": [value]}
    return json.dumps({"inputs": [entry]}).encode()


def rows(count: int) -> bytes:
    data = [1.0] * 2 * count
    entry = {"name": "x", "shape": [count, 2], "datatype": "FP32", "data": data}
    return json.dumps({"inputs": [entry]}).encode()


async def run(door: V2, name: str, content: bytes) -> Opened:
    return await door.ask("POST", f"/v2/models/{name}/infer", content)


async def crash(door: V2) -> Opened:
    """Run for ever, until the worker is killed."""
    model = served(door.service, "endless")
    isolation = door.service._engine._isolation
    assert isinstance(isolation, ProcessIsolation)
    known = isolation._forks._processes
    running = asyncio.get_running_loop().create_task(
        run(door, "endless", number(1 << 60))
    )
    while not (model.loaded and len(model.idle) < 2):  # noqa: ASYNC110  nothing tells
        await asyncio.sleep(0.005)
    assert isinstance(model._loaded, ProcessModel)
    process = model._loaded._worker._process
    (pid,) = [pid for pid, each in known.items() if each is process]
    os.kill(pid, signal.SIGKILL)
    return await running


async def test_a_crash_is_a_sealed_500_and_a_model_given_up_a_503(
    crashing: V2,
) -> None:
    for _ in range(5):
        assert (await crash(crashing)).problem == (
            500,
            "model-crashed",
            "model: expected an answer, but its worker died of SIGKILL",
        )
        assert (await run(crashing, "add", rows(1))).status == 200

    given_up = await run(crashing, "endless", number(3))

    assert given_up.problem[:2] == (503, "unavailable")
    assert given_up.fields[b"retry-after"] == b"10"


async def test_more_than_a_model_may_give_is_a_413(crashing: V2) -> None:
    assert (await run(crashing, "add", rows(1))).status == 200
    assert (await run(crashing, "add", rows(2))).problem == (
        413,
        "too-large",
        "outputs: expected at most 8 bytes, got 16",
    )
