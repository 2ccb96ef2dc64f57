"""Each request leaves one record, with words of closed sets."""

from __future__ import annotations

import pytest
from tests.server.conftest import V2, Door, MakeV2

from blindai.protocol import ohttp
from blindai.protocol.names import ATTESTATION_PATH, GATEWAY_PATH
from blindai.server.asgi import App, Receive, Scope, Send
from blindai.server.auth import digest
from blindai.server.observability.record import (
    EVIDENCE,
    KEYS,
    OTHER,
    UNOPENED,
    Record,
    request_id,
)
from blindai.server.observability.recording import Recording
from blindai.server.settings import ApiKey, Settings

pytestmark = pytest.mark.anyio
KEY = ApiKey(name="ward-7", sha256=digest("secret"), scopes=("infer",))


def record(door: Door) -> list[Record]:
    """Have a door's requests recorded."""
    records: list[Record] = []
    door.gateway = Recording(door.gateway, [records.append])
    return records


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", GATEWAY_PATH, KEYS, "2xx"),
        ("GET", ATTESTATION_PATH, EVIDENCE, "2xx"),
        ("POST", GATEWAY_PATH, UNOPENED, "4xx"),
        ("GET", "/a-secret", OTHER, "4xx"),
        ("A-SECRET", GATEWAY_PATH, OTHER, "4xx"),
    ],
)
async def test_outside_the_seal_a_request_has_the_class_of_its_address(
    door: Door, method: str, path: str, route: str, status: str
) -> None:
    records = record(door)

    await door.call(method, path)

    (found,) = records
    assert (found.route, found.status, found.problem) == (route, status, "")


async def test_bytes_that_do_not_open_are_unopened(door: Door) -> None:
    records = record(door)

    await door.post([b"\0" * 100], ohttp.REQUEST_TYPE)

    (found,) = records
    assert (found.route, found.status, found.bytes_in) == (UNOPENED, "4xx", 100)


@pytest.mark.parametrize(
    ("method", "path", "route", "status", "problem"),
    [
        ("GET", "/v2", "server", "2xx", ""),
        ("POST", "/v2/repository/index", "index", "2xx", ""),
        ("GET", "/v2/models/add", "model", "2xx", ""),
        ("POST", "/v2/models/a-secret/infer", "infer", "4xx", "not-found"),
        ("PUT", "/v2/models/a-secret", "upload", "4xx", "model-refused"),
        ("GET", "/a-secret", OTHER, "4xx", "not-found"),
        ("PATCH", "/v2", "server", "4xx", "invalid-request"),
    ],
)
async def test_inside_it_the_class_of_its_route(
    v2: V2, method: str, path: str, route: str, status: str, problem: str
) -> None:
    records = record(v2)

    opened = await v2.ask(method, path)

    (found,) = records
    assert (found.route, found.status, found.problem) == (route, status, problem)
    assert found.inner_status == opened.status
    assert found.outer_status == 200
    assert found.tenant == ""


async def test_the_id_is_the_one_that_the_answer_bears(v2: V2) -> None:
    records = record(v2)

    opened = await v2.ask("GET", "/none")

    assert opened.json["request_id"] == records[0].request_id


async def test_a_replay_is_a_problem_of_no_route(door: Door) -> None:
    records, sealing = record(door), door.seal()

    await door.send(sealing)
    await door.send(sealing)

    assert [(each.route, each.problem) for each in records] == [
        (OTHER, ""),
        (OTHER, "replayed"),
    ]


async def test_sizes_are_the_networks_and_time_passes(door: Door) -> None:
    records, sealing = record(door), door.seal()

    answer = await door.post(sealing.pieces)

    (found,) = records
    assert found.bytes_in == len(sealing.body)
    assert found.bytes_out == len(answer.body)
    assert 0 < found.seconds < 10


async def test_the_tenant_is_the_holder_of_the_key(make_v2: MakeV2) -> None:
    door = await make_v2(Settings(api_keys=(KEY,)))
    records = record(door)

    await door.ask(
        "POST", "/v2/repository/index", b"", ((b"authorization", b"Bearer secret"),)
    )
    await door.ask("POST", "/v2/repository/index")

    assert [each.tenant for each in records] == ["key:ward-7", ""]


async def test_inside_the_request_its_id_is_known(door: Door) -> None:
    seen: list[str | None] = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        seen.append(request_id())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    door.gateway = app
    records = record(door)

    await door.call("GET", "/")

    assert seen == [records[0].request_id]


async def test_an_application_that_fails_is_recorded(door: Door) -> None:
    async def broken(_: Scope, __: Receive, ___: Send) -> None:
        raise RuntimeError("broken")

    door.gateway = broken
    records = record(door)

    with pytest.raises(RuntimeError):
        await door.call("GET", "/")

    assert [each.status for each in records] == ["none"]


async def test_what_is_no_request_leaves_none() -> None:
    passed: list[str] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        passed.append(scope["type"])

    records: list[Record] = []
    recording: App = Recording(app, [records.append])

    await recording({"type": "lifespan"}, _never, _never)  # type: ignore[arg-type]  # not called

    assert passed == ["lifespan"]
    assert records == []


async def _never() -> None:
    raise AssertionError("unreachable")
