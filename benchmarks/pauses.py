"""What a pause before a request costs: the same request at once, and after 16 ms.

A model that runs for 16 ms is such a pause to everything else. What was in the
processor's caches before it is not there after it, on a machine that is shared.
"""

from __future__ import annotations

import socket
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import numpy as np

import blindai
from benchmarks import models
from benchmarks.latency import request
from benchmarks.measure import Times, timed
from benchmarks.server import running
from blindai.client.policies import SimulationWarning
from blindai.protocol.names import GATEWAY_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

warnings.simplefilter("ignore", SimulationWarning)
_PAUSE_S = 0.016


@dataclass(frozen=True, slots=True)
class Paused:
    """One thing, done again and again.

    Attributes:
        what: What was done.
        at_once: One directly after the other.
        after_pause: Each after 16 ms in which nothing was done.
    """

    what: str
    at_once: Times
    after_pause: Times


def pauses() -> list[Paused]:
    """A function in Python, a page, a plain request and a sealed one of four numbers.

    The page is the key configurations, asked for by a bare socket: as little as uvicorn
    answers anything with.
    """
    array = np.ones((1, 4), np.float32)
    content, headers = request(array)
    with (
        running() as doors,
        blindai.connect(doors.sealed, simulation=True) as client,
        httpx.Client() as plain,
        _page(doors.sealed) as page,
    ):
        client.upload_model(models.reduction((1, 4)), "tiny")
        url = f"{doors.plain}/v2/models/tiny/infer"
        return [
            _paused("a function in Python, no request", _work),
            _paused("a page of the server's, by a bare socket", page),
            _paused(
                "1x4 float32, plain HTTP",
                lambda: plain.post(url, content=content, headers=headers),
            ),
            _paused("1x4 float32, sealed", lambda: client.predict("tiny", array)),
        ]


@contextmanager
def _page(url: str) -> Iterator[Callable[[], object]]:
    host, port = url.removeprefix("http://").split(":")
    asked = f"GET {GATEWAY_PATH} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def ask() -> bytes:
            connection.sendall(asked)
            return connection.recv(65536)  # the server sends it in one piece

        yield ask


def _paused(what: str, action: Callable[[], object]) -> Paused:
    return Paused(
        what,
        timed(action, rounds=500),
        timed(action, rounds=200, before=lambda: time.sleep(_PAUSE_S)),
    )


def _work() -> list[str]:
    """Some 25 us of an interpreter's time, in a few dozen kilobytes of memory."""
    numbers = {str(number): [number] * 3 for number in range(200)}
    return sorted(numbers)
