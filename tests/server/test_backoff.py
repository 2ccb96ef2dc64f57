"""Hardware that failed is left alone, longer each time, until it answers."""

from __future__ import annotations

import pytest

from blindai.errors import HardwareError
from blindai.server.backoff import Backoff


def test_at_first_it_may_be_asked() -> None:
    Backoff().admit(0.0)


def test_after_a_failure_it_is_left_alone_for_a_second() -> None:
    backoff = Backoff()

    assert backoff.failed(10.0) == 1.0

    with pytest.raises(HardwareError, match="is asked again in 1 s"):
        backoff.admit(10.1)
    with pytest.raises(HardwareError):
        backoff.admit(10.999)
    backoff.admit(11.0)


def test_each_failure_doubles_the_pause_to_a_minute() -> None:
    backoff = Backoff()

    pauses = [backoff.failed(0.0) for _ in range(8)]

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_an_answer_ends_it() -> None:
    backoff = Backoff()
    backoff.failed(0.0)
    backoff.failed(0.0)

    backoff.succeeded()

    backoff.admit(0.0)
    assert backoff.failed(0.0) == 1.0
