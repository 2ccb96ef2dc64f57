"""The frame: help, version, and how quickly it starts."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable

import pytest
from typer.testing import Result

import blindai
from blindai.cli import main

Run = Callable[..., Result]
COMMANDS = (
    ("demo",),
    ("serve",),
    ("verify",),
    ("predict",),
    ("models", "list"),
    ("models", "upload"),
    ("models", "delete"),
    ("endorsements", "fetch"),
    ("endorsements", "show"),
    ("keys", "create"),
    ("evidence", "verify"),
    ("evidence", "show"),
    ("policy", "new"),
    ("policy", "explain"),
    ("policy", "diff"),
    ("policy", "convert"),
)


@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_has_help_with_an_example(
    run: Run, words: tuple[str, ...]
) -> None:
    result = run(*words, "--help")

    assert result.exit_code == 0
    assert f"Example: blindai {' '.join(words)}" in result.stdout
    assert "Raises" not in result.stdout


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").stdout == f"blindai {blindai.__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from blindai.cli import application\n"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'uvicorn', 'httpx', 'cryptography',"
        " 'rich.table', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )

    printed = subprocess.run(  # noqa: S603  this very program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert printed.stdout == "[]\n"


def test_python_m_blindai_is_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["blindai", "--version"])

    with pytest.raises(SystemExit) as ended:
        runpy.run_module("blindai", run_name="__main__")

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("blindai ")


def test_importing_the_main_module_runs_nothing() -> None:
    assert runpy.run_module("blindai", run_name="other")["main"] is main


def test_the_docs_are_the_commands_own() -> None:
    subprocess.run([sys.executable, "tools/make_cli_docs.py", "--check"], check=True)
