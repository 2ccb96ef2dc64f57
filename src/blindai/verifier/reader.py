"""Reads binary structures forward, and never past their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindai.errors import EvidenceError

if TYPE_CHECKING:
    from typing import Literal


class Reader:
    """Some bytes, and how many of them are read.

    Args:
        data: The bytes.
        what: What to call them.
        order: Which byte of a number comes first.
    """

    __slots__ = ("_data", "_order", "_what", "offset")

    def __init__(
        self, data: bytes, what: str, order: Literal["big", "little"] = "big"
    ) -> None:
        self._data = data
        self._what = what
        self._order: Literal["big", "little"] = order
        self.offset = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            EvidenceError: If fewer are left.
        """
        taken = self._data[self.offset : self.offset + size]
        if len(taken) != size:
            raise EvidenceError(
                f"{self._what}: expected {size} bytes, got {len(taken)}"
            )
        self.offset += size
        return taken

    def number(self, size: int) -> int:
        """The next number, of `size` bytes."""
        return int.from_bytes(self.take(size), self._order)

    def sized(self, size: int, limit: int) -> bytes:
        """The next bytes, after their count, a number of `size` bytes.

        Raises:
            EvidenceError: If they pass the limit, or fewer are left.
        """
        count = self.number(size)
        if count > limit:
            raise EvidenceError(
                f"{self._what}: expected at most {limit} bytes, got {count}"
            )
        return self.take(count)

    def end(self) -> None:
        """Insist that nothing is left.

        Raises:
            EvidenceError: If something is.
        """
        left = len(self._data) - self.offset
        if left:
            raise EvidenceError(
                f"{self._what}: expected its end, got {left} bytes more"
            )
