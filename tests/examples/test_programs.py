"""Programs end with who started them, and nothing half-written stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from examples.common import ROOT, programs

from blindai.cli.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path

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


def model(folder: Path, module: str, body: str) -> subprocess.Popen[str]:
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_interrupted_says_nothing_and_leaves_nothing(
    tmp_path: Path, number: int
) -> None:
    body = "    pathlib.Path('begun').touch(); time.sleep(60)"
    with model(tmp_path, "time", body) as process:
        await_file(tmp_path / "begun")
        process.send_signal(number)
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
    with model(tmp_path, "resource", body) as process:
        _, said = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 1
    assert said == "error: a file: File too large\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nothing" / "file"

    with pytest.raises(SystemExit) as caught, programs.telling():
        missing.write_text("")

    assert caught.value.code == f"error: {missing}: No such file or directory"


def test_a_program_that_takes_too_long_may_tidy_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENDLESS]

    with pytest.raises(subprocess.TimeoutExpired):
        programs.run(command, 2.0, tmp_path)

    assert (tmp_path / "tidied").exists()


def test_a_program_that_ignores_being_interrupted_ends_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_TIDY_S", 0.1)
    deaf = "trap '' INT TERM; echo $$ >pid; sleep 60 & wait; wait"

    with pytest.raises(subprocess.TimeoutExpired):
        programs.run(["/bin/sh", "-c", deaf], 0.5, tmp_path)

    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    outer = (
        "import subprocess, sys, pathlib;"
        f"subprocess.run([sys.executable, '-c', {ENDLESS!r}])"
    )

    with pytest.raises(subprocess.TimeoutExpired):
        programs.run([sys.executable, "-c", outer], 2.0, tmp_path)

    await_file(tmp_path / "tidied")
