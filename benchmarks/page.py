"""Pages whose tables a program writes, between marks, and whose words a person does."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from blindai import __version__

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_QUIET_LOAD = 0.5  # of the machine before a run, up to which its figures count


def put(text: str, name: str, lines: list[str]) -> str:
    """A page's text with other lines between the marks of a name.

    Raises:
        ValueError: If the marks are not there once.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return "\n".join([f"{before}{begin}", *lines, f"{end}{after}"])


def machine() -> str:
    """The machine, in a line."""
    cpu = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    return (
        f"{os.cpu_count()} shared cores of an {cpu}, Python "
        f"{platform.python_version()}, blindai {__version__}"
    )


def circumstances(command: str, quiet: float, *, short: bool) -> list[str]:
    """Commit, command and machine; whether these figures are to be believed.

    Args:
        command: What was run.
        quiet: The machine's load before the run.
        short: Whether less was measured than counts.
    """
    commit = _git("rev-parse", "--short", "HEAD")
    changed = " with changes" if _git("status", "--porcelain", "-uno") else ""
    lines = [
        f"Commit {commit}{changed}, `{command}`, {machine()}.",
        f"Load of the machine before the run: {quiet:.2f}.",
    ]
    if quiet > _QUIET_LOAD or short:
        lines += [
            "",
            "**Preliminary: short, or taken on a busy machine. Not to quote.**",
        ]
    return lines


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(  # noqa: S603  our own arguments
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
