"""Installs and builds what the page needs, then shows it.

python -m examples.demo [--port PORT]
"""

from __future__ import annotations

import os
import sys

from examples.common import ROOT
from examples.common.environments import environment
from examples.common.programs import telling
from examples.common.serving import prepare

_PAGE = "examples.demo.page"


def main() -> None:
    """Be the program; then be the page's, in its own environment."""
    with telling():
        python = str(environment("demo"))
        model = str(prepare("gpt2").model)
    os.chdir(ROOT)  # where `examples` is found
    os.execv(python, [python, "-m", _PAGE, model, *sys.argv[1:]])  # noqa: S606  our own words


if __name__ == "__main__":
    main()
