"""Executes a notebook, and holds what comes out against what is written in it.

python execute.py NOTEBOOK.ipynb [--write]: with --write what comes out is written into
it instead.
"""

import difflib
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

_TIMEOUT_S = 900  # of a cell


def outputs(notebook: nbformat.NotebookNode) -> list[str]:
    """What the cells printed, a line each, after a line for each cell."""
    lines = []
    for number, cell in enumerate(notebook.cells):
        lines.append(f"cell {number}")
        for output in cell.get("outputs", []):
            lines += output.get("text", repr(output)).splitlines()
    return lines


def main() -> None:
    """Be the program."""
    path, *options = sys.argv[1:]
    notebook = nbformat.read(path, as_version=4)
    written = outputs(notebook)
    folder = str(Path(path).parent)
    client = NotebookClient(
        notebook,
        timeout=_TIMEOUT_S,
        record_timing=False,
        resources={"metadata": {"path": folder}},
    )
    client.execute()
    if "--write" in options:
        notebook.metadata.language_info = {"name": "python"}
        nbformat.write(notebook, path)
        return
    changes = list(difflib.unified_diff(written, outputs(notebook), lineterm=""))
    print("\n".join(changes))
    sys.exit(1 if changes else 0)


if __name__ == "__main__":
    main()
