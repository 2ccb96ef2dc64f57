"""Told what happens to models while they are served: for figures, never for content.

Whoever implements it sees names of models and owes them the same care as a log does:
they do not leave the enclave.
"""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Is told; each call returns at once and raises nothing."""

    def waited(self, seconds: float) -> None:
        """A request was in its queue so long, and then ran or gave up."""
        ...

    def ran(self, model: str, requests: int, seconds: float) -> None:
        """A model ran for so many requests at once, and took so long."""
        ...

    def restarted(self) -> None:
        """A worker ended by itself, and another takes its place."""
        ...


class Silent:
    """Nobody is told."""

    def waited(self, seconds: float) -> None:
        """Nothing."""

    def ran(self, model: str, requests: int, seconds: float) -> None:
        """Nothing."""

    def restarted(self) -> None:
        """Nothing."""
