"""What the operator looks for in the demo's capture, and must not find."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindai.errors import BlindAIError

if TYPE_CHECKING:
    from blindai.cli.demo_relay import Capture

MIN_NEEDLE_BYTES = 8
"""Shorter needles turn up in megabytes of noise by chance."""
VISIBLE = b"/.well-known/ohttp-gateway"
"""Stands in the capture in the clear: finding it shows that the search works."""
_PIECE_BYTES = 48
_STRIDE_BYTES = 16


class LeakError(BlindAIError):
    """The operator could see what was to be sealed."""

    next_step = "This must not happen: please report it."


@dataclass(frozen=True, slots=True)
class Secret:
    """Something that must not be in the capture.

    Attributes:
        label: What it is.
        needle: Bytes of it that would give it away.
    """

    label: str
    needle: bytes = field(repr=False)

    @property
    def searchable(self) -> bool:
        """Whether it is long enough for a find to mean something."""
        return len(self.needle) >= MIN_NEEDLE_BYTES


def liveliest_piece(data: bytes) -> bytes:
    """The 48 bytes with the most different values: those cannot turn up by chance."""
    starts = range(0, max(1, len(data) - _PIECE_BYTES), _STRIDE_BYTES)
    best = max(starts, key=lambda at: len(set(data[at : at + _PIECE_BYTES])))
    return data[best : best + _PIECE_BYTES]


def require_sealed(capture: Capture, secrets: tuple[Secret, ...]) -> None:
    """Require that the operator saw nothing.

    Raises:
        LeakError: If a secret is in the capture, or the capture is not whole.
    """
    if not capture.count(VISIBLE):
        raise LeakError("capture: expected the gateway's path in the clear, got none")
    found = [
        secret.label
        for secret in secrets
        if secret.searchable and capture.count(secret.needle)
    ]
    if found:
        raise LeakError(f"capture: expected sealed bytes only, got {', '.join(found)}")
