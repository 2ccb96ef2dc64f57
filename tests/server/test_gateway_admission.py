"""Who is let through: each request once, near its date, sealed to a living key."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from blindai.protocol import ohttp
from blindai.protocol import ohttp_chunked as chunked
from blindai.server.enclave import Lifetimes
from blindai.server.gateway import GatewayLimits
from blindai.server.replay import http_date

if TYPE_CHECKING:
    from tests.server.conftest import Clock, Door, MakeDoor, MakeEnclave

    from blindai.server.asgi import App, Receive, Scope, Send

pytestmark = pytest.mark.anyio

KEY_PROBLEM = b"https://iana.org/assignments/http-problem-types#ohttp-key"


async def test_a_replayed_request_is_refused_and_not_run_again(
    make_door: MakeDoor, echo: App
) -> None:
    calls: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(scope["path"])
        await echo(scope, receive, send)

    door = make_door(app)
    sealing = door.seal()
    await door.send(sealing)

    refused = await door.send(sealing)

    assert refused.problem == (
        400,
        "replayed",
        "sealed request: expected a new one, got a copy",
    )
    assert calls == ["/"]


async def test_of_concurrent_copies_one_is_run(door: Door) -> None:
    sealing = door.seal()

    opened = await asyncio.gather(*(door.send(sealing) for _ in range(5)))

    assert sorted(each.status for each in opened) == [200, 400, 400, 400, 400]


async def test_a_full_replay_cache_refuses_and_does_not_forget(
    make_door: MakeDoor, echo: App, clock: Clock
) -> None:
    limits = GatewayLimits(replay_entries=1, replay_window=timedelta(seconds=10))
    door = make_door(echo, limits=limits)
    first = door.seal()
    await door.send(first)

    assert (await door.ask()).problem == (
        429,
        "overloaded",
        "replay cache: expected fewer than 1 requests within 10 s",
    )
    assert (await door.send(first)).problem[1] == "replayed"
    clock.now += timedelta(seconds=11)
    door.date = clock.now
    assert (await door.ask()).status == 200


@pytest.mark.parametrize(
    ("date", "detail"),
    [
        pytest.param(
            b"Mon, 01 Jun 2026 11:54:59 GMT",
            "date: expected within 300 s of Mon, 01 Jun 2026 12:00:00 GMT,"
            " got Mon, 01 Jun 2026 11:54:59 GMT",
            id="stale",
        ),
        pytest.param(None, "date: expected a Date field, got none", id="missing"),
        pytest.param(b"now", "date: expected an HTTP date", id="malformed"),
    ],
)
async def test_a_refused_date_is_answered_with_the_enclaves(
    door: Door, clock: Clock, date: bytes | None, detail: str
) -> None:
    opened = await door.send(door.seal(door.message(date=date)))

    assert opened.problem == (400, "date", detail)
    assert opened.json["type"].startswith("https://iana.org/assignments/")
    assert opened.fields[b"date"] == http_date(clock.now).encode()


async def test_other_refusals_say_nothing_of_the_time(door: Door) -> None:
    sealing = door.seal()
    await door.send(sealing)

    assert b"date" not in (await door.send(sealing)).fields


async def test_an_old_key_answers_within_grace_and_not_after(
    make_door: MakeDoor, make_enclave: MakeEnclave, echo: App, clock: Clock
) -> None:
    lifetimes = Lifetimes(
        keys=timedelta(hours=2), overlap=timedelta(hours=1), grace=timedelta(minutes=9)
    )
    door = make_door(echo, make_enclave(lifetimes=lifetimes))
    (old, *_) = door.configs()
    clock.now += timedelta(hours=2, minutes=9)
    door.date = clock.now

    sealing = _seal(old, door.message())
    within = await door.post([sealing])
    clock.now += timedelta(microseconds=1)
    after = await door.post([_seal(old, door.message())])

    assert old.key_id not in {config.key_id for config in door.configs()}
    assert within.status == 200, f"expected 200 within grace, got {within.status}"
    assert after.status == 400, f"expected 400 after grace, got {after.status}"
    assert KEY_PROBLEM in after.body


def _seal(config: ohttp.KeyConfig, plaintext: bytes) -> bytes:
    sealer = chunked.RequestSealer(config)
    return sealer.header + sealer.chunks.seal_final(plaintext)


@pytest.mark.anyio
async def test_a_request_that_waits_for_a_100_is_refused(door: Door) -> None:
    opened = await door.ask("PUT", "/", b"", ((b"expect", b"100-continue"),))

    assert opened.problem[:2] == (400, "invalid-request")
