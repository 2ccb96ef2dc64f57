"""Fuzz one target, or all of them in turn, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["blindai.protocol", "blindai.verifier", "blindai.cli"]
):
    from fuzz.targets import targets

CORPUS = Path(".fuzz")


def main(arguments: list[str]) -> int:
    """Run: no name means all targets, the last argument is seconds for each."""
    *names, seconds = arguments
    if len(names) == 1:
        fuzz(names[0], int(seconds))
        return 0
    for name in targets():
        print(f"{name}: {seconds} s", flush=True)
        command = [sys.executable, "-m", "fuzz", name, seconds]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  this module
        print(f"  {ended.stderr.splitlines()[-1]}", flush=True)
        if ended.returncode:
            print(ended.stderr[-8000:], file=sys.stderr)
            return ended.returncode
    return 0


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target, starting from its examples; does not return."""
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
    sys.exit(main(sys.argv[1:]))
