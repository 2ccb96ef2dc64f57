"""When documents are fetched again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.endorsements.conftest import NOW

from blindai.endorsements.schedule import refresh_at, retry_at

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("left", "revised", "wait"),
    [
        pytest.param(10 * HOUR, False, 5 * HOUR, id="half of what is left"),
        pytest.param(7 * 365 * 24 * HOUR, False, 3.5 * 365 * 24 * HOUR, id="years"),
        pytest.param(720 * HOUR, True, 24 * HOUR, id="a revised one once a day"),
        pytest.param(4 * HOUR, True, 2 * HOUR, id="a revised one that soon expires"),
        pytest.param(SECOND, False, 60 * SECOND, id="never more than once a minute"),
        pytest.param(-HOUR, True, 60 * SECOND, id="one that has expired"),
    ],
)
def test_a_document_is_fetched_again(
    left: timedelta, wait: timedelta, *, revised: bool
) -> None:
    assert refresh_at(NOW, NOW + left, 0, revised=revised) == NOW + wait


def test_chance_spreads_a_fleet_over_a_fifth_of_the_wait() -> None:
    assert refresh_at(NOW, NOW + 10 * HOUR, 1, revised=False) == NOW + 4 * HOUR


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 10), (2, 20), (3, 40), (9, 2560), (10, 3600)]
)
def test_each_failure_doubles_the_wait_up_to_an_hour(
    failures: int, seconds: int
) -> None:
    assert retry_at(NOW, failures, None, 0) == NOW + seconds * SECOND
    assert retry_at(NOW, failures, None, 1) == NOW + seconds * SECOND * 0.8


@pytest.mark.parametrize("chance", [0, 0.5, 1])
def test_a_source_that_asks_for_it_is_left_alone(chance: float) -> None:
    assert retry_at(NOW, 1, 50 * SECOND, chance) >= NOW + 50 * SECOND


def test_but_not_for_ever() -> None:
    assert retry_at(NOW, 1, timedelta(days=900), 0) == NOW + timedelta(days=1)


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_a_retry_comes_within_an_hour(failures: int, chance: float) -> None:
    assert NOW < retry_at(NOW, failures, None, chance) <= NOW + HOUR


@given(
    left=st.timedeltas(timedelta(hours=1), timedelta(days=30_000)),
    chance=st.floats(0, 1),
    revised=st.booleans(),
)
def test_a_refresh_comes_before_the_expiry(
    left: timedelta, chance: float, *, revised: bool
) -> None:
    assert NOW < refresh_at(NOW, NOW + left, chance, revised=revised) < NOW + left
