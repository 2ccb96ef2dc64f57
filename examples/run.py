"""Runs an example: its environment, its model, a simulated enclave, its client.

python -m examples.run NAME [INPUT ...]
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from examples.common.programs import telling
from examples.common.serving import names, prepare, serve

from blindai.errors import ConfigurationError
from blindai.text import printable

_SHOWN = 100  # characters


def main() -> None:
    """Be the program."""
    parser = argparse.ArgumentParser(prog="examples.run", description=__doc__)
    parser.add_argument("name", metavar="NAME", help=", ".join(names()))
    parser.add_argument("inputs", metavar="INPUT", nargs="*", help="for the client")
    asked = parser.parse_args()
    with telling():
        run(asked.name, asked.inputs)


def run(name: str, inputs: list[str]) -> None:
    """Prepare an example, serve it, and run its client against it."""
    example = prepare(name)
    folder = example.model.parent  # the client runs there
    samples = [os.path.relpath(each, folder) for each in example.samples]
    given = list(map(file, inputs)) if samples else inputs  # without any, it is text
    given = given or samples
    with serve(example) as url:
        print(f"{name} is served by a SIMULATED enclave at {url}: it protects nothing")
        print(f"$ python client.py {url} {' '.join(given)}", flush=True)
        print(example.client(url, *given), end="")


def file(given: str) -> str:
    """A file's path from the root.

    Raises:
        ConfigurationError: If there is no such file.
    """
    try:
        is_one = Path(given).is_file()
    except OSError:  # a name that is too long
        is_one = False
    if not is_one:
        raise ConfigurationError(
            f"INPUT: expected a file, got {printable(given[:_SHOWN])!r}"
        )
    return str(Path(given).resolve())


if __name__ == "__main__":
    main()
