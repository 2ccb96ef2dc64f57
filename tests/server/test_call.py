"""What the application inside sees, and what becomes of its failures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from blindai.errors import ForbiddenError, InvalidRequestError
from blindai.protocol.bhttp import Fields, RequestHead
from blindai.server.call import inner_scope

if TYPE_CHECKING:
    from tests.server.conftest import Door, MakeDoor

    from blindai.server.asgi import Message, Receive, Scope, Send

OUTER: Scope = {"asgi": {"version": "3.0"}, "headers": [(b"cookie", b"outside")]}


def head(
    path: bytes, authority: bytes = b"enclave.test", fields: Fields = ()
) -> RequestHead:
    return RequestHead(b"GET", b"https", authority, path, fields)


def test_the_scope_is_the_sealed_requests_and_nothing_of_the_outer_one() -> None:
    fields = ((b"host", b"other.test"), (b"accept", b"a"), (b"accept", b"b"))

    scope = inner_scope(OUTER, head(b"/a%20b/%2e?q=%20#"[:-1], fields=fields), "id")

    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/a b/.",
        "raw_path": b"/a%20b/%2e",
        "query_string": b"q=%20",
        "root_path": "",
        "headers": [(b"host", b"enclave.test"), (b"accept", b"a"), (b"accept", b"b")],
        "client": None,
        "server": None,
        "extensions": {"blindai": {"request_id": "id"}},
    }


def test_without_an_authority_the_first_host_field_says() -> None:
    fields = ((b"host", b"other.test"), (b"host", b"third.test"))

    scope = inner_scope(OUTER, head(b"/", authority=b"", fields=fields), "id")

    assert scope["headers"] == [(b"host", b"other.test")]


def test_without_either_the_host_is_empty() -> None:
    assert inner_scope(OUTER, head(b"/", authority=b""), "id")["headers"] == [
        (b"host", b"")
    ]


def test_the_lifespans_state_is_copied() -> None:
    outer = {**OUTER, "state": {"a": 1}}

    scope = inner_scope(outer, head(b"/"), "id")
    scope["state"]["a"] = 2

    assert outer["state"] == {"a": 1}


@pytest.mark.parametrize("path", [b"/%ff", b"/a%c3"])
def test_a_path_that_is_not_utf8_is_refused(path: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="path: expected UTF-8"):
        inner_scope(OUTER, head(path), "id")


@pytest.mark.anyio
async def test_a_path_that_is_not_utf8_is_refused_under_seal(door: Door) -> None:
    opened = await door.ask("GET", "/%ff")

    assert opened.problem == (400, "invalid-request", "path: expected UTF-8")


@pytest.mark.anyio
async def test_the_application_knows_the_requests_id(make_door: MakeDoor) -> None:
    ids: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        ids.append(scope["extensions"]["blindai"]["request_id"])

    door = make_door(app)

    opened = [await door.ask() for _ in range(2)]

    assert [each.json["request_id"] for each in opened] == ids
    assert ids[0] != ids[1]


@pytest.mark.anyio
async def test_a_call_that_a_closing_server_cancels_is_answered_under_seal(
    make_door: MakeDoor,
) -> None:
    begun = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    asking = asyncio.create_task(make_door(app).ask())
    await begun.wait()

    asking.cancel()

    detail = "server: expected it open, got it closing"
    assert (await asking).problem == (429, "overloaded", detail)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "error",
    [RuntimeError("secret"), ForbiddenError("secret"), RecursionError(), KeyError(1)],
)
async def test_an_application_that_raises_is_an_internal_problem_without_details(
    make_door: MakeDoor, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    opened = await make_door(app).ask()

    assert opened.problem == (500, "internal", "the enclave failed to answer")
    assert b"Traceback" not in opened.content
    assert "secret" not in caplog.text
    assert "Traceback" not in caplog.text
    line = f"request {opened.json['request_id']}: {type(error).__name__} at {__file__}"
    assert line in caplog.text


@pytest.mark.anyio
async def test_once_the_request_is_complete_the_application_sees_its_client_go(
    make_door: MakeDoor,
) -> None:
    received: list[Message] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        received.extend([await receive(), await receive()])

    door = make_door(app)
    request = {"type": "http.request", "body": b""}
    await door.post(door.seal().pieces, ending=[request, {"type": "http.disconnect"}])

    assert received == [
        {"type": "http.request", "body": b"", "more_body": False},
        {"type": "http.disconnect"},
    ]


@pytest.mark.anyio
async def test_an_answer_that_began_before_the_request_failed_goes_on(
    make_door: MakeDoor,
) -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await receive()
        await receive()
        await send({"type": "http.response.body", "body": b"two"})

    door = make_door(app)
    sealing = door.seal(door.message("POST", "/", b"content"), b"x")
    answer = await door.post(sealing.pieces)

    assert sealing.open(answer.body).content == b"one two"


@pytest.mark.anyio
async def test_an_answer_to_head_has_no_content(door: Door) -> None:
    opened = await door.ask("HEAD", "/", b"content")

    assert opened.status == 200
    assert opened.content == b""
