"""The operator's own listener."""

from __future__ import annotations

import httpx
import pytest

from blindai.server.observability.listener import OperatorsApp, listening
from blindai.server.observability.metrics import Metrics
from blindai.server.observability.readiness import Readiness
from blindai.server.serve import Listen, bind

pytestmark = pytest.mark.anyio


async def evidence() -> None: ...


async def ask(readiness: Readiness, *requests: tuple[str, str]) -> list[httpx.Response]:
    app, sock = OperatorsApp(Metrics(), readiness), bind(Listen(port=0))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with listening(app, sock), httpx.AsyncClient(base_url=url) as client:
        return [await client.request(*each) for each in requests]


async def test_it_answers_three_addresses_and_nothing_else() -> None:
    readiness = Readiness()
    readiness.watch(evidence)
    readiness.start()

    answers = await ask(
        readiness,
        ("GET", "/metrics"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/"),
        ("GET", "/.well-known/ohttp-gateway"),
        ("POST", "/metrics"),
    )

    statuses = [answer.status_code for answer in answers]
    assert statuses == [200, 200, 200, 404, 404, 405]
    assert "blindai_worker_restarts_total 0.0" in answers[0].text
    assert answers[0].headers["content-type"].startswith("text/plain")
    assert [answer.text for answer in answers[1:]] == ["live\n", "ready\n", "", "", ""]
    assert "server" not in answers[0].headers


async def test_before_the_start_it_is_alive_and_not_ready() -> None:
    answers = await ask(Readiness(), ("GET", "/health/live"), ("GET", "/health/ready"))

    assert [answer.status_code for answer in answers] == [200, 503]
    assert answers[1].text == "not ready\n"
