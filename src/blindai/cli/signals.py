"""Ctrl-C and SIGTERM end a command alike: everything it started ends with it.

Both raise KeyboardInterrupt, wherever the program is. Where that is inside an import,
Python may make another exception of it, or drop it: what counts is that a signal came.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the context with KeyboardInterrupt, and nothing else.

    SIGINT is left alone where somebody put it aside, as a shell does for what it runs
    in the background.

    Raises:
        KeyboardInterrupt: If one of them came.
    """
    stopped = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    except Exception as error:
        if stopped:
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stopped:
        raise KeyboardInterrupt


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Put SIGINT and SIGTERM off until the context ends: to start a process, say.

    One that came between its start and its name would leave it to nobody. A mask would
    do no good: whoever is started would inherit it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python has signals interrupt the main thread alone
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(signal.getsignal(number))
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
