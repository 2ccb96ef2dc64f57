"""Removes models that are older than the measured configuration keeps them.

By the host's clock: an operator who sets it forward has them removed early, and one who
stops it keeps them. What is removed is said loudly, without a name.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from blindai.errors import BlindAIError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from blindai.inference.service import InferenceService

DAY_S = 86400.0
_log = logging.getLogger("blindai.server")


@asynccontextmanager
async def retaining(
    service: InferenceService,
    days: float,
    clock: Callable[[], datetime],
    every_s: float = DAY_S,
) -> AsyncIterator[None]:
    """Remove what is too old, now and then daily, as long as the context lasts.

    Args:
        service: Keeps the models.
        days: How long they are kept; 0 for ever.
        clock: The host's clock, aware, in UTC.
        every_s: How often to look, in seconds.
    """
    if not days:
        yield
        return
    await _expire(service, days, clock)
    task = asyncio.create_task(_expire_daily(service, days, clock, every_s))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _expire_daily(
    service: InferenceService,
    days: float,
    clock: Callable[[], datetime],
    every_s: float,
) -> None:
    while True:
        await asyncio.sleep(every_s)
        await _expire(service, days, clock)


async def _expire(
    service: InferenceService, days: float, clock: Callable[[], datetime]
) -> None:
    try:
        removed = await service.expire(clock() - timedelta(days=days))
    except BlindAIError as error:
        _log.error("retention: models could not be removed: %s", error.message)
        return
    if removed:
        _log.warning(
            "retention: removed %d versions of models, uploaded over %g days ago",
            removed,
            days,
        )
