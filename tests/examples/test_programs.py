"""An example that is interrupted ends quietly, with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import onnx
import pytest
from examples.common import ROOT, programs
from examples.common.graphs import FLOAT, model, node

from blindai.cli import signals
from blindai.cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.usefixtures("interruptible")
ENDINGS = pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])


MODEL = """
from examples.common.building import main
import {module}, pathlib
def build(path, samples):
    path.write_bytes(b"half")
    (samples / "half.txt").write_text("half")
{body}
main(build)
"""
ENDLESS = """
import pathlib, time
pathlib.Path("begun").touch()
try:
    time.sleep(60)
finally:
    pathlib.Path("tidied").touch()
"""
DEADLINE_S = 30.0


STARTED = """
import os, time
from pathlib import Path
def started():
    path = Path(__file__).with_name("pid")
    path.with_name("new").write_text(str(os.getpid()))
    path.with_name("new").rename(path)
    time.sleep(60)
"""


@dataclass(frozen=True, slots=True)
class Runner:
    """`examples.run double`, with an example of the test's.

    Attributes:
        folder: Where the example's programs are.
        kept: Where its model is.
    """

    folder: Path
    kept: Path

    def write(self, name: str, text: str) -> None:
        """Write one of the example's programs."""
        (self.folder / name).write_text(STARTED + textwrap.dedent(text))

    def interrupt(self, ending: signal.Signals) -> tuple[int, str, str]:
        """Run it until one of the programs has started; then end it.

        Returns:
            Its exit code, and what it said on stdout and on stderr.
        """
        program = textwrap.dedent(f"""
            import sys
            from pathlib import Path
            from examples import run
            from examples.common import serving
            serving.EXAMPLES = Path({str(self.folder.parent)!r})
            serving.KEPT = Path({str(self.kept.parent)!r})
            serving.environment = lambda _: Path(sys.executable)
            run.main()
        """)
        with subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-c", program, "double"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)},
        ) as process:
            self.await_start()
            process.send_signal(ending)
            said, errors = process.communicate(timeout=30)
        return process.returncode, said, errors

    def await_start(self) -> None:
        """Wait until one of the programs has started."""
        for _ in range(1200):
            if (self.folder / "pid").exists():
                return
            time.sleep(0.05)
        raise TimeoutError

    def require_end(self) -> None:
        """Require that the program that had started is no more."""
        with pytest.raises(ProcessLookupError):
            os.kill(int((self.folder / "pid").read_text()), 0)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    made = Runner(tmp_path / "examples" / "double", tmp_path / "kept" / "double")
    made.folder.mkdir(parents=True)
    made.kept.mkdir(parents=True)
    made.write("client.py", "")
    return made


@ENDINGS
def test_server_and_client_end_with_the_runner(
    runner: Runner, ending: signal.Signals
) -> None:
    runner.write("model.py", "")
    two = {"two": np.array(2, np.float32)}
    shape: dict[str, tuple[int, Sequence[int | str]]] = {"x": (FLOAT, ["n", 2])}
    made = model([node("Mul", "x two", "y")], shape, {"y": (FLOAT, ["n", 2])}, two)
    onnx.save(made, runner.kept / "double.onnx")
    runner.write("client.py", "started()")

    code, said, errors = runner.interrupt(ending)

    assert (code, errors) == (130, "")
    runner.require_end()
    address = urlsplit(said.split("client.py ")[1].split()[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname or "", address.port or 0))


@ENDINGS
def test_a_model_that_is_built_leaves_nothing_half_written(
    runner: Runner, ending: signal.Signals
) -> None:
    runner.write(
        "model.py",
        """
        from examples.common.building import main
        def build(path, samples):
            try:
                path.write_bytes(b"half")
                started()
            finally:
                time.sleep(0.5)  # a library that takes its time
        main(build)
        """,
    )

    code, _, errors = runner.interrupt(ending)

    assert (code, errors) == (130, "")
    runner.require_end()
    assert list(runner.kept.iterdir()) == []


def building(folder: Path, module: str, body: str) -> subprocess.Popen[str]:
    """A model's program that runs, with its errors on a pipe."""
    program = folder / "model.py"
    program.write_text(MODEL.format(module=module, body=body))
    return subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, str(program), str(folder / "out" / "m.onnx")],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def await_file(path: Path) -> None:
    give_up = time.monotonic() + DEADLINE_S
    while not path.exists() and time.monotonic() < give_up:
        time.sleep(0.02)
    assert path.exists()


@ENDINGS
def test_a_build_that_is_interrupted_says_nothing_and_leaves_nothing(
    tmp_path: Path, ending: signal.Signals
) -> None:
    body = "    pathlib.Path('begun').touch(); time.sleep(60)"
    with building(tmp_path, "time", body) as process:
        await_file(tmp_path / "begun")
        process.send_signal(ending)
        _, said = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == Exit.INTERRUPTED
    assert said == ""
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_is_full_is_told_in_words_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    body = """
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    path.write_bytes(bytes(5000))
"""
    with building(tmp_path, "resource", body) as process:
        _, said = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 1
    assert said == "error: a file: File too large\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nothing" / "file"

    with pytest.raises(SystemExit) as caught, programs.ended():
        missing.write_text("")

    assert caught.value.code == f"error: {missing}: No such file or directory"


def test_a_program_that_takes_too_long_may_tidy_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENDLESS]

    with pytest.raises(subprocess.TimeoutExpired):
        programs.run(command, cwd=tmp_path, timeout_s=2.0)

    assert (tmp_path / "tidied").exists()


def test_a_program_that_ignores_being_interrupted_ends_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_GRACE_S", 0.1)
    deaf = "trap '' INT TERM; echo $$ >pid; sleep 60 & wait; wait"

    with pytest.raises(subprocess.TimeoutExpired):
        programs.run(["/bin/sh", "-c", deaf], cwd=tmp_path, timeout_s=0.5)

    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    outer = (
        "import subprocess, sys, pathlib;"
        f"subprocess.run([sys.executable, '-c', {ENDLESS!r}])"
    )

    with pytest.raises(subprocess.TimeoutExpired):
        programs.run([sys.executable, "-c", outer], cwd=tmp_path, timeout_s=2.0)

    await_file(tmp_path / "tidied")


@pytest.mark.parametrize("last", ["wait", "exit"])
def test_what_a_program_left_in_the_background_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    # A shell has what it runs there ignore Ctrl-C, and ends before it.
    words = f"sleep 60 >&- 2>&- & echo $! >pid; {last}"
    monkeypatch.setattr(programs, "_GRACE_S", 1.0)

    with contextlib.suppress(subprocess.TimeoutExpired):
        programs.run(["/bin/sh", "-c", words], cwd=tmp_path, timeout_s=0.5)

    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_is_just_being_started_ends_too(
    tmp_path: Path, interrupted_starts: list[subprocess.Popen[bytes]]
) -> None:
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        programs.run(["/bin/sleep", "60"], cwd=tmp_path, timeout_s=60)

    assert interrupted_starts[0].returncode == -signal.SIGINT
