"""Fuzz one target in this process: `python -m fuzz.one NAME SECONDS`."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["blindai.protocol", "blindai.verifier", "blindai.cli"]
):
    from fuzz.targets import targets

CORPUS = Path(".fuzz")


def main(name: str, seconds: str) -> None:
    """Fuzz it, starting from its examples; does not return."""
    target = targets()[name]
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(target.examples):
        (corpus / f"example-{number}").write_bytes(example)

    def read(data: bytes) -> None:
        with suppress(target.error):
            target.read(data)

    options = [f"-max_total_time={seconds}", "-max_len=65536", "-timeout=10"]
    crash = f"-artifact_prefix={CORPUS / name}-crash-"
    atheris.Setup([sys.argv[0], *options, crash, str(corpus)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
