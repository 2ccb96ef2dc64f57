"""The server's end of a connection to a worker: never waits, believes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from blindai.errors import ProtocolError
from blindai.inference.worker import frames

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Sequence

    from blindai.inference.worker.frames import Frame
    from blindai.protocol.buffers import Bytes


class Channel:
    """Frames in and out, on the running loop.

    Args:
        end: This side's socket; taken over.
        on_frame: Called with each frame. A ProtocolError from it ends the connection.
        on_end: Called once, when the connection has ended, with what was wrong with
            what came; with nothing if the other side ended it.

    Attributes:
        open: Whether it has not ended.
    """

    def __init__(
        self,
        end: socket.socket,
        on_frame: Callable[[Frame], None],
        on_end: Callable[[str | None], None],
    ) -> None:
        end.setblocking(False)  # noqa: FBT003  the socket's own words
        self._end = end
        self._on_frame = on_frame
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self.open = True
        self._loop.add_reader(end.fileno(), self._read)

    def send(
        self,
        head: dict[str, object],
        body: Iterable[Bytes] = (),
        descriptors: Sequence[int] = (),
    ) -> bool:
        """Send a frame. What cannot be sent ends the connection, and raises nothing.

        Returns:
            Whether it was sent.
        """
        if not self.open:
            return False
        try:
            frames.send(self._end, head, body, descriptors)
        except OSError as error:
            gone = isinstance(error, BrokenPipeError | ConnectionResetError)
            self._close(None if gone else "it takes no messages")
            return False
        return True

    def close(self) -> None:
        """End the connection from this side; `on_end` is not called."""
        if self.open:
            self.open = False
            self._loop.remove_reader(self._end.fileno())
            self._end.close()

    def _read(self) -> None:
        try:
            frame = frames.receive(self._end)
            if frame is not None:
                self._on_frame(frame)
                return
            reason = None
        except BlockingIOError:
            return
        except ProtocolError as error:
            reason = error.message
        except ConnectionResetError:
            reason = None
        except OSError as error:
            reason = f"its connection failed: {error.strerror}"
        self._close(reason)

    def _close(self, reason: str | None) -> None:
        if self.open:
            self.close()
            self._on_end(reason)
