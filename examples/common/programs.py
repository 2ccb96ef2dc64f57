"""Programs that end in words, and end what they run when they are interrupted."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING

from blindai.cli.exits import Exit
from blindai.cli.signals import interruptible, uninterrupted
from blindai.errors import BlindAIError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_GRACE_S = 10.0  # to remove what is half-written
_LOOK_S = 0.02


@contextlib.contextmanager
def ended() -> Iterator[None]:
    """Be a program: errors, Ctrl-C and SIGTERM end it without a traceback.

    Raises:
        SystemExit: In their place.
    """
    try:
        with interruptible():
            yield
    except BlindAIError as error:
        sys.exit(f"error: {error}")
    except OSError as error:  # a full disk, say
        sys.exit(f"error: {error.filename or 'a file'}: {reason(error)}")
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)


@contextlib.contextmanager
def started(
    words: Sequence[str],
    *,
    cwd: Path,
    stdout: IO[bytes] | int | None,
    stderr: int | None,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Start a program, which ends with the context at the latest.

    It gets a session of its own: Ctrl-C is ours, and we have it end in order.

    Args:
        words: The program, and its arguments.
        cwd: Where it runs.
        stdout: Where its output goes, as `subprocess` has it.
        stderr: Where its errors go, likewise.
        env: Its environment; this one's if not given.
    """
    with contextlib.ExitStack() as undo:
        with uninterrupted():
            process = subprocess.Popen(  # noqa: S603  our own words
                words,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                text=True,
                cwd=cwd,
                env=env,
                start_new_session=True,
            )
            undo.enter_context(process)
            undo.callback(_end, process)
        yield process


def run(
    words: Sequence[str],
    *,
    cwd: Path,
    timeout_s: float,
    output: int | None = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; if this one is interrupted, have it end in order.

    `subprocess.run` would kill it a quarter of a second after Ctrl-C, with half of what
    it writes left.

    Args:
        words: The program, and its arguments.
        cwd: Where it runs.
        timeout_s: How long it may take.
        output: Where what it says goes, as `subprocess.run` has it.
        env: Its environment; this one's if not given.

    Raises:
        TimeoutExpired: If it takes longer.
    """
    with started(words, cwd=cwd, stdout=output, stderr=output, env=env) as process:
        out, err = process.communicate(timeout=timeout_s)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def _end(process: subprocess.Popen[str]) -> None:
    """End a program that still runs, and all that it started, which is in its group.

    As Ctrl-C does first, after which all tidy up; what a shell runs in the background
    ignores that, and goes on when the shell has ended.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        give_up = time.monotonic() + _GRACE_S
        while time.monotonic() < give_up:
            process.poll()  # else it would be in its group for ever
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(_LOOK_S)
