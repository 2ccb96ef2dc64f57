"""Who is next among tenants, as time passes."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest
from tests.inference.by_hand import (
    Figures,
    Model,
    Run,
    Sending,
    request,
    settle,
)

from blindai.inference.fairness import Shares, Using
from blindai.inference.isolation import Outcome
from blindai.inference.scheduler import Scheduler

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    time = SimpleNamespace(monotonic=clock)  # the loop's own goes on
    monkeypatch.setattr("blindai.inference.scheduler.time", time)
    return clock


@pytest.mark.parametrize(
    ("slots", "costs"),
    [
        (1, {"a": 1.0, "b": 1.0, "c": 1.0}),
        (1, {"a": 0.1, "b": 5.0, "c": 1.0}),
        (4, {"a": 1.0, "b": 1.0, "c": 1.0}),
    ],
)
async def test_time_is_shared_by_weight(
    clock: Clock, figures: Figures, slots: int, costs: dict[str, float]
) -> None:
    """Three tenants want all they can get; runs of each take their own time."""
    weights = {"a": 1.0, "b": 2.0, "c": 5.0}
    names = dict(enumerate(weights))
    scheduler = Scheduler(slots, weights, figures)
    models = {name: Model(name, lanes=slots) for name in weights}
    tasks: list[asyncio.Task[Outcome]] = []

    def ask(number: int) -> None:
        name = names[number]
        infer = scheduler.infer(models[name], name, request(number), clock.now + 1e9)
        tasks.append(asyncio.get_running_loop().create_task(infer))

    for number in [0, 1, 2] * 10:
        ask(number)
    await settle()
    used = dict.fromkeys(weights, 0.0)
    ends: dict[Run, float] = {}
    while clock.now < 2000:
        for name, model in models.items():
            for run in model.runs:
                ends.setdefault(run, clock.now + costs[name])
            model.runs.clear()
        run = min(ends, key=lambda each: ends[each])
        clock.now = ends.pop(run)
        number = run.parts[0][0]
        used[names[number]] += costs[names[number]]
        ask(number)
        run.end()
        await settle()

    total = sum(used.values())
    for name, weight in weights.items():
        assert used[name] / total == pytest.approx(weight / 8, rel=0.03)
    scheduler.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_runs_that_have_not_ended_count(clock: Clock, figures: Figures) -> None:
    """Who has long runs on all slots but one is not next on that one."""
    scheduler = Scheduler(2, {}, figures)
    send = Sending(scheduler)
    model = Model("m", lanes=2)
    model.queue.learn(80.0)  # expects 10 s
    deadline = clock.now - time.monotonic() + 1e6
    for number, tenant in enumerate(("long", "short") * 2, 1):
        await send(model, number, tenant=tenant, timeout_s=deadline)

    clock.now += 1
    model.runs[1].end()
    await settle()

    assert model.began[2:] == [[[4]]]
    await send.close()


async def test_who_has_nothing_is_not_held_up_by_who_holds_all_slots(
    clock: Clock, figures: Figures
) -> None:
    """A second behind, a tenant runs beyond the slots: once, however much it wants."""
    scheduler = Scheduler(2, {}, figures)
    send = Sending(scheduler)
    long, short = Model("long", lanes=3), Model("short", lanes=3)
    deadline = clock.now - time.monotonic() + 1e6
    for number in range(3):
        await send(long, number, tenant="hog", timeout_s=deadline)
    for number in range(2):
        await send(short, number, tenant="other", timeout_s=deadline)
    assert (len(long.runs), len(short.runs)) == (2, 0)

    clock.now += 0.4  # of two runs: 0.8 s
    scheduler.dispatch()
    assert not short.runs
    clock.now += 0.2
    scheduler.dispatch()
    assert short.began == [[[0]]]
    clock.now += 10
    scheduler.dispatch()
    assert short.began == [[[0]]]
    short.runs[0].end()
    await settle()

    assert short.began == [[[0]], [[1]]]  # behind it is still
    assert len(long.runs) == 2
    await send.close()


def test_it_is_known_when_a_tenant_will_be_far_enough_behind() -> None:
    shares = Shares({"hog": 2.0})
    shares.charge("hog", 0.5)
    using = {"hog": Using(runs=2.0, more_s=0.5)}

    # 0.25 of 1 s are charged; 0.5 s that count for half are not; two run
    assert shares.until_behind_s("other", using, 1.0) == 0.5


async def test_a_heavier_weight_has_to_be_further_ahead_in_time(
    clock: Clock, figures: Figures
) -> None:
    scheduler = Scheduler(1, {"hog": 5.0}, figures)
    send = Sending(scheduler)
    long, short = Model("long", lanes=1), Model("short", lanes=1)
    deadline = clock.now - time.monotonic() + 1e6
    await send(long, 1, tenant="hog", timeout_s=deadline)
    await send(short, 2, tenant="other", timeout_s=deadline)

    clock.now += 4.9
    scheduler.dispatch()
    assert not short.runs
    clock.now += 0.2
    scheduler.dispatch()
    assert short.began == [[[2]]]
    await send.close()


async def test_without_keys_it_is_models_that_are_not_held_up(
    clock: Clock, figures: Figures
) -> None:
    scheduler = Scheduler(1, {}, figures)
    send = Sending(scheduler)
    long, short = Model("long", lanes=2), Model("short", lanes=2)
    deadline = clock.now - time.monotonic() + 1e6
    for model in (long, long, short):
        await send(model, 1, tenant="", timeout_s=deadline)

    clock.now += 0.9
    scheduler.dispatch()
    assert not short.runs
    clock.now += 0.2
    scheduler.dispatch()
    assert (len(long.runs), len(short.runs)) == (1, 1)
    await send.close()


async def test_who_is_behind_runs_without_anything_else_happening(
    figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blindai.inference.scheduler._PATIENCE_S", 0.05)
    scheduler = Scheduler(1, {}, figures)
    send = Sending(scheduler)
    long, short = Model("long", lanes=1), Model("short", lanes=1)
    await send(long, 1, tenant="hog")
    task = await send(short, 2, tenant="other")

    await asyncio.sleep(0.5)
    short.runs[0].end()

    assert (await task).outputs[0].array.tolist() == [[2.0]]
    await send.close()
