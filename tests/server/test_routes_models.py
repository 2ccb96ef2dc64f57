"""Taking models in, and whose they are."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from blindai.server.auth import digest
from blindai.server.settings import ApiKey, ModelSettings, Settings

if TYPE_CHECKING:
    from tests.server.conftest import V2, Clock, MakeV2

    from blindai.protocol.bhttp import Fields
    from blindai.server.asgi import Message

pytestmark = pytest.mark.anyio

ADD = "/v2/models/add"
OWNER: Fields = ((b"blindai-owner-token", b"the owner"),)  # of the model in `v2`
STRANGER: Fields = ((b"blindai-owner-token", b"a stranger"),)


async def names(v2: V2, fields: Fields = ()) -> list[str]:
    index = await v2.ask("POST", "/v2/repository/index", fields=fields)
    return [model["name"] for model in index.json]


async def test_an_upload_answers_with_the_model_and_a_new_owner_token(
    v2: V2, add: bytes
) -> None:
    opened = await v2.ask("PUT", "/v2/models/new", add)

    assert opened.status == 201
    assert opened.json["name"] == "new"
    assert opened.json["digest"] == hashlib.sha256(add).hexdigest()
    token = ((b"blindai-owner-token", opened.json["owner_token"].encode()),)
    deleted = await v2.ask("DELETE", "/v2/models/new", fields=token)
    assert deleted.status == 204
    assert deleted.content == b""


async def test_a_token_that_was_sent_is_not_sent_back(v2: V2, add: bytes) -> None:
    opened = await v2.ask("PUT", "/v2/models/new", add, OWNER)

    assert "owner_token" not in opened.json


async def test_a_model_notes_when_it_came(v2: V2, clock: Clock) -> None:
    (model,) = v2.service.models()

    assert model.created_at == clock.now


async def test_the_owner_may_replace_a_model(v2: V2, endless: bytes) -> None:
    opened = await v2.ask("PUT", ADD, endless, OWNER)

    assert opened.status == 201
    assert opened.json["digest"] == hashlib.sha256(endless).hexdigest()
    assert await names(v2) == ["add", "add"]
    assert (await v2.ask("GET", ADD)).json["digest"] == opened.json["digest"]


@pytest.mark.parametrize("fields", [(), STRANGER], ids=["nobody", "stranger"])
async def test_nobody_else_may_replace_a_model(
    v2: V2, endless: bytes, fields: Fields
) -> None:
    opened = await v2.ask("PUT", ADD, endless, fields)

    detail = "model name: expected a free one, got one in use"
    assert opened.problem == (409, "conflict", detail)
    assert (await v2.ask("GET", ADD)).json["digest"] != hashlib.sha256(
        endless
    ).hexdigest()


@pytest.mark.parametrize("fields", [(), STRANGER], ids=["nobody", "stranger"])
async def test_nobody_else_may_delete_a_model(v2: V2, fields: Fields) -> None:
    opened = await v2.ask("DELETE", ADD, fields=fields)

    detail = "model: expected its owner, got somebody else"
    assert opened.problem == (403, "forbidden", detail)
    assert await names(v2) == ["add"]


async def test_the_owner_may_delete_a_model(v2: V2) -> None:
    opened = await v2.ask("DELETE", ADD, fields=OWNER)

    assert opened.status == 204
    assert await names(v2) == []


BAD_NAME = "model name: expected 1 to 128 of A-Z a-z 0-9 . _ -"


@pytest.mark.parametrize(
    ("name", "status", "detail"),
    [
        ("%2e%2e", 400, BAD_NAME),
        ("..", 400, BAD_NAME),
        (".hidden", 400, BAD_NAME),
        ("a%20b", 400, BAD_NAME),
        ("a%5cb", 400, BAD_NAME),
        ("a%00b", 400, BAD_NAME),
        ("%C3%A9", 400, BAD_NAME),
        ("a" * 129, 400, BAD_NAME),
        ("../x", 404, "route: there is none at this path"),
        ("a/b", 404, "route: there is none at this path"),
        ("a%2fb", 404, "route: there is none at this path"),
        ("%2e%2e%2fx", 404, "route: there is none at this path"),
        ("a%2finfer", 400, "method: PUT is not one of this route's"),
    ],
)
async def test_a_name_is_no_path(
    v2: V2, add: bytes, name: str, status: int, detail: str
) -> None:
    actual, _, message = (await v2.ask("PUT", f"/v2/models/{name}", add)).problem

    assert actual == status, f"expected {status}, got {actual}"
    assert message.startswith(detail), f"expected {detail!r}, got {message!r}"
    assert await names(v2) == ["add"]


@pytest.mark.parametrize(
    "content",
    [b"", b"not a model", b"\x00" * 1000, b"\x08\x0a" * 1000, b"PK\x03\x04"],
    ids=["nothing", "text", "zeros", "fields", "zip"],
)
async def test_what_is_not_an_onnx_file_is_refused(v2: V2, content: bytes) -> None:
    status, kind, _ = (await v2.ask("PUT", "/v2/models/new", content)).problem

    assert (status, kind) == (422, "model-refused")
    assert await names(v2) == ["add"]


async def test_half_an_onnx_file_is_refused(v2: V2, add: bytes) -> None:
    opened = await v2.ask("PUT", "/v2/models/new", add[: len(add) // 2])

    assert opened.problem[:2] == (422, "model-refused")


async def test_data_outside_the_file_is_refused(v2: V2, add: bytes) -> None:
    model = onnx.load_from_string(add)
    weights = helper.make_tensor("w", TensorProto.FLOAT, [2], np.zeros(2, np.float32))
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../etc/passwd")
    model.graph.initializer[0].CopyFrom(weights)

    opened = await v2.ask("PUT", "/v2/models/new", model.SerializeToString())

    status, kind, detail = opened.problem
    assert (status, kind) == (422, "model-refused")
    assert "external" in detail or "own" in detail, f"got {detail!r}"
    assert await names(v2) == ["add"]


@pytest.mark.parametrize("claimed", [None, b"1"])
async def test_a_model_over_the_limit_is_refused_whatever_it_claims(
    make_v2: MakeV2, add: bytes, claimed: bytes | None
) -> None:
    limit = len(add) - 1
    v2 = await make_v2(Settings(models=ModelSettings(max_bytes=limit)))
    fields = () if claimed is None else ((b"content-length", claimed),)

    opened = await v2.ask("PUT", ADD, add, fields)

    detail = f"model: expected at most {limit} bytes, got more"
    assert opened.problem == (413, "too-large", detail)


async def test_a_refused_upload_gives_its_place_back(
    make_v2: MakeV2, add: bytes
) -> None:
    v2 = await make_v2(Settings(models=ModelSettings(max_uploads=1)))
    for _ in range(3):
        await v2.ask("PUT", ADD, b"not a model")

    assert (await v2.ask("PUT", ADD, add)).status == 201


@pytest.mark.parametrize(
    ("ending", "status"),
    [({"type": "http.disconnect"}, 0), ({"type": "http.request", "body": b""}, 200)],
    ids=["gone", "truncated"],
)
async def test_half_an_upload_is_not_taken_in_and_gives_its_place_back(
    make_v2: MakeV2,
    add: bytes,
    ending: Message,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    v2 = await make_v2(Settings(models=ModelSettings(max_uploads=1)))
    message = v2.message("PUT", ADD, add)
    sealing = v2.seal(message[:-20], message[-20:], b"")

    answer = await v2.post(sealing.pieces[:-2], ending=[ending])

    assert answer.status == status, f"expected {status}, got {answer.status}"
    assert v2.service.models() == ()
    assert (await v2.ask("PUT", ADD, add)).status == 201
    assert caplog.messages == [], "expected a client that goes to be no fault"


async def test_an_upload_that_lacks_its_final_chunk_only_is_not_taken_in(
    make_v2: MakeV2, add: bytes
) -> None:
    v2 = await make_v2()
    sealing = v2.seal(v2.message("PUT", ADD, add), b"")

    answer = await v2.post(sealing.pieces[:-1])

    assert sealing.open(answer.body).problem[:2] == (400, "not-opened")
    assert v2.service.models() == ()


async def test_more_models_than_the_limit_are_refused(
    make_v2: MakeV2, add: bytes
) -> None:
    v2 = await make_v2(Settings(models=ModelSettings(max_count=1)))
    await v2.ask("PUT", ADD, add)

    opened = await v2.ask("PUT", "/v2/models/second", add)

    assert opened.problem[:2] == (429, "overloaded")


KEYS = {scope: f"bai_{scope}-secret" for scope in ("infer", "upload", "admin", "rival")}


def bearer(name: str) -> Fields:
    return ((b"authorization", b"Bearer " + KEYS[name].encode()),)


@pytest.fixture
async def keyed(make_v2: MakeV2, add: bytes) -> V2:
    """Keys with one scope each, two for upload; `upload` has uploaded `add`."""
    scopes = {"rival": "upload"}
    v2 = await make_v2(
        Settings(
            api_keys=tuple(
                ApiKey(name=name, sha256=digest(key), scopes=(scopes.get(name, name),))
                for name, key in KEYS.items()
            )
        )
    )
    uploaded = await v2.ask("PUT", ADD, add, bearer("upload"))
    assert uploaded.status == 201
    assert "owner_token" not in uploaded.json
    return v2


REQUESTS = [
    ("GET", ADD, "infer"),
    ("GET", ADD + "/ready", "infer"),
    ("POST", ADD + "/infer", "infer"),
    ("POST", "/v2/repository/index", "infer"),
    ("PUT", "/v2/models/new", "upload"),
    ("DELETE", ADD, "upload"),
]


@pytest.mark.parametrize(("method", "path", "scope"), REQUESTS)
@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ((), "API key: expected a bearer token, got none"),
        (OWNER, "API key: expected a bearer token, got none"),
        (
            ((b"authorization", b"Bearer bai_wrong"),),
            "API key: expected a known one, got another",
        ),
    ],
    ids=["no key", "owner token", "wrong key"],
)
async def test_without_a_known_key_nothing_is_done(
    keyed: V2, method: str, path: str, scope: str, fields: Fields, detail: str
) -> None:
    del scope

    opened = await keyed.ask(method, path, b"", fields)

    assert opened.problem == (401, "unauthenticated", detail)
    assert [model.name for model in keyed.service.models()] == ["add"]


@pytest.mark.parametrize(("method", "path", "scope"), REQUESTS)
async def test_without_the_scope_nothing_is_done(
    keyed: V2, method: str, path: str, scope: str
) -> None:
    other = {"infer": "upload", "upload": "infer"}[scope]

    opened = await keyed.ask(method, path, b"", bearer(other))

    detail = f"scope: expected {scope}, got {other}"
    assert opened.problem == (403, "forbidden", detail)
    assert [model.name for model in keyed.service.models()] == ["add"]


@pytest.mark.parametrize(("method", "path", "scope"), REQUESTS)
async def test_with_the_scope_or_admin_a_request_is_let_in(
    keyed: V2, method: str, path: str, scope: str
) -> None:
    for name in ("admin", scope):
        opened = await keyed.ask(method, path, b"", bearer(name))

        allowed = opened.status not in {401, 403}
        assert allowed, f"expected {name} to be let in, got {opened.status}"


@pytest.mark.parametrize(
    "path", ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/configuration"]
)
async def test_some_routes_need_no_key(keyed: V2, path: str) -> None:
    assert (await keyed.ask("GET", path)).status == 200


async def test_a_key_does_not_touch_another_keys_model(keyed: V2, add: bytes) -> None:
    replaced = await keyed.ask("PUT", ADD, add, bearer("rival"))
    deleted = await keyed.ask("DELETE", ADD, fields=bearer("rival"))

    assert replaced.problem[:2] == (409, "conflict")
    assert deleted.problem[:2] == (403, "forbidden")


async def test_a_key_may_replace_and_delete_its_own_model(
    keyed: V2, endless: bytes
) -> None:
    replaced = await keyed.ask("PUT", ADD, endless, bearer("upload"))
    deleted = await keyed.ask("DELETE", ADD, fields=bearer("upload"))

    assert replaced.status == 201
    assert deleted.status == 204


async def test_an_admin_may_replace_a_model_which_stays_its_owners(
    keyed: V2, endless: bytes
) -> None:
    replaced = await keyed.ask("PUT", ADD, endless, bearer("admin"))

    assert replaced.status == 201
    assert {model.owner for model in keyed.service.models()} == {"key:upload"}
    assert (await keyed.ask("DELETE", ADD, fields=bearer("upload"))).status == 204


async def test_an_admin_may_delete_any_model_and_own_one(keyed: V2, add: bytes) -> None:
    deleted = await keyed.ask("DELETE", ADD, fields=bearer("admin"))
    uploaded = await keyed.ask("PUT", ADD, add, bearer("admin"))

    assert (deleted.status, uploaded.status) == (204, 201)
    assert [model.owner for model in keyed.service.models()] == ["key:admin"]


async def test_somebody_elses_name_is_refused_before_the_model_is_read(
    make_v2: MakeV2, add: bytes
) -> None:
    v2 = await make_v2(Settings(models=ModelSettings(max_bytes=len(add))))
    await v2.ask("PUT", ADD, add, OWNER)

    opened = await v2.ask("PUT", ADD, add + b"too large", STRANGER)

    assert opened.problem[:2] == (409, "conflict")
