"""Words for people: one file a verb.

What is heavy (numpy, onnx, uvicorn, rich's tables) is imported by the command that
needs it, so that `blindai --help` is quick.
"""

import io
import sys
from importlib import import_module


def main() -> None:
    """Run the command line; the entry point `blindai`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a mark less is better than an end
    try:
        import_module("blindai.cli.application").app()
    finally:
        # CPython remembers that Ctrl-C ended code made from text, as dataclasses are,
        # and with -m ends by SIGINT for that, whatever the exit code; the next such
        # code that is run makes it forget (pythonrun.c, run_eval_code_obj).
        eval("0")  # noqa: S307  a constant
