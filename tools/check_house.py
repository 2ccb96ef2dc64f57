"""What the linters do not count: lines of files and functions, and reasons given."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
# An exclusion names its code, and then says why.
EXCLUSION = re.compile(r"#\s*(?:noqa|type: ignore|pragma: no cover)\b(.*)")
REASON = re.compile(r"^(?:: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|\[[\w,-]+\])?\s+(?:#\s*)?\S+.*")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!.*#\d+)")


def tracked(pattern: str) -> list[Path]:
    """Files that git knows."""
    listed = subprocess.run(  # noqa: S603  our own pattern
        ["git", "ls-files", pattern],  # noqa: S607  whichever git there is
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).exists()]


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    match node.body:
        case [ast.Expr(value=ast.Constant(value=str())), first, *_]:
            start = first.lineno
        case [first, *_]:
            start = first.lineno
    return (node.end_lineno or start) - start + 1


def findings(path: Path) -> Iterator[tuple[int, str]]:
    """What is wrong with a file, by line."""
    source = path.read_text()
    lines = source.splitlines()
    if len(lines) > MAX_FILE_LINES:
        yield 1, f"{len(lines)} lines: expected at most {MAX_FILE_LINES}"
    for node in ast.walk(ast.parse(source)):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if is_function and not node.name.startswith("test_"):  # tests hold tables
            count = function_lines(node)
            if count > MAX_FUNCTION_LINES:
                yield (
                    node.lineno,
                    f"{node.name}: {count} lines, expected {MAX_FUNCTION_LINES}",
                )
    for number, line in enumerate(lines, start=1):
        exclusion = EXCLUSION.search(line)
        if exclusion and not REASON.match(exclusion[1]):
            yield number, "exclusion: expected a code and a reason"
        if UNFINISHED.search(line) and path != Path(__file__):
            yield number, "unfinished: expected an issue beside it"


def main() -> None:
    """Print what is wrong, and fail if anything is."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {what}"
        for path in tracked("*.py")
        for number, what in findings(path)
    ]
    print("\n".join(found) or "the house is in order")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
