"""A real server for each example's test, in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from examples.common.serving import Example, prepare, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Served:
    """An example whose model is served.

    Attributes:
        example: Which.
        url: Where.
    """

    example: Example
    url: str

    def ask(self, *inputs: str | Path) -> list[str]:
        """The lines that the example's client prints.

        Args:
            inputs: For the client; the samples by default.
        """
        return self.example.client(self.url, *inputs).splitlines()


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """The example in whose folder the test is: installed, built and served."""
    example = prepare(request.path.parent.name)
    with serve(example) as url:
        yield Served(example, url)
