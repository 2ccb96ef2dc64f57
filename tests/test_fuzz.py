"""`python -m fuzz` runs the targets that it is given, side by side."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fuzz.__main__ as fuzz
import pytest
from fuzz.targets import targets

ROOT = Path(__file__).parents[1]


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that would be run."""
    names: list[str] = []

    async def run(commands: dict[str, tuple[str, ...]]) -> list[str]:
        names.extend(commands)
        assert all(each[-2:] == (name, "3") for name, each in commands.items())
        return []

    monkeypatch.setattr(fuzz, "run", run)
    return names


@pytest.mark.parametrize("names", [[], ["der"], ["crl", "der", "crl"]])
def test_what_is_named_is_run_and_all_if_nothing_is(
    chosen: list[str], names: list[str]
) -> None:
    assert fuzz.main([*names, "3"]) == 0
    assert chosen == (list(dict.fromkeys(names)) or list(targets()))


@pytest.mark.parametrize("words", [[], ["der"], ["dex", "3"], ["der", "-3"]])
def test_wrong_words_run_nothing(
    chosen: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fuzz.main(words) == 2
    assert not chosen
    assert "usage: python -m fuzz" in capsys.readouterr().err


def test_it_prints_what_ends_first_first_and_names_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    commands = {
        "slow": python("import time, sys; time.sleep(1); sys.exit('late')"),
        "quick": python("import sys; print('done', file=sys.stderr)"),
        "broken": python("import sys; sys.exit('early\\nfound')"),
    }

    failed = asyncio.run(fuzz.run(commands))

    assert failed == ["broken", "slow"]
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["quick: done", "broken: found", "slow: late"]
    assert "early\nfound" in shown.err


def test_a_failure_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(commands: dict[str, tuple[str, ...]]) -> list[str]:
        return list(commands)

    monkeypatch.setattr(fuzz, "run", run)

    assert fuzz.main(["der", "crl", "3"]) == 1
    assert capsys.readouterr().err == "failed: der crl\n"


@pytest.mark.parametrize("processors", [1, 3])
def test_as_many_run_at_a_time_as_there_are_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, processors: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    program = (
        "import sys, time; sys.stderr.write('.');"
        "log = open(sys.argv[1], 'a'); log.write('+'); log.flush();"
        "time.sleep(0.3); log.write('-')"
    )
    log = tmp_path / "log"
    command = (*python(program), str(log))

    assert not asyncio.run(fuzz.run({str(each): command for each in range(4)}))

    running = [0]
    for each in log.read_text():
        running.append(running[-1] + (1 if each == "+" else -1))
    assert max(running) <= processors
    assert (max(running) > 1) == (processors > 1)


def test_ctrl_c_ends_all(tmp_path: Path) -> None:
    named = tmp_path / "process"
    program = """
import signal, sys
import fuzz.__main__ as fuzz
signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts us may ignore it
child = "import os, sys, time; open(sys.argv[1], 'w').write(f'{os.getpid()} ')"
sleep = (sys.executable, "-c", child + "; time.sleep(60)", sys.argv[1])
original = fuzz.run
fuzz.run = lambda _: original({"der": sleep})
sys.exit(fuzz.main(["der", "60"]))
"""
    with subprocess.Popen([*python(program), str(named)], cwd=ROOT) as process:  # noqa: S603  our words
        for _ in range(400):
            if named.exists() and named.read_text().endswith(" "):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)

    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(named.read_text()), 0)
