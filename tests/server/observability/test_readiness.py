"""Whether requests should be sent here."""

from __future__ import annotations

import asyncio

import pytest

from blindai.errors import HardwareError
from blindai.server.observability import readiness
from blindai.server.observability.readiness import Readiness

pytestmark = pytest.mark.anyio


async def evidence() -> bytes:
    return b"evidence"


async def test_it_is_ready_once_started_with_evidence_until_it_drains() -> None:
    state, answers = Readiness(), []

    answers.append(await state.ready())
    state.start()
    answers.append(await state.ready())
    state.watch(evidence)
    answers.append(await state.ready())
    state.drain()
    answers.append(await state.ready())

    assert answers == [False, False, True, False]


async def test_it_is_not_ready_before_it_started() -> None:
    state = Readiness()
    state.watch(evidence)

    assert not await state.ready()


async def test_hardware_that_fails_makes_it_unready_until_it_works() -> None:
    answers = iter([HardwareError("broken"), None])

    async def flaky() -> None:
        error = next(answers)
        if error is not None:
            raise error

    state = Readiness()
    state.watch(flaky)
    state.start()

    assert [await state.ready(), await state.ready()] == [False, True]


async def test_hardware_that_hangs_is_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readiness, "_PATIENCE_S", 0.01)
    asked, done = [], asyncio.Event()

    async def slow() -> None:
        asked.append(1)
        await done.wait()

    state = Readiness()
    state.watch(slow)
    state.start()

    answers = [await state.ready(), await state.ready()]
    done.set()
    answers.append(await state.ready())

    assert answers == [False, False, True]
    assert len(asked) == 1
