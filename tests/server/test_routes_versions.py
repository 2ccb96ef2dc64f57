"""Versions of models on the wire, models in memory only, and the store's mark."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from blindai.errors import InternalError
from blindai.protocol import tensors
from blindai.protocol.store_mark import StoreMark
from blindai.protocol.tensor import Tensor
from blindai.server.app import create_app
from blindai.server.gateway import Gateway
from blindai.server.retention import retaining
from blindai.server.serve import build_service
from blindai.server.settings import (
    InferenceSettings,
    ModelSettings,
    Settings,
)
from blindai.server.storage_settings import PreloadSettings

if TYPE_CHECKING:
    from tests.server.conftest import V2, Clock, MakeEnclave, Opened

    from blindai.protocol.bhttp import Fields

pytestmark = pytest.mark.anyio

ADD = "/v2/models/add"
OWNER: Fields = ((b"blindai-owner-token", b"the owner"),)
UNSAVED: Fields = (*OWNER, (b"blindai-save-model", b"false"))
SETTINGS = Settings(inference=InferenceSettings(isolation="thread"))
Start = Callable[..., Awaitable["V2"]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
async def start(
    make_enclave: MakeEnclave, clock: Clock, path: Path
) -> AsyncIterator[Start]:
    """Starts a server on the same folder, as a new process would."""
    from tests.server.conftest import V2  # noqa: PLC0415  pytest has its own

    async with AsyncExitStack() as stack:

        async def make(settings: Settings = SETTINGS) -> V2:
            service = build_service(settings, path, b"k" * 32)
            app = create_app(service, settings, clock)
            enclave = make_enclave()
            door = V2(Gateway(app, enclave, settings.gateway_limits), enclave)
            door.service = service
            await stack.enter_async_context(app.router.lifespan_context(app))
            return door

        yield make


@pytest.fixture
async def kept(start: Start, add: bytes, endless: bytes) -> V2:
    """A server with two versions of `add`: the sum, and one that takes `n`."""
    v2 = await start()
    for data in (add, endless):
        assert (await v2.ask("PUT", ADD, data, OWNER)).status == 201
    return v2


def mark(opened: Opened) -> StoreMark:
    return StoreMark.parse(opened.fields[b"blindai-store"].decode())


async def add_one(v2: V2, path: str, digest: str | None = None) -> Opened:
    parameters: dict[str, tensors.Parameter] = {}
    if digest is not None:
        parameters["model_digest"] = digest
    body = tensors.encode_request(
        tensors.InferRequest(
            inputs=(Tensor.of("x", np.array([[1, 1]], np.float32)),),
            parameters=parameters,
        )
    )
    length = str(body.header_length).encode()
    fields = ((b"inference-header-content-length", length),)
    return await v2.ask("POST", f"{path}/infer", b"".join(body.buffers), fields)


async def test_metadata_is_of_the_latest_and_names_all(
    kept: V2, endless: bytes
) -> None:
    described = (await kept.ask("GET", ADD)).json

    assert (described["version"], described["versions"]) == ("2", ["1", "2"])
    assert described["digest"] == hashlib.sha256(endless).hexdigest()
    assert described["saved"] is True


async def test_each_version_has_its_own_metadata(kept: V2, add: bytes) -> None:
    described = (await kept.ask("GET", f"{ADD}/versions/1")).json

    assert described["version"] == "1"
    assert described["digest"] == hashlib.sha256(add).hexdigest()
    assert (await kept.ask("GET", f"{ADD}/versions/1/ready")).json["ready"]


@pytest.mark.parametrize("version", ["3", "0", "01", "-1", "latest", "1.0", "9" * 40])
async def test_another_version_is_not_found(kept: V2, version: str) -> None:
    for path in ("", "/ready"):
        opened = await kept.ask("GET", f"{ADD}/versions/{version}{path}")

        assert opened.problem[:2] == (404, "not-found")


async def test_an_older_version_runs_where_it_is_asked_for(kept: V2) -> None:
    opened = await add_one(kept, f"{ADD}/versions/1")

    assert (opened.status, opened.json["model_version"]) == (200, "1")
    assert (await add_one(kept, ADD)).status == 400  # the latest takes `n`


async def test_a_digest_chooses_among_versions(kept: V2, add: bytes) -> None:
    digest = hashlib.sha256(add).hexdigest()

    assert (await add_one(kept, ADD, digest)).json["model_version"] == "1"
    opened = await add_one(kept, f"{ADD}/versions/2", digest)
    assert opened.problem[:2] == (409, "conflict")


async def test_the_index_has_a_row_for_each_version(kept: V2) -> None:
    rows = (await kept.ask("POST", "/v2/repository/index")).json

    assert [(row["name"], row["version"], row["state"]) for row in rows] == [
        ("add", "1", "READY"),
        ("add", "2", "READY"),
    ]


async def test_one_version_or_all_can_be_deleted(kept: V2) -> None:
    deleted = await kept.ask("DELETE", f"{ADD}/versions/2", fields=OWNER)
    assert deleted.status == 204
    assert (await add_one(kept, ADD)).status == 200
    assert (await kept.ask("DELETE", ADD, fields=OWNER)).status == 204
    assert (await kept.ask("GET", ADD)).status == 404


async def test_what_is_not_to_be_saved_ends_with_the_server(
    start: Start, add: bytes
) -> None:
    v2 = await start()
    opened = await v2.ask("PUT", ADD, add, UNSAVED)

    assert opened.json["saved"] is False
    assert (await add_one(v2, ADD)).status == 200
    assert (await (await start()).ask("GET", ADD)).status == 404


async def test_whether_to_save_is_said_clearly(start: Start, add: bytes) -> None:
    fields = (*OWNER, (b"blindai-save-model", b"no"))

    opened = await (await start()).ask("PUT", ADD, add, fields)

    detail = "blindai-save-model: expected true or false"
    assert opened.problem == (400, "invalid-request", detail)


async def test_a_file_that_does_not_open_is_unavailable_and_others_serve(
    kept: V2, start: Start, path: Path, add: bytes
) -> None:
    before = set((path / "models").iterdir())
    await kept.ask("PUT", "/v2/models/bad", add, OWNER)
    (file,) = set((path / "models").iterdir()) - before
    file.write_bytes(file.read_bytes()[:-1])

    v2 = await start()

    problem = (await add_one(v2, "/v2/models/bad")).problem
    assert problem[:2] == (503, "unavailable")
    assert (await v2.ask("GET", "/v2/models/bad/ready")).status == 503
    rows = (await v2.ask("POST", "/v2/repository/index")).json
    assert [row["state"] for row in rows] == ["READY", "READY", "UNAVAILABLE"]
    assert "chunk 0" in rows[2]["reason"]
    assert (await add_one(v2, f"{ADD}/versions/1")).status == 200


# ------------------------------------------------------------------------ the mark


async def test_every_answer_says_how_new_the_store_is(kept: V2) -> None:
    marks = {
        mark(await kept.ask("GET", path)) for path in ("/v2", ADD, "/v2/models/none")
    }
    marks.add(mark(await add_one(kept, f"{ADD}/versions/1")))

    assert marks == {kept.service.mark}
    assert [each.epoch for each in marks] == [3]


async def test_each_change_makes_the_next_mark(kept: V2, start: Start) -> None:
    before = mark(await kept.ask("GET", ADD))
    after = mark(await kept.ask("DELETE", ADD, fields=OWNER))

    assert (after.store, after.epoch) == (before.store, before.epoch + 1)
    assert after.previous == before.index
    assert mark(await (await start()).ask("GET", ADD)) == after


async def test_without_a_store_there_is_no_mark(v2: V2) -> None:
    assert b"blindai-store" not in (await v2.ask("GET", ADD)).fields


# --------------------------------------------------- of the configuration; retention


async def test_models_of_the_configuration_serve_from_the_start(
    start: Start, add: bytes, path: Path
) -> None:
    file = path / "model.onnx"
    file.write_bytes(add)
    named = PreloadSettings(
        name="add", digest=hashlib.sha256(add).hexdigest(), path=str(file)
    )

    v2 = await start(replace(SETTINGS, preload=(named,)))

    assert (await add_one(v2, ADD)).status == 200
    assert (await v2.ask("PUT", ADD, add, OWNER)).problem[:2] == (409, "conflict")
    assert (await v2.ask("DELETE", ADD, fields=OWNER)).problem[:2] == (403, "forbidden")


async def test_what_is_too_old_is_removed_at_start_and_said(
    kept: V2, start: Start, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    del kept
    clock.now += timedelta(days=8)
    models = ModelSettings(retention_days=7)

    v2 = await start(replace(SETTINGS, models=models))

    assert v2.service.models() == ()
    assert "removed 2 versions of models, uploaded over 7 days ago" in caplog.text
    assert "add" not in caplog.text


async def test_what_becomes_too_old_is_removed_later(
    kept: V2, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with retaining(kept.service, 7, clock, every_s=0.01):
        assert len(kept.service.models()) == 2
        clock.now += timedelta(days=8)
        while kept.service.models():
            await anyio_sleep()

    assert "retention: removed 2" in caplog.text


async def test_a_disk_that_fails_is_said_and_tried_again(
    kept: V2,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(_: object) -> int:
        raise InternalError("model folder: could not write a file: No space left")

    monkeypatch.setattr(kept.service, "expire", fail)

    async with retaining(kept.service, 7, clock):
        pass

    assert "retention: models could not be removed: model folder" in caplog.text


async def anyio_sleep() -> None:
    import asyncio  # noqa: PLC0415  here only

    await asyncio.sleep(0.005)
