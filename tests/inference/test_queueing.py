"""Who waits, who makes way, and whose turn it is, whatever comes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import OverloadedError
from blindai.inference.batches import Request
from blindai.inference.fairness import Shares
from blindai.inference.isolation import Outcome
from blindai.inference.model import TensorSpec
from blindai.inference.queueing import ANONYMOUS, Batching, Job, Queue
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

OUTPUTS = (TensorSpec("y", Datatype.FP32, ("n",)),)
LOOP = asyncio.new_event_loop()
TENANTS = st.sampled_from(["a", "b", "c", ANONYMOUS])


@pytest.fixture(scope="module", autouse=True)
def _loop() -> Iterator[None]:
    yield
    LOOP.close()


def job(tenant: str, rows: int = 1, arrived: float = 0.0) -> Job:
    tensor = Tensor.of("x", np.zeros(rows, np.float32))
    future: asyncio.Future[Outcome] = LOOP.create_future()
    return Job(Request([tensor], OUTPUTS), tenant, future, arrived + 1e6, arrived)


def waiting(queue: Queue) -> Counter[str]:
    return Counter({tenant: len(queue._by_tenant[tenant]) for tenant in queue.tenants})


@given(st.lists(TENANTS, max_size=60), st.integers(1, 8))
def test_a_queue_is_bounded_and_the_largest_makes_way(
    tenants: list[str], limit: int
) -> None:
    queue = Queue(limit, None)
    kept: list[Job] = []
    for tenant in tenants:
        before, new = waiting(queue), job(tenant)
        largest = max(before.values(), default=0)
        try:
            displaced = queue.add(new)
        except OverloadedError:
            assert len(kept) == limit
            assert largest <= before[tenant] + 1
            continue
        if displaced is not None:
            assert len(kept) == limit
            assert before[displaced.tenant] == largest > before[tenant] + 1
            newest = [each for each in kept if each.tenant == displaced.tenant][-1]
            assert displaced is newest
            kept.remove(displaced)
        kept.append(new)
        assert len(queue) == len(kept) <= limit

    assert Counter(each.tenant for each in kept) == waiting(queue)
    assert set(queue.clear()) == set(kept)
    assert len(queue) == 0


@given(
    st.lists(st.tuples(TENANTS, st.integers(0, 6)), min_size=1, max_size=40),
    st.integers(2, 9),
    st.booleans(),
)
def test_a_batch_has_the_oldest_and_no_stranger(
    asked: list[tuple[str, int]], max_rows: int, across: object
) -> None:
    queue = Queue(99, Batching(max_rows=max_rows, across_tenants=bool(across)))
    left = [job(tenant, rows, at) for at, (tenant, rows) in enumerate(asked)]
    for each in left:
        queue.add(each)
    while left:
        tenant = queue.tenants[0]
        oldest = next(each for each in left if each.tenant == tenant)

        jobs, delay = queue.batch(tenant, 1e3)

        assert jobs[0] is oldest
        assert delay <= 0
        rows = sum(each.request.rows for each in jobs)
        assert len(jobs) == 1 or rows <= max_rows
        assert across or {each.tenant for each in jobs} == {tenant}
        assert across or tenant != ANONYMOUS or len(jobs) == 1
        for each in jobs:
            queue.remove(each)
            left.remove(each)
    assert len(queue) == 0


@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.floats(0.01, 100), min_size=1, max_size=6
    ),
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20),
)
def test_shares_are_the_weights(weights: dict[str, float], runs: list[float]) -> None:
    """Nobody who waits all the time is behind by more than one run of anybody's."""
    shares = Shares(weights)
    used = dict.fromkeys(weights, 0.0)
    for seconds in runs * 20:
        tenant = shares.first(list(weights))
        used[tenant] += seconds
        shares.charge(tenant, seconds)

    clocks = [used[tenant] / weights[tenant] for tenant in weights]
    slack = max(runs) / min(weights.values())
    assert max(clocks) - min(clocks) <= slack + 1e-6


def test_a_pause_saves_no_time_up() -> None:
    shares = Shares({})
    for _ in range(100):
        assert shares.first(["busy"]) == "busy"
        shares.charge("busy", 1.0)

    turns = []
    for _ in range(10):
        turns.append(shares.first(["busy", "back"]))
        shares.charge(turns[-1], 1.0)

    assert Counter(turns) == {"busy": 5, "back": 5}


def test_what_was_guessed_is_put_right() -> None:
    shares = Shares({})
    shares.charge("a", 10.0)
    shares.charge("a", 1.0 - 10.0)  # it took one second
    shares.charge("b", 2.0)

    assert shares.first(["b", "a"]) == "a"


def test_a_queue_learns_what_its_jobs_take() -> None:
    queue = Queue(1, None)
    for _ in range(60):
        queue.learn(2.0)

    assert queue.expected_s == pytest.approx(2.0, rel=0.01)
