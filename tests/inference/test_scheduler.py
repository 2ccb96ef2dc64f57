"""Who runs when, who waits, and who is refused."""

from __future__ import annotations

import time

import pytest
from tests.inference.by_hand import (
    FakeLane,
    Figures,
    Model,
    Sending,
    cancel,
    outcome,
    settle,
)

from blindai.errors import (
    DeadlineError,
    InvalidRequestError,
    ModelCrashedError,
    OverloadedError,
    UnavailableError,
)
from blindai.inference.isolation import BlamelessError
from blindai.inference.scheduler import Scheduler

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_request_runs_at_once(send: Sending, figures: Figures) -> None:
    model = Model("m", lanes=1)
    task = await send(model, 7)

    model.runs[0].end()

    assert await outcome(task) == [7.0]
    assert figures.ran_ == [("m", 1)]
    assert figures.waits == 1


async def test_slots_bound_all_models_together(send: Sending) -> None:
    first, second = Model("1", lanes=1), Model("2", lanes=1)
    await send(first, 1)
    waiting = await send(second, 2)
    assert (len(first.runs), len(second.runs)) == (1, 0)

    first.runs[0].end()
    await settle()
    second.runs[0].end()

    assert await outcome(waiting) == [2.0]


async def test_lanes_bound_one_model(figures: Figures) -> None:
    scheduler = Scheduler(9, {}, figures)
    send = Sending(scheduler)
    model = Model("m", lanes=2)
    for number in range(3):
        await send(model, number)

    assert model.began == [[[0]], [[1]]]
    assert scheduler.waiting == 1
    model.runs[0].end()
    await settle()
    assert model.began[2:] == [[[2]]]
    await send.close()


async def test_models_take_turns(send: Sending) -> None:
    busy, other = Model("busy", lanes=1), Model("other", lanes=1)
    began: list[str] = []
    await send(busy, 0)
    for number, model in enumerate((busy, busy, other), 1):
        await send(model, number)

    for _ in range(3):
        running = next(
            each.runs[-1]
            for each in (busy, other)
            if each.runs and not each.runs[-1].future.done()
        )
        running.end()
        await settle()
        began.append(f"{len(busy.runs)} {len(other.runs)}")

    assert began == ["2 0", "2 1", "3 1"]


async def test_a_full_queue_refuses(scheduler: Scheduler, send: Sending) -> None:
    model = Model("m", lanes=1, limit=2)
    for number in range(3):
        await send(model, number)

    refused = await send(model, 3)

    with pytest.raises(OverloadedError, match="at most 2 requests waiting"):
        await refused
    assert scheduler.waiting == 2


async def test_a_full_queue_is_one_models_own(send: Sending) -> None:
    model, other = Model("m", lanes=1, limit=1), Model("other", lanes=1, limit=1)
    await send(model, 0)
    await send(model, 1)

    waiting = await send(other, 2)

    assert not waiting.done()


async def test_who_fills_the_queue_makes_way_for_others(send: Sending) -> None:
    model = Model("m", lanes=1, limit=2)
    running = await send(model, 0)
    older, newer = await send(model, 1), await send(model, 2)

    other = await send(model, 3, tenant="b")

    with pytest.raises(OverloadedError, match="at most 2 requests waiting"):
        await newer
    for run in (0, 1, 2):
        model.runs[run].end()
        await settle()
    assert [await outcome(each) for each in (running, older, other)] == [[0], [1], [3]]


async def test_a_deadline_that_has_passed_is_refused_at_once(send: Sending) -> None:
    model = Model("m", lanes=1)
    task = await send(model, 0, timeout_s=0)

    with pytest.raises(DeadlineError, match="passed before the run"):
        await task
    assert model.runs == []


async def test_a_deadline_holds_in_the_queue(
    scheduler: Scheduler, send: Sending
) -> None:
    model = Model("m", lanes=1)
    running = await send(model, 0)
    waiting = await send(model, 1, timeout_s=0.02)

    with pytest.raises(DeadlineError, match="passed in the queue"):
        await waiting

    assert scheduler.waiting == 0
    assert not model.runs[0].stopped
    model.runs[0].end()
    assert await outcome(running) == [0]
    assert len(model.runs) == 1


