"""Hardware that failed is left alone for a while, longer each time it fails again.

A quote that does not come can take the hardware half a minute. Whoever asks within the
pause is refused at once instead of waiting for the next one that does not come.
"""

from __future__ import annotations

from typing import Final

from blindai.errors import HardwareError

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0


class Backoff:
    """How often the hardware failed in a row, and until when it is left alone.

    Times are of a monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        self._pause_s = 0.0
        self._until = 0.0

    def admit(self, now: float) -> None:
        """Whether the hardware may be asked.

        Raises:
            HardwareError: If it failed a short while ago.
        """
        if self._pause_s and now < self._until:
            raise HardwareError(
                "evidence: the hardware failed and is asked again in"
                f" {self._until - now:.0f} s"
            )

    def failed(self, now: float) -> float:
        """Note a failure; for how many seconds the hardware is now left alone."""
        longer_s = 2 * self._pause_s or FIRST_PAUSE_S
        self._pause_s = min(longer_s, LONGEST_PAUSE_S)
        self._until = now + self._pause_s
        return self._pause_s

    def succeeded(self) -> None:
        """Note that the hardware answered."""
        self._pause_s = 0.0
