"""The application: its life, and errors as problems."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Router

from blindai.errors import InvalidRequestError, OverloadedError, SealingError
from blindai.server.app import Application, create_app
from blindai.server.observability.record import Record, recorded
from blindai.server.serve import build_service
from blindai.server.settings import Settings
from blindai.server.storage_settings import PreloadSettings

if TYPE_CHECKING:
    from tests.server.conftest import V2, MakeDoor

    from blindai.inference.service import InferenceService
    from blindai.server.asgi import Receive, Scope, Send

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY = bytes(range(32))


def application(service: InferenceService) -> Application:
    return create_app(service, Settings(), lambda: NOW)


@pytest.fixture
async def kept(tmp_path: Path, make_door: MakeDoor, add: bytes) -> Path:
    """Where an earlier run of the server has kept the model `add`, sealed."""
    first = application(build_service(Settings(), tmp_path, KEY))
    async with first.router.lifespan_context(first):
        door = make_door(first)
        assert (await door.ask("PUT", "/v2/models/add", add)).status == 201
    return tmp_path


async def test_models_are_restored_at_start_and_others_are_named(
    kept: Path, caplog: pytest.LogCaptureFixture, make_door: MakeDoor
) -> None:
    (kept / "models" / "intruder").write_bytes(b"not sealed")

    second = application(build_service(Settings(), kept, KEY))
    async with second.router.lifespan_context(second):
        index = await make_door(second).ask("POST", "/v2/repository/index")

    assert [model["name"] for model in index.json] == ["add"]
    assert caplog.messages == ["sealed model not loaded: intruder"]


async def test_a_sealed_model_that_a_preload_entry_covers_is_told_of(
    kept: Path, caplog: pytest.LogCaptureFixture, add: bytes
) -> None:
    (sealed,) = set((kept / "models").glob("?" * 64))
    model = kept / "add.onnx"
    model.write_bytes(add)
    digest = hashlib.sha256(add).hexdigest()
    entry = PreloadSettings(name="add", digest=digest, path=str(model))

    second = application(build_service(Settings(preload=(entry,)), kept, KEY))
    async with second.router.lifespan_context(second):
        (said,) = caplog.messages

    assert said.startswith(f"sealed model not loaded: {sealed.name}: a [[preload]]")
    assert "'add'" in said
    assert digest not in said


async def test_a_fault_of_the_servers_own_is_an_internal_problem(
    v2: V2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def models() -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(v2.service, "models", models)

    opened = await v2.ask("POST", "/v2/repository/index")

    assert opened.problem == (500, "internal", "the enclave failed to answer")
    assert opened.json["request_id"] in caplog.text
    assert "secret" not in caplog.text


async def test_a_refusal_is_no_fault_and_is_not_logged(
    v2: V2, caplog: pytest.LogCaptureFixture
) -> None:
    opened = await v2.ask("GET", "/v2/models/none")

    assert opened.status == 404
    assert caplog.messages == []


async def test_busy_says_when_to_come_again(
    v2: V2, monkeypatch: pytest.MonkeyPatch
) -> None:
    def models() -> None:
        raise OverloadedError("busy")

    monkeypatch.setattr(v2.service, "models", models)

    opened = await v2.ask("POST", "/v2/repository/index")

    assert opened.problem == (429, "overloaded", "busy")
    assert opened.fields[b"retry-after"] == b"1"
    assert b"retry-after" not in (await v2.ask("GET", "/v2/none")).fields


@pytest.mark.parametrize(
    "error", [InvalidRequestError("late"), HTTPException(404), ClientDisconnect()]
)
async def test_an_answer_that_has_begun_is_cut_short_and_not_answered_again(
    v2: V2, make_door: MakeDoor, error: Exception
) -> None:
    async def fails(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise error

    door = make_door(Application(Router(default=fails), v2.service))
    sealing = door.seal()

    answer = await door.post(sealing.pieces)

    assert not answer.complete
    with pytest.raises(SealingError):
        sealing.open(answer.body)


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("PUT", "/v2/models/another", "upload"),
        ("POST", "/v2/models/add/infer", "infer"),
    ],
)
async def test_a_client_that_goes_away_half_way_is_no_fault_and_no_problem(
    v2: V2, caplog: pytest.LogCaptureFixture, method: str, path: str, route: str
) -> None:
    message = v2.message(method, path, b" " * 1000)
    sealing = v2.seal(message[:500], message[500:])

    with recorded(Record()) as record:
        answer = await v2.post(sealing.pieces[:2], ending=[{"type": "http.disconnect"}])

    assert (answer.status, record.inner_status, record.problem) == (0, 499, "")
    assert (record.route, caplog.messages) == (route, [])


async def test_problems_have_the_id_that_the_gateway_gave(
    v2: V2, make_door: MakeDoor
) -> None:
    ids: list[str] = []

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        ids.append(scope["extensions"]["blindai"]["request_id"])
        await application(v2.service)(scope, receive, send)

    opened = await make_door(noting).ask("GET", "/v2/none")

    assert [opened.json["request_id"]] == ids


async def test_without_a_gateway_problems_have_an_id_all_the_same(v2: V2) -> None:
    transport = httpx.ASGITransport(application(v2.service))

    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        answer = await client.get("/v2/none")

    assert answer.status_code == 404
    assert len(json.loads(answer.content)["request_id"]) == 16


async def test_nothing_that_a_user_sends_is_logged(
    v2: V2, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    marker = "MARKER-5f0c9d"
    secret = marker.encode()
    fields = ((b"authorization", secret), (b"blindai-owner-token", secret))
    entry = {"name": marker, "shape": [1], "datatype": "BYTES", "data": [marker]}
    request = json.dumps({"id": marker, "inputs": [entry]}).encode()

    statuses = [
        (await v2.ask(method, path, content, fields)).status
        for method, path, content in [
            ("GET", f"/{marker}?{marker}", b""),
            (marker, "/v2", secret),
            ("PUT", f"/v2/models/{marker}", secret),
            ("PUT", f"/v2/models/{marker}%20", secret),
            ("DELETE", f"/v2/models/{marker}", b""),
            ("POST", "/v2/models/add/infer", secret),
            ("POST", "/v2/models/add/infer", request),
            ("POST", f"/v2/models/{marker}/infer", request),
        ]
    ]

    assert statuses == [404, 400, 422, 400, 404, 400, 400, 404]
    assert marker.lower() not in caplog.text.lower()
