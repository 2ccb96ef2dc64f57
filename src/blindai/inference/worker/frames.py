"""Messages between the server and its workers, over sockets that keep their bounds.

    size of the head (4, big-endian) || head (JSON) || body

Descriptors travel beside them (SCM_RIGHTS). The server holds what comes from a worker
for hostile: a worker runs other people's models.
"""

from __future__ import annotations

import array
import json
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blindai.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from blindai.protocol.buffers import Bytes

INLINE_BYTES = 32 << 10
"""How much of tensors a message carries itself; more goes through shared memory."""
MAX_BYTES = 128 << 10
_MAX_DESCRIPTORS = 64
_ANCILLARY_BYTES = socket.CMSG_SPACE(_MAX_DESCRIPTORS * array.array("i").itemsize)
_CUT = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)  # flags are slow to compute with
_HEAD_BYTES = 4
_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Attributes:
        head: What it says.
        body: Bytes that go with it.
        descriptors: Open files that came with it; whoever takes the message closes
            them.
    """

    head: dict[str, Any]
    body: memoryview = field(repr=False)
    descriptors: tuple[int, ...] = ()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a new connection."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def take_over(descriptor: int) -> socket.socket:
    """The end of a connection that came as a descriptor; nothing is asked of it."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)


def send(
    end: socket.socket,
    head: dict[str, object],
    body: Iterable[Bytes] = (),
    descriptors: Sequence[int] = (),
) -> None:
    """Send one message whole.

    Raises:
        OSError: If the other end is gone, or reads nothing.
    """
    encoded = _encode(head).encode()
    parts = [len(encoded).to_bytes(_HEAD_BYTES, "big"), encoded, *body]
    if descriptors:
        socket.send_fds(end, parts, list(descriptors))
    else:
        end.sendmsg(parts)


def receive(end: socket.socket) -> Frame | None:
    """Take one message, or None where the other end is gone.

    Raises:
        ProtocolError: If it is not one.
        OSError: If the socket fails, or nothing is there and it does not wait.
    """
    data, ancillary, flags, _ = end.recvmsg(
        MAX_BYTES, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC
    )
    descriptors = _descriptors(ancillary)
    if not data:
        close_all(descriptors)
        return None
    try:
        return _parse(data, descriptors, cut=bool(flags & _CUT))
    except ProtocolError:
        close_all(descriptors)
        raise


def close_all(descriptors: Iterable[int]) -> None:
    """Close what came with a message."""
    for descriptor in descriptors:
        os.close(descriptor)


def _parse(data: bytes, descriptors: tuple[int, ...], *, cut: bool) -> Frame:
    if cut:
        raise ProtocolError("worker message: expected it whole, got it cut off")
    end = _HEAD_BYTES + int.from_bytes(data[:_HEAD_BYTES], "big")
    try:
        head = _decode(data[_HEAD_BYTES:end].decode())
    except (ValueError, RecursionError) as error:
        raise ProtocolError("worker message: expected a head in JSON") from error
    if not isinstance(head, dict):
        raise ProtocolError("worker message: expected a map")
    return Frame(head, memoryview(data)[end:], descriptors)


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> tuple[int, ...]:
    if not ancillary:
        return ()
    numbers = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    return tuple(numbers)
