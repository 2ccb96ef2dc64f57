"""A command's help: its docstring, without what is for readers of the code."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def about(command: Callable[..., None]) -> str:
    """What a command does, for `--help`."""
    text = (inspect.getdoc(command) or "").partition("\nRaises:")[0].strip()
    return "\n\n".join(" ".join(each.split()) for each in text.split("\n\n"))
