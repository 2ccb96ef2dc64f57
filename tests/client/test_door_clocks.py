"""Clocks that differ are corrected once, and keys past their time attested again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import blindai
from blindai.errors import InvalidRequestError, StaleRequestError
from blindai.protocol import problems
from blindai.protocol.names import ATTESTATION_PATH, GATEWAY_PATH
from blindai.server.asgi import App, Receive, Scope, Send
from blindai.server.enclave import Lifetimes
from blindai.server.gateway import Gateway
from blindai.server.serve import now
from blindai.testing import SimulatedEnclave

if TYPE_CHECKING:
    from tests.client.conftest import To, Wire

pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning"
)
EVIDENCE, SEALED = ("GET", ATTESTATION_PATH), ("POST", GATEWAY_PATH)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.moment = now()

    def __call__(self) -> datetime:
        return self.moment


async def _index(_: Scope, receive: Receive, send: Send) -> None:
    await receive()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"[]"})


def test_a_clock_that_differs_is_corrected_once(
    to: To,
    wire: Wire,
    serve: Callable[[App], SimulatedEnclave],
    gateway: Callable[..., Gateway],
) -> None:
    slow = serve(gateway(_index, clock=lambda: now() - timedelta(hours=1)))
    wire.answer = to(slow)
    with wire.connect() as client:
        assert client.models() == ()
        assert client.models() == ()
    assert wire.seen == [EVIDENCE, SEALED, SEALED, SEALED]


def test_keys_past_their_time_are_attested_again(
    to: To,
    wire: Wire,
    serve: Callable[[App], SimulatedEnclave],
    gateway: Callable[..., Gateway],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("blindai.client.transport._now", clock)
    lifetimes = Lifetimes(keys=timedelta(hours=2), overlap=timedelta(minutes=1))
    wire.answer = to(serve(gateway(_index, clock=clock, lifetimes=lifetimes)))
    with wire.connect() as client:
        client.models()
        clock.moment += timedelta(hours=1)
        client.models()
        clock.moment += timedelta(hours=2)
        client.models()
    assert wire.seen == [EVIDENCE, SEALED, SEALED, EVIDENCE, SEALED]


def refusing(
    fields: dict[str, str], kind: str = problems.DATE, status: int = 400
) -> App:
    """An application that refuses every request with a problem."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(k.encode(), v.encode()) for k, v in fields.items()]
        headers.append((b"content-type", problems.MEDIA_TYPE.encode()))
        body = json.dumps({"type": kind, "detail": "refused"}).encode()
        start = {"type": "http.response.start", "status": status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    return app


@pytest.mark.parametrize(
    ("fields", "tries"),
    [
        pytest.param({"date": "Mon, 01 Jan 2035 00:00:00 GMT"}, 2, id="a date"),
        pytest.param({"date": "Mon, 01 Jan 2035 00:00:00 -0000"}, 2, id="no zone"),
        pytest.param({"date": "yesterday"}, 2, id="no date"),
        pytest.param({}, 1, id="nothing"),
    ],
)
def test_an_enclave_that_refuses_every_date_is_believed_at_last(
    to: To,
    wire: Wire,
    serve: Callable[[App], SimulatedEnclave],
    gateway: Callable[..., Gateway],
    fields: dict[str, str],
    tries: int,
) -> None:
    wire.answer = to(serve(gateway(refusing(fields))))
    with wire.connect() as client, pytest.raises(StaleRequestError):
        client.models()
    assert wire.seen == [EVIDENCE, *[SEALED] * tries]


def test_another_refusal_that_bears_a_date_is_passed_on_whole(
    to: To,
    wire: Wire,
    serve: Callable[[App], SimulatedEnclave],
    gateway: Callable[..., Gateway],
) -> None:
    app = refusing({"date": "Mon, 01 Jan 2035 00:00:00 GMT"}, "about:blank")
    wire.answer = to(serve(gateway(app)))
    with (
        wire.connect() as client,
        pytest.raises(InvalidRequestError, match="refused"),
    ):
        client.models()
    assert wire.seen == [EVIDENCE, SEALED]


def test_a_refused_date_of_another_status_corrects_no_clock(
    to: To,
    wire: Wire,
    serve: Callable[[App], SimulatedEnclave],
    gateway: Callable[..., Gateway],
) -> None:
    app = refusing({"date": "Mon, 01 Jan 2035 00:00:00 GMT"}, status=409)
    wire.answer = to(serve(gateway(app)))
    with wire.connect() as client, pytest.raises(StaleRequestError):
        client.models()
    assert wire.seen == [EVIDENCE, SEALED]


def test_the_clock_of_the_client_is_in_utc() -> None:
    assert blindai.client.transport._now().tzinfo is UTC
