"""A worker that does not begin leaves nothing open."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import pytest

from blindai.errors import OverloadedError
from blindai.inference.worker import frames
from blindai.inference.worker.forks import Forks
from blindai.inference.worker.processes import ProcessIsolation, ProcessLimits


class Full:
    """A zygote of a kernel that has no process left."""

    async def fork(self, *_: object) -> None:
        raise OverloadedError("worker: expected a process, got none")


def test_a_connection_to_a_worker_that_is_not_forked_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: list[socket.socket] = []
    pair = frames.pair

    def noted() -> tuple[socket.socket, socket.socket]:
        ends.extend(made := pair())
        return made

    monkeypatch.setattr(frames, "pair", noted)
    isolation = ProcessIsolation(ProcessLimits(), cast("Forks", Full()))
    with pytest.raises(OverloadedError):
        asyncio.run(isolation._fork(1 << 30, None))
    assert [end.fileno() for end in ends] == [-1, -1]
