"""A server that ends in order when it is told to, and at once when it is told twice."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from blindai.server.sleeping import SleepingServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    import uvicorn


class DrainingServer(SleepingServer):
    """One that at the first signal stops accepting and lets requests end.

    The second signal, whichever it is, ends the process as it would any other.
    """

    def __init__(self, config: uvicorn.Config, drain: Callable[[], None]) -> None:
        """Prepare.

        Args:
            config: The server's.
            drain: Called at the first signal.
        """
        super().__init__(config)
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self._drain()
        super().handle_exit(sig, frame)
