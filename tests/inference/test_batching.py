"""What runs together, and what never does."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from tests.inference.by_hand import (
    OUTPUTS,
    Figures,
    Model,
    Sending,
    begin,
    cancel,
    outcome,
    settle,
)

from blindai.errors import (
    BlindAIError,
    DeadlineError,
    InvalidRequestError,
    ModelCrashedError,
    TensorError,
)
from blindai.inference.batches import Request
from blindai.inference.isolation import Outcome
from blindai.inference.queueing import Batching
from blindai.inference.scheduler import Scheduler
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


ALONE = Batching(max_rows=4)
TOGETHER = Batching(max_rows=4, across_tenants=True)


async def batch(
    send: Sending, batching: Batching, *tenants: str
) -> tuple[Model, list[asyncio.Task[Outcome]]]:
    """Requests that wait while another runs; then that one ends."""
    model = Model("m", lanes=1, batching=batching)
    await send(model, 0)
    tasks = [
        await send(model, number, tenant=tenant)
        for number, tenant in enumerate(tenants, 1)
    ]
    model.runs[0].end()
    await settle()
    return model, tasks


async def test_requests_of_one_tenant_go_together(
    send: Sending, figures: Figures
) -> None:
    model, tasks = await batch(send, ALONE, "a", "a")

    assert model.began[1:] == [[[1], [2]]]
    model.runs[1].end()

    assert [await outcome(task) for task in tasks] == [[1], [2]]
    assert figures.ran_ == [("m", 1), ("m", 2)]


async def test_requests_of_two_tenants_do_not(send: Sending) -> None:
    model, _ = await batch(send, ALONE, "b", "c", "b")

    assert model.began[1:] == [[[1], [3]]]


async def test_requests_of_two_tenants_do_where_that_is_configured(
    send: Sending,
) -> None:
    model, tasks = await batch(send, TOGETHER, "b", "c", "b")

    assert model.began[1:] == [[[1], [2], [3]]]
    model.runs[1].end()
    assert [await outcome(task) for task in tasks] == [[1], [2], [3]]


async def test_requests_without_a_key_do_not(send: Sending) -> None:
    """Nobody knows whether they are of one person."""
    model, _ = await batch(send, ALONE, "", "")

    assert model.began[1:] == [[[1]]]


async def test_requests_without_a_key_do_where_that_is_configured(
    send: Sending,
) -> None:
    model, _ = await batch(send, TOGETHER, "", "")

    assert model.began[1:] == [[[1], [2]]]


async def test_a_batch_has_no_more_rows_than_it_may(send: Sending) -> None:
    model = Model("m", lanes=1, batching=ALONE)
    await send(model, 0)
    for rows in ((1, 2, 3), (4,), (5, 6), (7,)):
        await send(model, *rows)

    for run in (0, 1):
        model.runs[run].end()
        await settle()

    assert model.began[1:] == [[[1, 2, 3], [4]], [[5, 6], [7]]]


async def test_a_request_of_more_rows_than_a_batch_runs_by_itself(
    send: Sending,
) -> None:
    model = Model("m", lanes=1, batching=ALONE)

    task = await send(model, *range(9))

    model.runs[0].end()
    assert len(await outcome(task)) == 9


async def test_only_alike_requests_go_together(
    scheduler: Scheduler, send: Sending
) -> None:
    model = Model("m", lanes=1, batching=ALONE)
    await send(model, 0)
    await send(model, 1)
    wide = Request([Tensor.of("x", np.array([[2, 2]], np.float32))], OUTPUTS)
    other = asyncio.get_running_loop().create_task(
        scheduler.infer(model, "a", wide, time.monotonic() + 30)
    )
    await settle()
    await send(model, 3)

    model.runs[0].end()
    await settle()

    assert model.began[1:] == [[[1], [3]]]
    await cancel(other)


@pytest.mark.parametrize("error", [InvalidRequestError, TensorError, ModelCrashedError])
async def test_a_failing_request_in_a_batch_fails_alone(
    send: Sending, error: type[BlindAIError]
) -> None:
    model, tasks = await batch(send, ALONE, "a", "a", "a")
    late = await send(model, 4)

    model.runs[1].fail(error("one of these"))
    await settle()
    model.runs[2].end()
    await settle()
    model.runs[3].fail(error("this one"))
    await settle()
    model.runs[4].end()
    await settle()
    model.runs[5].end()

    assert model.began[2:] == [[[1]], [[2]], [[3]], [[4]]]
    with pytest.raises(error, match="this one"):
        await tasks[1]
    assert [await outcome(each) for each in (tasks[0], tasks[2], late)] == [
        [1],
        [3],
        [4],
    ]


async def test_a_batch_whose_worker_died_fails_as_a_whole(send: Sending) -> None:
    model, tasks = await batch(send, ALONE, "a", "a")

    model.alive = False
    model.runs[1].fail(ModelCrashedError("died"))

    for task in tasks:
        with pytest.raises(ModelCrashedError, match="died"):
            await task


async def test_a_model_that_gives_other_rows_runs_requests_apart(
    send: Sending,
) -> None:
    model, tasks = await batch(send, ALONE, "a", "a")

    total = Tensor.of("y", np.array([[3]], np.float32))
    model.runs[1].future.set_result(Outcome((total,), 0.0))
    await settle()
    model.runs[2].end()
    await settle()
    model.runs[3].end()

    assert [await outcome(task) for task in tasks] == [[1], [2]]


async def test_who_leaves_a_batch_does_not_stop_it(send: Sending) -> None:
    model, tasks = await batch(send, ALONE, "a", "a")

    await cancel(tasks[0])
    assert not model.runs[1].stopped
    model.runs[1].end()
    assert await outcome(tasks[1]) == [2]


async def test_a_batch_that_all_have_left_is_stopped(send: Sending) -> None:
    model, tasks = await batch(send, ALONE, "a", "a")

    await cancel(tasks[0])
    await cancel(tasks[1])

    assert model.runs[1].stopped


async def test_a_deadline_holds_in_a_batch(send: Sending) -> None:
    model = Model("m", lanes=1, batching=ALONE)
    await send(model, 0)
    short = await send(model, 1, timeout_s=0.05)
    long = await send(model, 2)
    model.runs[0].end()
    await settle()
    assert model.began[1:] == [[[1], [2]]]

    with pytest.raises(DeadlineError, match="passed while running"):
        await short

    assert not model.runs[1].stopped
    model.runs[1].end()
    assert await outcome(long) == [2]


PATIENT = Batching(max_rows=4, max_delay_s=0.1)


async def test_a_lone_request_waits_no_longer_than_the_delay(send: Sending) -> None:
    model = Model("m", lanes=1, batching=PATIENT)
    began = time.monotonic()
    task = await send(model, 1)
    assert model.runs == []

    run = await begin(model)

    assert 0.1 <= time.monotonic() - began < 0.2
    run.end()
    assert await outcome(task) == [1]


async def test_a_full_batch_does_not_wait(send: Sending) -> None:
    model = Model("m", lanes=1, batching=PATIENT)

    for number in range(4):
        assert model.runs == []
        await send(model, number)

    assert model.began == [[[0], [1], [2], [3]]]


async def test_a_batch_that_the_next_does_not_fit_in_does_not_wait(
    send: Sending,
) -> None:
    model = Model("m", lanes=1, batching=PATIENT)
    await send(model, 1, 2, 3)
    assert model.runs == []

    await send(model, 4, 5)

    assert model.began == [[[1, 2, 3]]]


async def test_who_goes_with_nobody_does_not_wait(send: Sending) -> None:
    model = Model("m", lanes=1, batching=PATIENT)

    await send(model, 1, tenant="")

    assert model.began == [[[1]]]


async def test_who_has_little_time_waits_for_a_part_of_it_only(send: Sending) -> None:
    model = Model("m", lanes=1, batching=Batching(max_rows=4, max_delay_s=5))
    task = await send(model, 1, timeout_s=0.2)

    (await begin(model)).end()

    assert await outcome(task) == [1]
