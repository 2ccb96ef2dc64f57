"""`blindai serve` is told to stop while a request runs."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.cli.serving import Served, serving

import blindai
from blindai.errors import BlindAIError

pytestmark = pytest.mark.slow  # servers that take their time to end

METRICS = ("--metrics", "127.0.0.1:0")
ENDLESS = 1_000_000_000  # rounds: hours


@contextlib.contextmanager
def running(
    served: Served, model: Path, count: Callable[[float], int]
) -> Iterator[list[object]]:
    """A request that runs meanwhile; how it ended, once it has."""
    ended: list[object] = []
    with blindai.connect(served.url, simulation=True) as client:
        client.upload_model(model)

        def predict(rounds: int) -> object:
            answer = client.predict("rounds", np.array([rounds]), timeout=60)
            return int(answer.output[0].as_numpy()[0])

        started_at = time.monotonic()
        predict(20_000)

        def run() -> None:
            try:
                ended.append(predict(count((time.monotonic() - started_at) / 20_000)))
            except BlindAIError as error:
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.5)
        yield ended
        thread.join()


def endless(_: float) -> int:
    return ENDLESS


def some_seconds(round_s: float) -> int:
    return round(4 / round_s)


@pytest.mark.filterwarnings("ignore::blindai.client.policies.SimulationWarning")
class TestStopping:
    def test_a_request_that_runs_ends_before_the_server_does(
        self, rounds: Path
    ) -> None:
        with serving(*METRICS) as served:
            ready_before = httpx.get(f"{served.metrics}/health/ready").status_code
            with running(served, rounds, some_seconds) as ended:
                served.process.send_signal(signal.SIGTERM)
                time.sleep(0.7)
                probe = httpx.get(f"{served.metrics}/health/ready")
                live = httpx.get(f"{served.metrics}/health/live")
                with pytest.raises(httpx.ConnectError):
                    httpx.get(served.url)
                still_running = not ended
            code = served.wait()

        assert ready_before == 200
        assert still_running, "the request was too short to prove anything"
        assert (probe.status_code, live.status_code) == (503, 200)
        assert isinstance(ended[0], int)
        assert ended[0] > 20_000
        assert code == 0
        assert served.log[-1] == "stopped\n"

    def test_after_the_time_to_drain_it_ends_all_the_same(self, rounds: Path) -> None:
        with (
            serving("--drain", "1") as served,
            running(served, rounds, endless) as ended,
        ):
            told_at = time.monotonic()
            served.process.send_signal(signal.SIGTERM)
            code = served.wait()
            took_s = time.monotonic() - told_at

        assert code == 0
        assert 1 <= took_s < 10
        assert isinstance(ended[0], BlindAIError)

    @pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
    def test_a_second_signal_ends_it_at_once(
        self, rounds: Path, second: signal.Signals
    ) -> None:
        with serving() as served, running(served, rounds, endless) as ended:
            served.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            going = served.process.poll() is None
            told_at = time.monotonic()
            served.process.send_signal(second)
            code = served.wait()
            took_s = time.monotonic() - told_at

        assert going, "the first signal ended it"
        assert code == -second
        assert took_s < 1
        assert isinstance(ended[0], BlindAIError)
