"""The contract of isolation: what begins, stops, and is left when it has ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from tests.inference.graphs import (
    FOR_EVER,
    add,
    endless,
    repeated,
)
from tests.inference.isolations import (
    KINDS,
    Running,
    admit,
    isolated,
    loaded,
    spooled,
)

from blindai.errors import (
    OverloadedError,
)
from blindai.inference.isolation import Isolation
from blindai.protocol.datatypes import Array
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=KINDS)
async def isolation(request: pytest.FixtureRequest) -> AsyncIterator[Isolation]:
    async with isolated(request.param) as isolation:
        yield isolation


async def test_lanes_run_at_the_same_time(isolation: Isolation) -> None:
    async with loaded(isolation, endless(), lanes=3) as running:
        stuck = [running.begin(*FOR_EVER, lane=lane) for lane in (0, 1)]
        one = Tensor.of("n", np.array(3))

        for _ in range(20):
            assert (await running.run(one, lane=2))[0] == 3.0

        assert not any(each.done() for each in stuck)


async def test_there_may_be_many_lanes(isolation: Isolation) -> None:
    """As many as the configuration allows, each with outputs that are held."""
    async with loaded(isolation, repeated(), lanes=32) as running:
        held: list[Array] = []
        for number in range(3):
            x = Tensor.of("x", np.full(1024, number, np.float32))
            times = Tensor.of("n", np.array([12]))
            runs = [running.run(x, times, lane=lane) for lane in range(32)]
            held += [output for (output,) in await asyncio.gather(*runs)]

        assert [float(each[0]) for each in held] == [0.0] * 32 + [1.0] * 32 + [2.0] * 32


async def test_many_outputs_may_be_held(isolation: Isolation) -> None:
    async with loaded(isolation, repeated()) as running:
        held = [await running.repeat(number, 12) for number in range(50)]

        assert [float(each[-1]) for each in held] == list(range(50))


async def stopped(running: Running, lane: int = 0) -> float:
    """Stop what runs; how long that took, in seconds."""
    began = time.monotonic()
    future = running.begin(*FOR_EVER, lane=lane)
    await asyncio.sleep(0.05)
    running.model.lanes[lane].stop()
    with pytest.raises(OverloadedError, match="stopped"):
        await future
    return time.monotonic() - began


async def test_a_run_that_is_stopped_ends(isolation: Isolation) -> None:
    async with loaded(isolation, endless(), lanes=2) as running:
        other = running.begin(*FOR_EVER, lane=1)

        assert await stopped(running) < 1

        assert (await running.run(Tensor.of("n", np.array(2))))[0] == 2.0
        assert not other.done()


async def test_a_run_may_be_stopped_as_it_begins(isolation: Isolation) -> None:
    async with loaded(isolation, endless()) as running:
        for _ in range(50):
            future = running.begin(*FOR_EVER)
            running.model.lanes[0].stop()

            with pytest.raises(OverloadedError, match="stopped"):
                await asyncio.wait_for(future, 5)


async def test_a_stop_that_comes_late_is_not_the_next_runs(
    isolation: Isolation,
) -> None:
    """A run may end while somebody stops it; the next one is another's."""
    few = Tensor.of("n", np.array(1000))
    async with loaded(isolation, endless()) as running:
        for _ in range(200):
            future = running.begin(few)
            while not future.done():  # noqa: ASYNC110  as late as can be
                await asyncio.sleep(0)
            running.model.lanes[0].stop()

            assert (await running.run(few))[0] == 1000.0


async def test_nothing_of_one_request_is_in_the_next_ones_outputs(
    isolation: Isolation,
) -> None:
    secret = 1234567.0
    async with loaded(isolation, repeated()) as running:
        for times in (20, 3, 20, 1):
            assert np.all(await running.repeat(secret, times) == secret)
            output = await running.repeat(0, times)
            assert output.shape == (1024 * times,)
            assert np.all(output == 0)


async def test_outputs_stay_as_they_are_while_somebody_holds_them(
    isolation: Isolation,
) -> None:
    async with loaded(isolation, repeated()) as running:
        held = {number: await running.repeat(number, 12) for number in range(8)}
        held[8] = await running.repeat(8, 5000)
        for number in range(100, 140):
            assert np.all(await running.repeat(number, 12) == number)
        for number, output in held.items():
            assert np.all(output == number)
        del held[0], held[5]
        for number in range(200, 220):
            assert np.all(await running.repeat(number, 12) == number)

    for number, output in held.items():  # after the model's end, too
        assert np.all(output == number)


def held_by_us() -> tuple[int, int]:
    """Descriptors and mappings of this process."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return len(list(Path("/proc/self/fd").iterdir())), len(
        [m for m in maps if "memfd" in m]
    )


async def test_nothing_grows_with_the_number_of_runs(isolation: Isolation) -> None:
    async with loaded(isolation, repeated()) as running:
        for times in (1, 9, 30, 5000):
            await running.repeat(1, times)
        before = held_by_us()

        for number in range(2000):
            await running.repeat(number, (1, 9, 30, 10)[number % 4])
        await running.repeat(1, 5000)
        await running.repeat(1, 1)

        after = held_by_us()
        assert after[0] <= before[0]
        assert after[1] <= before[1] + 2


async def test_nothing_is_left_of_models_that_are_closed(isolation: Isolation) -> None:
    async with loaded(isolation, add()) as running:
        await running.give(np.ones((3000, 4), np.float32))
    before = held_by_us()

    for _ in range(5):
        async with loaded(isolation, add(), lanes=2) as running:
            await running.give(np.ones((3000, 4), np.float32))
    await asyncio.sleep(0.1)

    assert held_by_us() <= before


async def test_closing_ends_what_runs(isolation: Isolation) -> None:
    async with loaded(isolation, endless(), lanes=2) as running:
        futures = [running.begin(*FOR_EVER, lane=lane) for lane in (0, 1)]
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await running.model.close()
            await running.model.close()

    for future in futures:
        with pytest.raises(OverloadedError):
            await asyncio.wait_for(future, 5)


async def test_models_do_not_mix(isolation: Isolation) -> None:
    ones = np.ones((2, 4), np.float32)
    async with (
        loaded(isolation, add(1.0)) as first,
        loaded(isolation, add(2.0)) as second,
    ):
        for _ in range(20):
            both = await asyncio.gather(first.give(ones), second.give(ones))
            assert [float(each[0, 0]) for each in both] == [2.0, 3.0]


async def test_a_cancelled_load_leaves_nothing(isolation: Isolation) -> None:
    proto = add()
    spec = await admit(isolation, proto)
    before = held_by_us()[0]
    async with spooled(proto) as spool:
        for number in range(10):
            task = asyncio.ensure_future(isolation.load(spool, spec, 2))
            await asyncio.sleep(number * 0.001)
            task.cancel()
            done = await asyncio.gather(task, return_exceptions=True)
            if not isinstance(done[0], BaseException):
                await done[0].close()
    await asyncio.sleep(0.2)

    assert held_by_us()[0] <= before + 1
    async with loaded(isolation, proto) as running:
        assert float((await running.give(np.ones((1, 4), np.float32)))[0, 0]) == 2.0
