"""What the operator is shown, put together; what nobody asked for is not there."""

from __future__ import annotations

import pytest

from blindai.inference.observer import Silent
from blindai.server.asgi import Message, Receive, Scope, Send
from blindai.server.observability.logs import LogFormat
from blindai.server.observability.metrics import Metrics
from blindai.server.observability.operations import Operations, Shown
from blindai.server.observability.record import request_id
from blindai.server.serve import Listen, bind
from blindai.server.settings import TelemetrySettings

pytestmark = pytest.mark.anyio
TEE = "simulated-sev-snp-report"
TELLING = TelemetrySettings(url="http://127.0.0.1:1/")


async def ids(operations: Operations) -> list[str | None]:
    """The ids of requests that an application behind it sees."""
    seen: list[str | None] = []

    async def app(_: Scope, __: Receive, ___: Send) -> None:
        seen.append(request_id())

    scope = {"type": "http", "method": "GET", "path": "/"}
    await operations.around(app)(scope, receive, ignore)
    return seen


async def receive() -> Message:
    return {"type": "http.disconnect"}


async def ignore(_: Message) -> None: ...


async def test_without_anything_asked_for_nothing_is_recorded() -> None:
    operations = Operations(Shown(), None, TEE)

    assert isinstance(operations.observer, Silent)
    assert await ids(operations) == [None]


async def test_metrics_are_told_of_requests_and_models() -> None:
    with bind(Listen(port=0)) as sock:
        operations = Operations(Shown(listener=sock), None, TEE)

        assert isinstance(operations.observer, Metrics)
        assert await ids(operations) != [None]


@pytest.mark.parametrize(
    ("shown", "telling"),
    [(Shown(log_format=LogFormat.JSON), None), (Shown(), TELLING)],
    ids=["log", "telemetry"],
)
async def test_lines_and_telemetry_are_told_of_requests(
    shown: Shown, telling: TelemetrySettings | None
) -> None:
    operations = Operations(shown, telling, TEE)

    assert await ids(operations) != [None]


async def test_it_is_ready_once_the_application_has_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []

    async def note(url: str, _: bytes) -> None:
        told.append(url)

    monkeypatch.setattr(
        "blindai.server.observability.operations.send_report", note, raising=True
    )
    operations, states = Operations(Shown(), TELLING, TEE), []

    async def evidence() -> None: ...

    async def app(_: Scope, __: Receive, send: Send) -> None:
        states.append(await operations.readiness.ready())
        await send({"type": "lifespan.startup.complete"})
        states.append(await operations.readiness.ready())

    operations.readiness.watch(evidence)
    await operations.around(app)({"type": "lifespan"}, receive, ignore)

    assert states == [False, True]
    assert told == [TELLING.url]
