"""What the server says of itself and of its models."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

import blindai
from blindai.server.settings import ModelSettings, Settings

if TYPE_CHECKING:
    from tests.server.conftest import V2, MakeV2

pytestmark = pytest.mark.anyio


async def test_the_server_names_itself_and_its_extensions(v2: V2) -> None:
    opened = await v2.ask("GET", "/v2")

    assert opened.status == 200
    assert opened.json == {
        "name": "blindai",
        "version": blindai.__version__,
        "extensions": ["binary_tensor_data", "model_repository"],
    }


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
async def test_the_server_is_live_and_ready(v2: V2, path: str) -> None:
    opened = await v2.ask("GET", path)

    assert opened.status == 200
    assert opened.json == {"live": True, "ready": True}


async def test_the_configuration_is_the_measured_one(make_v2: MakeV2) -> None:
    settings = Settings(models=ModelSettings(max_count=7))
    v2 = await make_v2(settings)

    opened = await v2.ask("GET", "/v2/configuration")

    assert opened.fields[b"content-type"] == b"application/cbor"
    assert opened.content == settings.encode()


async def test_a_model_is_described(v2: V2, add: bytes) -> None:
    opened = await v2.ask("GET", "/v2/models/add")

    assert opened.status == 200
    assert opened.json == {
        "name": "add",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
        "version": "1",
        "digest": hashlib.sha256(add).hexdigest(),
        "size_bytes": len(add),
        "saved": False,
    }


async def test_a_model_is_ready(v2: V2) -> None:
    opened = await v2.ask("GET", "/v2/models/add/ready")

    assert opened.json == {"name": "add", "ready": True}


async def test_the_index_lists_all_models_without_their_owners(
    v2: V2, add: bytes
) -> None:
    await v2.ask("PUT", "/v2/models/Another", add)

    opened = await v2.ask("POST", "/v2/repository/index", b"{}")

    assert [model["name"] for model in opened.json] == ["Another", "add"]
    assert {model["state"] for model in opened.json} == {"READY"}
    assert b"token:" not in opened.content


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/models/none"),
        ("GET", "/v2/models/none/ready"),
        ("DELETE", "/v2/models/none"),
        ("GET", "/v2/models/../add"),
        ("GET", "/v2/models/%2e%2e"),
    ],
)
async def test_a_model_that_is_not_there_is_not_found(
    v2: V2, method: str, path: str
) -> None:
    status, kind, _ = (await v2.ask(method, path)).problem

    assert (status, kind) == (404, "not-found")


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/models", "/v2/models/add/versions", "/V2", "/metrics"]
)
async def test_an_unknown_route_is_not_found(v2: V2, path: str) -> None:
    opened = await v2.ask("GET", path)

    assert opened.problem == (404, "not-found", "route: there is none at this path")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2"),
        ("PATCH", "/v2/models/add"),
        ("GET", "/v2/models/add/infer"),
        ("GET", "/v2/repository/index"),
        ("DELETE", "/v2/configuration"),
    ],
)
async def test_a_wrong_method_is_named(v2: V2, method: str, path: str) -> None:
    opened = await v2.ask(method, path)

    detail = f"method: {method} is not one of this route's"
    assert opened.problem == (400, "invalid-request", detail)


async def test_nothing_redirects_to_the_callers_authority(v2: V2) -> None:
    opened = await v2.ask("GET", "/v2/")

    assert opened.status == 404
    assert b"location" not in opened.fields
