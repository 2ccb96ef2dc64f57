"""Who runs when, who waits, and who is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from blindai.errors import DeadlineError, OverloadedError, TensorError
from blindai.inference.admission import AdmissionLimits, admit
from blindai.inference.runtime import LoadedModel, Outcome, Runtime, RuntimeSettings
from blindai.inference.scheduler import Scheduler
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
QUICK = [Tensor.of("n", np.array(1))]
FOR_EVER = [Tensor.of("n", np.array(1 << 60))]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    runtime = Runtime(RuntimeSettings(workers=1, intra_op_threads=1))
    yield runtime
    await runtime.close()


@pytest.fixture
def scheduler(runtime: Runtime) -> Scheduler:
    return Scheduler(runtime, max_queue=2)


@pytest.fixture
def counter(runtime: Runtime, tmp_path: Path) -> LoadedModel:
    """A model that counts to n, one by one."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["still_on"]),
            helper.make_node("Add", ["sum", "one"], ["next_sum"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("still_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next_sum", FLOAT, []),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["n", "", "zero"], ["y"], body=body)],
        "g",
        [helper.make_tensor_value_info("n", INT64, [])],
        [helper.make_tensor_value_info("y", FLOAT, [])],
        [
            helper.make_tensor("one", FLOAT, [], [1.0]),
            helper.make_tensor("zero", FLOAT, [], [0.0]),
        ],
    )
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, ir_version=10, opset_imports=[opset])
    file = tmp_path / "model"
    file.write_bytes(model.SerializeToString())
    spec = admit(memoryview(file.read_bytes()), AdmissionLimits())
    return runtime.load(str(file), spec)


class Requests:
    """Requests to one scheduler, and the order in which they ended."""

    def __init__(self, scheduler: Scheduler, model: LoadedModel) -> None:
        self._scheduler = scheduler
        self._model = model
        self.ended: list[str] = []

    async def send(
        self,
        name: str = "",
        queue: str = "model",
        tensors: list[Tensor] | None = None,
        timeout_s: float = 30,  # a deadline is what is tested
    ) -> Outcome:
        deadline = time.monotonic() + timeout_s
        outcome = await self._scheduler.infer(
            queue, self._model, tensors or QUICK, (), deadline
        )
        self.ended.append(name)
        return outcome

    async def begin(
        self,
        name: str = "",
        queue: str = "model",
        tensors: list[Tensor] | None = None,
        timeout_s: float = 30,  # a deadline is what is tested
    ) -> asyncio.Task[Outcome]:
        """Send, and wait until the request runs or waits."""
        task = asyncio.create_task(self.send(name, queue, tensors, timeout_s))
        await asyncio.sleep(0)
        return task


@pytest.fixture
def requests(scheduler: Scheduler, counter: LoadedModel) -> Requests:
    return Requests(scheduler, counter)


