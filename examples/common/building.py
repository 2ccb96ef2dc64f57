"""The frame of every `model.py`: builds beside, then moves in place; or nothing."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from examples.common.programs import telling

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = "samples"
"""The folder beside the model with inputs to try it on; not every example has one."""


def main(build: Callable[[Path, Path], None]) -> None:
    """Be the program `model.py OUT.onnx`.

    Args:
        build: Writes the model to the first path, and may write inputs to try it on
            into the second, an empty folder.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("out", metavar="OUT.onnx", type=Path, help="where to write it")
    out: Path = parser.parse_args().out
    with telling():
        put(build, out)
    size = out.stat().st_size / 1e6
    print(f"wrote {out} ({size:.1f} MB)")


def put(build: Callable[[Path, Path], None], out: Path) -> None:
    """Build in a folder beside `out`, then move what was built to its place."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".building-") as folder:
        made, samples = Path(folder) / out.name, Path(folder) / SAMPLES
        samples.mkdir()
        build(made, samples)
        kept = out.parent / SAMPLES
        shutil.rmtree(kept, ignore_errors=True)
        if any(samples.iterdir()):
            samples.replace(kept)
        made.replace(out)  # last: a model that is there is whole, with its samples
