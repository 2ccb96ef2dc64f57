"""Builds an example's model, and serves it from a simulated enclave."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from examples.common import EXAMPLES, KEPT, ROOT, programs
from examples.common.building import SAMPLES
from examples.common.environments import environment

from blindai.cli.demo_enclave import run_enclave
from blindai.errors import BlindAIError, ConfigurationError
from blindai.server.settings import InferenceSettings, Settings
from blindai.server.storage_settings import PreloadSettings
from blindai.table_writer import compose
from blindai.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LAST_WORDS = 600  # characters of a server's log
_CUSTOM = b"ai.onnx.contrib", b"com.microsoft.extensions"
"""The domains of onnxruntime-extensions."""
_TIMEOUT_S = 3600.0
_ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",
    # Threads of torch that wait do not spin: where others use the machine, they would
    # take the time of those that they wait for.
    "OMP_WAIT_POLICY": "passive",
}


class UnbuiltError(BlindAIError):
    """An example's model was not built, or its client failed."""

    next_step = "Read the message, and what was printed before it."


@dataclass(frozen=True, slots=True)
class Example:
    """An example that can be served.

    Attributes:
        name: Its name, which is its model's too.
        python: Of its environment.
        model: Its ONNX file.
    """

    name: str
    python: Path
    model: Path

    @property
    def samples(self) -> list[Path]:
        """Inputs to try it on, in order."""
        folder = self.model.parent / SAMPLES
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def client(self, url: str, *inputs: str | Path) -> str:
        """What the example's client prints.

        Args:
            url: Of the enclave.
            inputs: For the client; the samples by default. It runs in the model's
                folder, so files are named from there, or absolutely.

        Raises:
            UnbuiltError: If it fails.
        """
        words = ["client.py", url, *map(str, inputs or self.samples)]
        done = _run(self, words, output=subprocess.PIPE)
        if done.returncode:
            said = printable(" / ".join(_error(done.stderr)))
            raise UnbuiltError(f"{self.name}: client.py failed: {said[-_LAST_WORDS:]}")
        return done.stdout


def _error(said: str) -> list[str]:
    """What a program said last, without the traceback before it, which is indented."""
    lines = said.strip().splitlines()
    starts = [at for at, line in enumerate(lines) if line and not line[0].isspace()]
    return lines[max(starts, default=0) :]


def names() -> list[str]:
    """The examples there are."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/client.py"))


def prepare(name: str) -> Example:
    """An example with its environment and its model; both are made if need be.

    Raises:
        ConfigurationError: If there is no such example.
        NotInstalledError: If its environment cannot be installed.
        UnbuiltError: If its model cannot be built.
    """
    if name not in names():
        raise ConfigurationError(
            f"NAME: expected one of {', '.join(names())}, got {name!r}"
        )
    folder = KEPT / name
    folder.mkdir(parents=True, exist_ok=True)
    example = Example(name, environment(name), folder / f"{name}.onnx")
    made = example.model
    if not made.is_file() or made.stat().st_mtime < _changed(EXAMPLES / name):
        done = _run(example, ["model.py", str(made)], output=None)
        if done.returncode:
            raise UnbuiltError(f"{name}: model.py ended with {done.returncode}")
    return example


def _changed(folder: Path) -> float:
    """When what builds an example's model was last changed, in its own folder."""
    others = "client.py", "test_example.py"
    builders = [each for each in folder.glob("*.py") if each.name not in others]
    return max(each.stat().st_mtime for each in builders)


@contextlib.contextmanager
def serve(example: Example) -> Iterator[str]:
    """Serve an example's model until the context ends; the address.

    The model is preloaded: its digest is part of the measured configuration.

    Raises:
        UnbuiltError: If the server does not start; its last words are in it.
    """
    with tempfile.TemporaryDirectory() as folder:
        config, log = Path(folder) / "blindai.toml", Path(folder) / "log"
        config.write_text(configuration(example), encoding="utf-8")
        try:
            running = contextlib.ExitStack()
            server = running.enter_context(run_enclave(config, log, example.python))
        except BlindAIError as error:
            said = log.read_text(errors="replace") if log.exists() else ""
            words = printable(" / ".join(said.splitlines()))[-_LAST_WORDS:]
            raise UnbuiltError(f"{example.name}: {error.message}: {words}") from error
        with running:
            yield f"http://{server.host}:{server.port}"


def configuration(example: Example) -> str:
    """The measured configuration of a server for one example, TOML."""
    content = example.model.read_bytes()
    extensions = any(each in content for each in _CUSTOM)
    served = PreloadSettings(
        name=example.name,
        digest=hashlib.sha256(content).hexdigest(),
        path=str(example.model),
    )
    inference = InferenceSettings(extensions=extensions)
    return compose(Settings(preload=(served,), inference=inference))


def _run(
    example: Example, words: Sequence[str], output: int | None
) -> subprocess.CompletedProcess[str]:
    """Run one of an example's programs in its environment.

    Raises:
        UnbuiltError: If it takes too long.
    """
    script, *arguments = words
    try:
        return programs.run(
            [str(example.python), str(EXAMPLES / example.name / script), *arguments],
            cwd=example.model.parent,  # where a client's own files go
            timeout_s=_TIMEOUT_S,
            output=output,
            env={**os.environ, **_ENVIRONMENT},
        )
    except subprocess.TimeoutExpired as error:
        raise UnbuiltError(
            f"{example.name}: expected {script} to end within {_TIMEOUT_S:.0f} s"
        ) from error
