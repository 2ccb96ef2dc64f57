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
