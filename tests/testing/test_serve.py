"""`python -m blindai.testing.serve`: for tests only, loud, and out of serve's reach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import uvicorn

from blindai.testing import serve


@pytest.fixture(autouse=True)
def _ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_: None)


def test_it_says_what_it_is_and_writes_a_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.toml"

    code = serve.main(["--tee", "sev-snp", "--policy-out", str(policy)])

    out, err = capsys.readouterr()
    assert code == 0
    assert out.startswith("listening on   http://127.0.0.1:")
    assert err.startswith("MADE-UP HARDWARE: NOTHING IS PROTECTED\n")
    assert "[[insecure_roots]]" in policy.read_text()


def test_changes_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--tee", "sev-snp", "--change", f"measurement={'ab' * 48}"]

    assert serve.main(words) == 0

    assert f"measurement    {'ab' * 48}\n" in capsys.readouterr().out


def test_what_cannot_be_made_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main(["--tee", "sev-snp", "--change", "colour=red"]) == 1

    assert "error: changes: expected known fields, got colour\n" in (
        capsys.readouterr().err
    )


def test_hardware_that_fails_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main(["--tee", "sev-snp", "--config", "/nowhere.toml"]) == 1

    assert "error: configuration /nowhere.toml: cannot be read" in (
        capsys.readouterr().err
    )


def test_there_is_no_default_tee() -> None:
    with pytest.raises(SystemExit):
        serve.main([])


def test_what_serve_imports_does_not_reach_it() -> None:
    program = (
        "import sys, blindai.cli.application, blindai.cli.serve, blindai.server.serve,"
        " blindai.attester.detection;"
        " print([name for name in sys.modules if 'blindai.testing' in name])"
    )

    printed = subprocess.run(  # noqa: S603  this very program
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert printed.stdout == "[]\n"