async def cancel(task: asyncio.Task[Outcome]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_request_runs(requests: Requests) -> None:
    outcome = await requests.send(tensors=[Tensor.of("n", np.array(7))])

    assert outcome.outputs[0].array.tolist() == 7.0


async def test_inputs_and_outputs_are_compared_before_the_queue(
    requests: Requests, scheduler: Scheduler, counter: LoadedModel
) -> None:
    running = await requests.begin(tensors=FOR_EVER)

    with pytest.raises(TensorError, match="inputs"):
        await scheduler.infer("model", counter, [], (), time.monotonic() + 30)
    with pytest.raises(TensorError, match="outputs"):
        await scheduler.infer("model", counter, QUICK, ["z"], time.monotonic() + 30)

    await cancel(running)


async def test_a_full_queue_refuses(requests: Requests) -> None:
    running = await requests.begin(tensors=FOR_EVER)
    waiting = [await requests.begin(), await requests.begin()]

    with pytest.raises(OverloadedError, match="at most 2 requests waiting"):
        await requests.send()

    await cancel(running)
    await asyncio.gather(*waiting)


async def test_a_full_queue_is_one_models_own(requests: Requests) -> None:
    running = await requests.begin(tensors=FOR_EVER)
    waiting = [await requests.begin(), await requests.begin()]

    other = await requests.begin(queue="other")

    await cancel(running)
    await asyncio.gather(other, *waiting)


async def test_models_take_turns(requests: Requests) -> None:
    running = await requests.begin(tensors=FOR_EVER)
    waiting = [
        await requests.begin("busy 1", "busy"),
        await requests.begin("busy 2", "busy"),
        await requests.begin("other 1", "other"),
    ]

    await cancel(running)
    await asyncio.gather(*waiting)

    assert requests.ended == ["busy 1", "other 1", "busy 2"]


async def test_a_worker_is_free_again_after_a_run(requests: Requests) -> None:
    for _ in range(3):
        await requests.send()

    assert len(requests.ended) == 3


async def test_a_deadline_that_has_passed_is_refused_at_once(
    requests: Requests,
) -> None:
    with pytest.raises(DeadlineError, match="passed before the run"):
        await requests.send(timeout_s=0)


async def test_a_deadline_holds_in_the_queue(requests: Requests) -> None:
    running = await requests.begin(tensors=FOR_EVER)

    with pytest.raises(DeadlineError, match="passed in the queue"):
        await requests.send(timeout_s=0.02)

    await cancel(running)
    await requests.send()


async def test_who_leaves_the_queue_makes_room(requests: Requests) -> None:
    running = await requests.begin(tensors=FOR_EVER)
    first, second = await requests.begin(), await requests.begin()
    await cancel(second)

    third = await requests.begin()

    await cancel(running)
    await asyncio.gather(first, third)


async def test_a_deadline_holds_in_the_run(requests: Requests) -> None:
    began = time.monotonic()

    with pytest.raises(DeadlineError, match="passed while running"):
        await requests.send(tensors=FOR_EVER, timeout_s=0.05)

    assert time.monotonic() - began < 1
    await requests.send(timeout_s=1)


async def test_a_request_that_is_cancelled_stops_its_run(requests: Requests) -> None:
    running = await requests.begin(tensors=FOR_EVER)
    await asyncio.sleep(0.02)

    await cancel(running)

    await requests.send(timeout_s=1)


async def test_a_turn_given_to_one_who_is_cancelled_goes_to_the_next(
    requests: Requests, scheduler: Scheduler
) -> None:
    running = await requests.begin(tensors=FOR_EVER)
    first, second = await requests.begin(), await requests.begin(timeout_s=1)
    await cancel(running)
    while len(scheduler._queues["model"]) == 2:  # noqa: ASYNC110  # first's turn
        await asyncio.sleep(0)

    await cancel(first)

    await second


async def test_a_worker_is_free_when_all_who_waited_have_left(
    requests: Requests, runtime: Runtime
) -> None:
    running = await requests.begin(tensors=FOR_EVER)
    await cancel(await requests.begin())
    await cancel(running)
    while runtime._busy:  # noqa: ASYNC110  # nothing says when
        await asyncio.sleep(0)

    await requests.send(timeout_s=1)


async def test_closing_refuses_who_waits_and_who_comes(
    requests: Requests, scheduler: Scheduler
) -> None:
    running = await requests.begin(tensors=FOR_EVER)
    waiting, leaving = await requests.begin(), await requests.begin()
    await asyncio.sleep(0)

    scheduler.close()
    scheduler.close()
    await cancel(leaving)

    with pytest.raises(OverloadedError, match="closing"):
        await waiting
    with pytest.raises(OverloadedError, match="closing"):
        await requests.send()
    await cancel(running)


async def test_two_workers_run_two_requests(counter: LoadedModel) -> None:
    runtime = Runtime(RuntimeSettings(workers=2, intra_op_threads=1))
    requests = Requests(Scheduler(runtime, max_queue=1), counter)
    running = await requests.begin(tensors=FOR_EVER)

    await requests.send()

    await cancel(running)
    await runtime.close()
