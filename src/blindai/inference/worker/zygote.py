"""The process that workers are forked from: warm, with nothing in it to steal.

    python -I -m blindai.inference.worker.zygote DESCRIPTOR [extensions]

It is started from the program's file with an empty environment, so it has none of the
server's memory: no keys, no requests. It imports what workers need and then forks one
whenever it is asked to, in milliseconds. All of them share their address layout.

    server -> zygote   {fork: limits}   with the worker's end of its connection
    zygote -> server   {pid}            with a descriptor of the process, or null where
                                        the kernel made none
    zygote -> server   {exit: pid, status}

It ends when the server does, and its workers end with it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
from typing import TYPE_CHECKING, Never

from blindai.inference import sandbox
from blindai.inference.worker import child, frames

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from blindai.inference.worker.frames import Frame


def main(arguments: Sequence[str]) -> int:
    """Serve forks until the server is gone."""
    control = frames.take_over(int(arguments[0]))
    # Who stops the server by its group or its unit leaves it the time to finish.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    child.warm_up(extensions="extensions" in arguments[1:])
    gc.collect()
    gc.freeze()
    frames.send(control, {"ready": True})
    with contextlib.suppress(OSError):  # the server is gone
        _serve(control)
    return 0


def _serve(control: socket.socket) -> None:
    poll = select.poll()
    poll.register(control, select.POLLIN)
    workers: dict[int, int] = {}  # descriptor of the process -> its number
    while True:
        for descriptor, _ in poll.poll():
            if descriptor != control.fileno():
                poll.unregister(descriptor)
                _bury(control, workers.pop(descriptor))
                os.close(descriptor)
                continue
            frame = frames.receive(control)
            if frame is None:
                return
            try:
                pid, process = _fork(frame)
            except OSError:
                frames.send(control, {"pid": None})
            else:
                workers[process] = pid
                poll.register(process, select.POLLIN)
                frames.send(control, {"pid": pid}, descriptors=[process])
            frames.close_all(frame.descriptors)


def _bury(control: socket.socket, pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    frames.send(control, {"exit": pid, "status": os.waitstatus_to_exitcode(status)})


def _fork(frame: Frame) -> tuple[int, int]:
    """A new worker: its number, and a descriptor of its process.

    Raises:
        OSError: If the kernel makes none.
    """
    pid = os.fork()
    if pid == 0:
        _become_worker(frame)
    try:
        return pid, os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _become_worker(frame: Frame) -> Never:
    status = 1
    try:
        (descriptor,) = frame.descriptors
        limits = sandbox.Limits(**frame.head["limits"])
        minimum = sandbox.Minimum(frame.head["sandbox"])
        sandbox.enter(limits, keep=[descriptor], minimum=minimum)
        child.serve(frames.take_over(descriptor))
        status = 0
    finally:
        os._exit(status)  # nothing of the zygote's is cleaned up twice


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
