"""A request counts once, and only near its date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import OverloadedError, ReplayedRequestError, StaleRequestError
from blindai.server.replay import ReplayCache, http_date

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WINDOW = timedelta(seconds=300)
SECOND = timedelta(seconds=1)


def date(moment: datetime) -> bytes:
    return http_date(moment).encode()


@pytest.fixture
def cache() -> ReplayCache:
    return ReplayCache(WINDOW, 4)


def test_a_date_is_written_as_http_writes_it() -> None:
    assert http_date(NOW) == "Mon, 01 Jun 2026 12:00:00 GMT"


def test_the_same_request_is_refused_the_second_time(cache: ReplayCache) -> None:
    cache.admit(b"one", date(NOW), NOW)

    with pytest.raises(ReplayedRequestError, match="expected a new one, got a copy"):
        cache.admit(b"one", date(NOW), NOW)


def test_requests_of_the_same_second_are_told_apart(cache: ReplayCache) -> None:
    cache.admit(b"one", date(NOW), NOW)
    cache.admit(b"two", date(NOW), NOW)


def test_a_missing_date_is_refused(cache: ReplayCache) -> None:
    with pytest.raises(StaleRequestError, match="expected a Date field, got none"):
        cache.admit(b"one", None, NOW)


@pytest.mark.parametrize(
    "malformed",
    [b"", b"today", b"1780315200", b"2026-06-01T12:00:00Z", b"\xff", b"Mon, 01 Jun"],
)
def test_a_malformed_date_is_refused(cache: ReplayCache, malformed: bytes) -> None:
    with pytest.raises(StaleRequestError, match="date: expected an HTTP date"):
        cache.admit(b"one", malformed, NOW)


@pytest.mark.parametrize("offset", [WINDOW, -WINDOW], ids=["ahead", "behind"])
def test_a_date_at_the_end_of_the_window_is_accepted(
    cache: ReplayCache, offset: timedelta
) -> None:
    cache.admit(b"one", date(NOW + offset), NOW)


@pytest.mark.parametrize(
    "offset", [WINDOW + SECOND, -WINDOW - SECOND], ids=["ahead", "behind"]
)
def test_a_date_outside_the_window_is_refused(
    cache: ReplayCache, offset: timedelta
) -> None:
    with pytest.raises(StaleRequestError) as refused:
        cache.admit(b"one", date(NOW + offset), NOW)

    assert refused.value.message == (
        f"date: expected within 300 s of {http_date(NOW)},"
        f" got {http_date(NOW + offset)}"
    )


def test_a_full_cache_refuses_and_forgets_nothing(cache: ReplayCache) -> None:
    for number in range(4):
        cache.admit(bytes([number]), date(NOW), NOW)

    with pytest.raises(OverloadedError, match="expected fewer than 4 requests"):
        cache.admit(b"new", date(NOW), NOW)

    for number in range(4):
        with pytest.raises(ReplayedRequestError):
            cache.admit(bytes([number]), date(NOW), NOW)


def test_a_refused_request_takes_no_place(cache: ReplayCache) -> None:
    cache.admit(b"one", date(NOW), NOW)
    for _ in range(9):
        with pytest.raises(ReplayedRequestError):
            cache.admit(b"one", date(NOW), NOW)

    cache.admit(b"two", date(NOW), NOW)


def test_a_full_cache_has_room_again_after_the_window(cache: ReplayCache) -> None:
    for number in range(4):
        cache.admit(bytes([number]), date(NOW), NOW)
    later = NOW + WINDOW + SECOND

    for number in range(4):
        cache.admit(b"later" + bytes([number]), date(later), later)

    with pytest.raises(OverloadedError):
        cache.admit(b"new", date(later), later)


def test_a_request_from_the_future_is_remembered_until_its_date_has_passed(
    cache: ReplayCache,
) -> None:
    ahead = date(NOW + WINDOW)
    cache.admit(b"one", ahead, NOW)

    with pytest.raises(ReplayedRequestError):
        cache.admit(b"one", ahead, NOW + 2 * WINDOW)

    with pytest.raises(StaleRequestError):
        cache.admit(b"one", ahead, NOW + 2 * WINDOW + SECOND)


def test_a_fraction_of_a_second_opens_no_gap(cache: ReplayCache) -> None:
    cache.admit(b"one", date(NOW), NOW)
    last = NOW + WINDOW - timedelta(microseconds=1)
    cache.admit(b"two", date(last), last)

    with pytest.raises(ReplayedRequestError):
        cache.admit(b"one", date(NOW), last)


def test_a_clock_set_back_does_not_bring_a_forgotten_request_back(
    cache: ReplayCache,
) -> None:
    cache.admit(b"one", date(NOW), NOW)
    later = NOW + 2 * WINDOW
    cache.admit(b"two", date(later), later)

    with pytest.raises(StaleRequestError, match="one that the clock has not passed"):
        cache.admit(b"one", date(NOW), NOW)


def test_a_clock_set_back_a_little_changes_nothing(cache: ReplayCache) -> None:
    cache.admit(b"one", date(NOW), NOW)
    cache.admit(b"two", date(NOW - 9 * SECOND), NOW - 9 * SECOND)

    with pytest.raises(ReplayedRequestError):
        cache.admit(b"two", date(NOW - 9 * SECOND), NOW)


@given(sent=st.binary(max_size=40))
def test_any_date_is_accepted_or_stale(sent: bytes) -> None:
    cache = ReplayCache(WINDOW, 1)
    outcomes = []
    try:
        cache.admit(b"one", sent, NOW)
    except StaleRequestError as error:
        outcomes.append(error.message)

    assert all(message.startswith("date: expected") for message in outcomes)


@given(seconds=st.lists(st.integers(-700, 700), max_size=30))
def test_no_request_is_admitted_twice_whatever_the_clock_does(
    seconds: list[int],
) -> None:
    cache = ReplayCache(WINDOW, 1000)
    admitted = 0
    for offset in seconds:
        now = NOW + timedelta(seconds=offset)
        try:
            cache.admit(b"other" + bytes(str(offset), "ascii"), date(now), now)
        except (ReplayedRequestError, StaleRequestError):
            continue
    for offset in seconds:
        now = NOW + timedelta(seconds=offset)
        for _ in range(2):
            try:
                cache.admit(b"one", date(NOW), now)
                admitted += 1
            except (ReplayedRequestError, StaleRequestError):
                continue

    assert admitted <= 1, f"expected once at most, got {admitted} times"


def test_a_date_of_another_length_is_not_even_read() -> None:
    date = b"Mon, 01 Jun 2026" + b" " * 60000 + b"12:00:00 GMT"

    with pytest.raises(StaleRequestError, match="expected an HTTP date"):
        ReplayCache(timedelta(seconds=300), 1).admit(b"enc", date, NOW)