async def test_a_deadline_holds_in_the_run(send: Sending) -> None:
    model = Model("m", lanes=1)
    task = await send(model, 0, timeout_s=0.02)
    began = time.monotonic()

    with pytest.raises(DeadlineError, match="passed while running"):
        await task

    assert time.monotonic() - began < 1
    assert model.runs[0].stopped


async def test_a_run_that_does_not_stop_keeps_its_lane(send: Sending) -> None:
    model = Model("m", lanes=1)
    task = await send(model, 0, timeout_s=0.02)
    next_ = await send(model, 1)
    with pytest.raises(DeadlineError):
        await task
    await settle()
    assert len(model.runs) == 1

    model.runs[0].fail(OverloadedError("stopped"))
    await settle()
    model.runs[1].end()

    assert await outcome(next_) == [1]


async def test_who_is_cancelled_leaves_the_queue(
    scheduler: Scheduler, send: Sending
) -> None:
    model = Model("m", lanes=1)
    await send(model, 0)
    waiting = await send(model, 1)

    await cancel(waiting)

    assert scheduler.waiting == 0


async def test_who_is_cancelled_has_the_run_stopped(send: Sending) -> None:
    model = Model("m", lanes=1)
    task = await send(model, 0)

    await cancel(task)

    assert model.runs[0].stopped


async def test_an_error_is_its_own_requests_only(send: Sending) -> None:
    model = Model("m", lanes=1)
    failing, next_ = await send(model, 0), await send(model, 1)

    model.runs[0].fail(InvalidRequestError("values"))
    await settle()
    model.runs[1].end()

    with pytest.raises(InvalidRequestError, match="values"):
        await failing
    assert await outcome(next_) == [1]


async def test_a_lane_that_is_gone_gets_nothing_more(
    scheduler: Scheduler, send: Sending
) -> None:
    model = Model("m", lanes=1)
    failing, next_ = await send(model, 0), await send(model, 1)

    model.alive = False  # its worker died
    model.runs[0].fail(ModelCrashedError("died"))
    await settle()
    with pytest.raises(ModelCrashedError, match="died"):
        await failing
    assert (len(model.runs), scheduler.waiting) == (1, 1)

    model.alive = True  # another took its place
    model.idle = [FakeLane(model.runs)]
    scheduler.dispatch()
    model.runs[1].end()
    assert await outcome(next_) == [1]


async def test_what_a_dead_worker_did_not_see_waits_for_the_next(
    scheduler: Scheduler, send: Sending
) -> None:
    model = Model("m", lanes=1)
    first, second = await send(model, 0), await send(model, 1)

    model.alive = False
    model.runs[0].fail(BlamelessError("dead already"))
    await settle()
    assert (len(model.runs), scheduler.waiting) == (1, 2)

    model.alive = True
    model.idle = [FakeLane(model.runs)]
    scheduler.dispatch()
    for run in (1, 2):
        model.runs[run].end()
        await settle()

    assert [await outcome(each) for each in (first, second)] == [[0], [1]]


async def test_what_a_dead_worker_did_not_see_is_refused_if_none_comes_next(
    send: Sending,
) -> None:
    model = Model("m", lanes=1)
    first, second = await send(model, 0), await send(model, 1)

    model.given_up = UnavailableError("given up")
    model.runs[0].fail(BlamelessError("dead already"))

    for each in (first, second):
        with pytest.raises(UnavailableError, match="given up"):
            await each


async def test_a_model_that_is_refused_answers_all_who_wait(
    scheduler: Scheduler, send: Sending
) -> None:
    model = Model("m", lanes=1)
    running, waiting = await send(model, 0), await send(model, 1)

    scheduler.refuse(model, OverloadedError("no more"))

    with pytest.raises(OverloadedError, match="no more"):
        await waiting
    model.runs[0].end()
    assert await outcome(running) == [0]


async def test_closing_refuses_who_waits_and_who_comes(
    scheduler: Scheduler, send: Sending
) -> None:
    model = Model("m", lanes=1)
    running, waiting = await send(model, 0), await send(model, 1)

    scheduler.close()
    scheduler.close()
    late = await send(model, 2)

    for task in (waiting, late):
        with pytest.raises(OverloadedError, match="closing"):
            await task
    assert model.runs[0].stopped
    model.runs[0].fail(OverloadedError("stopped"))
    with pytest.raises(OverloadedError, match="stopped"):
        await running
