"""The models by name and version. What is asked for without a version is the latest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blindai.errors import ConflictError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from blindai.inference.index import Entry
    from blindai.inference.model import ModelInfo
    from blindai.inference.serving import Served

CONFIGURATION = "configuration"
"""Owns what the measured configuration names."""


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """One version of a model.

    Attributes:
        info: What is known about it.
        served: What runs it; None where its file does not open.
        entry: Its place in the sealed store, if it is there.
    """

    info: ModelInfo
    served: Served | None = None
    entry: Entry | None = None

    def require(self) -> Served:
        """What runs it.

        Raises:
            UnavailableError: If nothing can.
        """
        if self.served is None:
            raise UnavailableError(
                "model: expected its sealed file as it was written, got this:"
                f" {self.info.unavailable}"
            )
        return self.served


class Versions:
    """All versions of all models."""

    def __init__(self) -> None:
        self._names: dict[str, list[Version]] = {}
        self._issued: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Version]:
        for name in sorted(self._names):
            yield from self._names[name]

    def names(self) -> frozenset[str]:
        """The names that are taken."""
        return frozenset(self._names)

    def of(self, name: str) -> tuple[Version, ...]:
        """The versions of a name, the oldest first; none if it is free."""
        return tuple(self._names.get(name, ()))

    def find(
        self, name: str, version: int | None = None, digest: str | None = None
    ) -> Version:
        """The version that is asked for: the latest, unless something says which.

        Args:
            name: The model's name.
            version: Its number; any if None.
            digest: SHA-256 it must have, in lower-case hexadecimal digits; any if None.

        Raises:
            NotFoundError: If there is no such name or number.
            ConflictError: If none of them has the digest.
        """
        latest = None
        for each in reversed(self._names.get(name, ())):
            if version is None or each.info.version == version:
                if digest is None or each.info.digest == digest:
                    return each
                latest = latest or each
        if latest is None:
            what = "version" if name in self._names else "name"
            raise NotFoundError(f"model: expected the {what} of one, got another")
        raise ConflictError(
            f"model digest: expected {digest}, got {latest.info.digest}"
        )

    def next_number(self, name: str) -> int:
        """The number of a name's next version: none is given out twice."""
        held = (each.info.version for each in self.of(name))
        return max(self._issued[name], *held, 0) + 1

    def remember(self, issued: Mapping[str, int]) -> None:
        """Take over the numbers that were given out before."""
        self._issued.update(issued)

    def put(self, version: Version) -> None:
        """Add a version."""
        name = version.info.name
        held = self._names.setdefault(name, [])
        held.append(version)
        held.sort(key=lambda each: each.info.version)
        self._issued[name] = max(self._issued[name], version.info.version)

    def drop(self, version: Version) -> None:
        """Remove a version; with the last one its name becomes free."""
        name = version.info.name
        self._names[name].remove(version)
        if not self._names[name]:
            del self._names[name], self._issued[name]

    def clear(self) -> None:
        """Forget all."""
        self._names.clear()
        self._issued.clear()
