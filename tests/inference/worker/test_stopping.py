"""Runs that do not stop: whose worker is ended, when, and what of those beside them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from tests.inference.graphs import slow
from tests.inference.worker.alive import alive, ended
from tests.inference.worker.test_deaths import SETTINGS, Serving, square

from blindai.errors import DeadlineError
from blindai.inference.service import InferenceService

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_who_gives_up_early_ends_nobodys_worker() -> None:
    """A run that does not stop is left the time that any run has."""
    process = replace(SETTINGS.process, stop_s=0.1, run_s=2.0)
    async with InferenceService(replace(SETTINGS, process=process)) as service:
        serving = Serving(service)
        await serving.upload("slow", slow())
        pid = serving.pid("slow")
        began = time.monotonic()

        with pytest.raises(DeadlineError, match="passed while running"):
            await serving.infer("slow", square(1500), timeout_s=0.1)
        await asyncio.sleep(1)

        assert alive(pid)
        await ended(pid, within_s=4)
        assert time.monotonic() - began > 1.9


async def test_a_run_beside_one_that_does_not_stop_is_taken_over() -> None:
    async with InferenceService(SETTINGS) as service:
        serving = Serving(service)
        await serving.upload("slow", slow())
        pid = serving.pid("slow")
        blameless = asyncio.create_task(serving.infer("slow", square(480)))
        await asyncio.sleep(0.05)

        with pytest.raises(DeadlineError, match="passed while running"):
            await serving.infer("slow", square(1500), timeout_s=0.1)
        assert not blameless.done()
        await ended(pid, within_s=4)

        assert (await blameless).shape == (1, 1, 226, 226)
