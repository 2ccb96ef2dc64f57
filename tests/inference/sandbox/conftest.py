"""The two programs that enter the sandbox, each run once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

Outcomes = dict[str, int | str]
Answers = dict[str, tuple[object, int]]


def _printed(module: str, *arguments: str) -> str:
    return subprocess.run(  # noqa: S603  our own programs
        [sys.executable, "-m", f"tests.inference.sandbox.{module}", *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
    ).stdout


@pytest.fixture(scope="session")
def attempts() -> Callable[[str], Outcomes]:
    """What each attempt met under a layer: an errno, 0 where it was made."""

    @cache
    def made(layer: str) -> Outcomes:
        return dict(json.loads(_printed("probes", layer)))

    return made


@pytest.fixture(scope="session")
def answers() -> Answers:
    """What each scenario gave under the sandbox, and its process's exit code."""
    return {
        name: tuple(found) for name, found in json.loads(_printed("serving")).items()
    }
