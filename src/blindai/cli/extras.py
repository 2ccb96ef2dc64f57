"""Packages that only some commands need."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from blindai.cli.exits import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Import what an extra of the package brings.

    Args:
        extra: The extra's name: `server`, `demo`.

    Raises:
        CommandError: If it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise CommandError(
            f"{extra}: expected the package {error.name}, which is not installed",
            f"Run, in the checkout of blindai: pip install '.[{extra}]'",
        ) from error
