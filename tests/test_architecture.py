"""The map in ARCHITECTURE.md has every module, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "blindai"


def test_each_module_is_on_the_map_and_nothing_else() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/]+\.py)` \|", text, re.MULTILINE)
    listed = set(rows)
    modules = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")}

    packages = {module for module in modules if module.endswith("__init__.py")}
    assert modules - packages <= listed
    assert listed <= modules
    assert len(rows) == len(listed)
