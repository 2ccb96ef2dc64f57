"""Pages whose tables a program writes, between marks, and whose words a person does."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from blindai import __version__

DOCS = Path(__file__).parents[1] / "docs"


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
