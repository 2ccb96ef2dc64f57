"""An example is prepared once, given what was typed, and its errors are told."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from examples.common import serving
from examples.common.serving import Example, UnbuiltError

from blindai.errors import ConfigurationError
from examples import run


def test_an_unknown_example_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"expected one of .*word2vec"):
        serving.prepare("imagenet")


@pytest.mark.parametrize(
    ("changed", "built"),
    [("model.py", 2), ("network.py", 2), ("client.py", 1), ("test_example.py", 1)],
)
def test_a_model_is_built_anew_when_what_builds_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, built: int
) -> None:
    folder = tmp_path / "examples" / "plain"
    folder.mkdir(parents=True)
    for name in ("client.py", "model.py", "network.py", "test_example.py"):
        (folder / name).touch()
        os.utime(folder / name, (1000, 1000))
    calls: list[list[str]] = []

    def build(made: Example, words: list[str], **_: object) -> object:
        calls.append(words)
        made.model.touch()
        os.utime(made.model, (2000, 2000))
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(serving, "EXAMPLES", folder.parent)
    monkeypatch.setattr(serving, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(serving, "environment", lambda _: Path(sys.executable))
    monkeypatch.setattr(serving, "_run", build)

    serving.prepare("plain")
    os.utime(folder / changed, (3000, 3000))
    serving.prepare("plain")

    assert len(calls) == built


def test_run_tells_errors_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["examples.run", "imagenet"])

    with pytest.raises(SystemExit, match="error: NAME: expected one of"):
        run.main()


@dataclass
class Asked:
    """An example that says what its client was given."""

    model: Path
    samples: list[Path] = field(default_factory=list)

    def client(self, url: str, *inputs: str) -> str:
        return "".join(f"{url} {each}\n" for each in inputs)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked(tmp_path / "m.onnx")
    monkeypatch.setattr(serving, "prepare", lambda _: made)
    monkeypatch.setattr(serving, "serve", lambda _: contextlib.nullcontext("URL"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "mine.jpg").touch()
    return made


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("text", ["docs", "mine.jpg", 300 * "long "])
def test_an_example_of_text_is_given_what_was_typed(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run.run("gpt2", [text])

    assert capsys.readouterr().out.endswith(f"URL {text}\n")


def test_an_example_of_files_is_given_files_from_anywhere(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked.samples = [tmp_path / "samples" / "sample.jpg"]

    run.run("yolov5", ["mine.jpg"])
    run.run("yolov5", [])

    said = capsys.readouterr().out
    assert f"URL {tmp_path / 'mine.jpg'}\n" in said
    assert said.endswith(f"URL {Path('samples/sample.jpg')}\n")


@pytest.mark.parametrize("given", ["docs", "nothing.jpg", 300 * "long "])
def test_what_is_no_file_is_said_so(given: str, asked: Asked, tmp_path: Path) -> None:
    asked.samples = [tmp_path / "sample.jpg"]

    with pytest.raises(ConfigurationError, match="INPUT: expected a file, got '"):
        run.run("yolov5", [given])


def test_what_a_client_ended_with_is_told_without_its_traceback(
    tmp_path: Path,
) -> None:
    client = Example("word2vec", Path(sys.executable), tmp_path / "m.onnx").client

    with pytest.raises(
        UnbuiltError, match=r"client\.py failed: blindai\.\w+\.\w+Error: "
    ):
        client("http://127.0.0.1:1", "a query")
