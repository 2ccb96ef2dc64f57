"""A signal ends a command, whatever becomes of the exception that it raised."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

import pytest

from blindai.cli.signals import interruptible, uninterrupted
from blindai.errors import TransportError

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """SIGINT as a terminal leaves it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@SIGNALS
def test_it_ends_with_keyboard_interrupt(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(number)


@SIGNALS
@pytest.mark.parametrize("error", [RuntimeError("__set_name__"), TransportError("no")])
def test_another_exception_made_of_it_counts_as_it(
    number: signal.Signals, error: Exception
) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, interruptible():
        _raise_another(number, error)

    assert caught.value.__cause__ is error


def _raise_another(number: signal.Signals, error: Exception) -> None:
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        raise error from None


@SIGNALS
def test_one_that_was_dropped_is_not_forgotten(number: signal.Signals) -> None:
    dropped = contextlib.suppress(KeyboardInterrupt)

    with pytest.raises(KeyboardInterrupt), interruptible(), dropped:
        signal.raise_signal(number)


def test_without_a_signal_an_exception_stays_itself() -> None:
    with pytest.raises(TransportError), interruptible():
        raise TransportError("no")


@SIGNALS
def test_afterwards_all_is_as_before(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    with interruptible():
        assert signal.getsignal(number) is not before

    assert signal.getsignal(number) is before


def test_what_a_shell_put_aside_stays_aside() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    with interruptible():
        signal.raise_signal(signal.SIGINT)


def put_off(number: signal.Signals, steps: list[str]) -> None:
    with interruptible():
        with uninterrupted():
            signal.raise_signal(number)
            signal.raise_signal(number)
            steps.append("in one piece")
        steps.append("went on")


@SIGNALS
def test_one_that_is_put_off_comes_afterwards(number: signal.Signals) -> None:
    steps: list[str] = []

    with pytest.raises(KeyboardInterrupt):
        put_off(number, steps)

    assert steps == ["in one piece"]


def fail_when_put_off(number: signal.Signals) -> None:
    with interruptible(), uninterrupted():
        signal.raise_signal(number)
        raise TransportError("no")


@SIGNALS
def test_one_that_is_put_off_is_not_lost_to_a_failure(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail_when_put_off(number)


def test_what_was_put_aside_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    with uninterrupted():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_thread_is_never_interrupted() -> None:
    ran: list[str] = []

    def start() -> None:
        with uninterrupted():
            ran.append("in a thread")

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert ran == ["in a thread"]
