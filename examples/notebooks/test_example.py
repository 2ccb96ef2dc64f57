"""The notebooks run from end to end, and give what is written in them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from examples.common import EXAMPLES, KEPT, ROOT
from examples.common.environments import environment
from examples.common.serving import prepare

from blindai.cli.demo_enclave import run_enclave

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = "[inference]\nextensions = true\n"


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("notebooks")


@pytest.fixture(scope="module")
def url(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("notebooks")
    config = folder / "blindai.toml"
    config.write_text(SETTINGS)
    with run_enclave(config, folder / "log", python) as server:
        yield f"http://{server.host}:{server.port}"


def run(python: Path, *words: str | Path, **environ: str) -> str:
    """What a program prints that has to end well."""
    done = subprocess.run(  # noqa: S603  our own programs
        [str(python), *map(str, words)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def execute(python: Path, name: str, url: str, model: Path) -> None:
    folder = EXAMPLES / "notebooks"
    given = {"BLINDAI_URL": url, "BLINDAI_MODEL": str(model)}
    run(python, folder / "execute.py", folder / f"{name}.ipynb", **given)


def test_the_language_model_answers(python: Path, url: str) -> None:
    model = KEPT / "notebooks" / "gpt2.onnx"
    if not model.is_file():
        run(python, EXAMPLES / "gpt2" / "chat.py", model)

    execute(python, "gpt2", url, model)


@pytest.mark.slow  # its model is built in an environment with torch
def test_the_photo_is_classified(python: Path, url: str) -> None:
    execute(python, "resnet18", url, prepare("resnet18").model)
