"""Programs: those that are started end with who started them, and say why they end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from blindai.cli.exits import Exit
from blindai.cli.signals import interruptible
from blindai.errors import BlindAIError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_TIDY_S: Final = 5.0


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """End the program with what went wrong, in words and without a traceback.

    Ctrl-C and SIGTERM end it alike, after everything was tidied up.
    """
    try:
        with interruptible():
            yield
    except BlindAIError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or 'a file'}: {reason(error)}")
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)


def run(
    command: Sequence[str],
    timeout_s: float,
    folder: Path,
    output: int | None = subprocess.PIPE,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; it does not outlive this call.

    Args:
        command: The program and its arguments.
        timeout_s: How long it may take.
        folder: In which it runs.
        output: Where both of its outputs go, as `subprocess` has it.
        environment: Its variables; this program's own if None.

    Raises:
        TimeoutExpired: If it takes longer.
    """
    with subprocess.Popen(  # noqa: S603  our own words
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        text=True,
        cwd=folder,
        env=environment,
        start_new_session=True,  # Ctrl-C is ours; we end it
    ) as process:
        try:
            said, errors = process.communicate(timeout=timeout_s)
        except BaseException:
            end(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, said, errors)


def end(process: subprocess.Popen[Any]) -> None:
    """End a program of a session of its own, and what it started.

    As Ctrl-C does first, so that it leaves nothing half-written; who ignores that, as
    what a shell runs in the background does, is ended by force.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_TIDY_S)
            return
