"""A zygote whose workers do what a test names, in the sandbox of a real one.

    server -> worker   {op: attempt, what, pid}   something that must fail
    worker -> server   {result}                   how it failed, or that it did not

A model is answered for as the name of its first input says; see `_LANES`.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blindai.errors import UnauthenticatedError
from blindai.inference.worker import child, frames, lane, memory, zygote
from blindai.inference.worker.frames import Frame

_LIBC = ctypes.CDLL(None, use_errno=True)
_SECRET = ctypes.create_string_buffer(b"a secret of one worker, in memory")
_PROCESS_VM_READV = {"x86_64": 310, "aarch64": 270}
_Lane = Callable[[socket.socket, Frame], None]


def _call(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def _read_memory(pid: int) -> object:
    """Read another process's memory where this one, its twin, has the secret."""
    address = ctypes.addressof(_SECRET)
    target = (ctypes.c_char * 32)()
    local = (ctypes.c_size_t * 2)(ctypes.addressof(target), 32)
    remote = (ctypes.c_size_t * 2)(address, 32)
    number = _PROCESS_VM_READV[os.uname().machine]
    return _call(_LIBC.syscall(number, pid, local, 1, remote, 1, 0))


def _map_for_writing(model: int) -> object:
    return mmap.mmap(model, 0, mmap.MAP_SHARED, mmap.PROT_WRITE | mmap.PROT_READ)


_ATTEMPTS: dict[str, Callable[[int, int], object]] = {
    "read a file": lambda *_: Path("/etc/passwd").read_bytes(),
    "read its own program": lambda *_: Path(sys.executable).read_bytes(),
    "list a folder": lambda *_: list(Path("/").iterdir()),
    "write a file": lambda *_: Path("hostile").write_bytes(b"x"),
    "open a TCP socket": lambda *_: socket.socket(socket.AF_INET),
    "open a UDP socket": lambda *_: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "open a Unix socket": lambda *_: socket.socket(socket.AF_UNIX),
    "fork": lambda *_: os.fork(),
    "execute": lambda *_: os.execv("/bin/true", ["true"]),  # noqa: S606  it fails
    "read another's memory": lambda pid, _: _read_memory(pid),
    "open another's memory": lambda pid, _: Path(f"/proc/{pid}/mem").read_bytes(),
    "attach to another": lambda pid, _: _call(_LIBC.ptrace(16, pid, 0, 0)),
    "kill another": lambda pid, _: os.kill(pid, signal.SIGKILL),
    "kill the zygote": lambda *_: os.kill(os.getppid(), signal.SIGKILL),
    "write to the model": lambda _, model: os.pwrite(model, b"other", 0),
    "map the model for writing": lambda _, model: _map_for_writing(model),
    "cut the model off": lambda _, model: os.ftruncate(model, 1),
    "become root": lambda *_: os.setuid(0),
    "become dumpable": lambda *_: _call(_LIBC.prctl(4, 1)),
}


def _attempt(what: str, pid: int, model: int) -> str:
    try:
        _ATTEMPTS[what](pid, model)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "it did"


def _unsealed(size: int) -> int:
    descriptor = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    return descriptor


def _outputs(**changes: object) -> dict[str, object]:
    """An answer that would do, if it was not changed: 4 bytes of one FP32."""
    head: dict[str, object] = {"out": [[[1], 0, 4]], "ns": 1, "memory": None}
    return head | {"dropped": []} | changes


def _with(body: bytes = bytes(4), **changes: object) -> _Lane:
    return lambda end, _: frames.send(end, _outputs(**changes), [body])


def _raw(message: bytes) -> _Lane:
    def answer(end: socket.socket, _: Frame) -> None:
        end.send(message)

    return answer


def _with_memory(*sizes: int, sealed: bool = True, **changes: object) -> _Lane:
    def answer(end: socket.socket, _: Frame) -> None:
        kept = [memory.SharedMemory.create(size) for size in sizes if sealed]
        descriptors = [each.new_descriptors[0] for each in kept]
        if not sealed:
            descriptors = list(map(_unsealed, sizes))
        frames.send(end, _outputs(**{"memory": 1} | changes), descriptors=descriptors)

    return answer


def _socket_as_memory(end: socket.socket, _: Frame) -> None:
    frames.send(end, _outputs(memory=1), descriptors=[end.fileno()])


def _many_descriptors(end: socket.socket, _: Frame) -> None:
    socket.send_fds(end, [b"\0\0\0\1\xa0"], [end.fileno()] * 100)


def _twice(end: socket.socket, _: Frame) -> None:
    for _number in range(2):
        frames.send(end, _outputs(), [bytes(4)])


def _strange_refusal(end: socket.socket, _: Frame) -> None:
    lane.refuse(end, UnauthenticatedError("mind your own"))


def _segfault(_end: socket.socket, _: Frame) -> None:
    ctypes.string_at(0)


def _silence(_end: socket.socket, _: Frame) -> None:
    time.sleep(3600)


_LANES: dict[str, _Lane] = {
    "honest": _with(),
    "no frame": _raw(b"x"),
    "no CBOR": _raw(b"\0\0\0\4\xff\xff\xff\xff"),
    "no map": _raw(b"\0\0\0\1\x01"),
    "empty map": _raw(b"\0\0\0\1\xa0"),
    "a long head": _raw(b"\xff\xff\xff\xff\xa0"),
    "much too long": _raw(b"\0\0\0\1\xa0" + bytes(150_000)),
    "no outputs": _with(out=[]),
    "more outputs": _with(out=[[[1], 0, 4]] * 2),
    "a huge shape": _with(out=[[[1 << 62], 0, 4]]),
    "a huge empty shape": _with(out=[[[1 << 58, 1 << 58, 0], 0, 0]]),
    "many dimensions": _with(out=[[[1] * 100, 0, 4]]),
    "a negative shape": _with(out=[[[-1], 0, 4]]),
    "a shape of truth": _with(out=[[[True], 0, 4]]),
    "a shape of text": _with(out=[["1", 0, 4]]),
    "an offset outside": _with(out=[[[1], 1, 4]]),
    "a negative offset": _with(out=[[[1], -4, 4]]),
    "a negative size": _with(out=[[[1], 4, -4]]),
    "a size that is not the shape's": _with(out=[[[1], 0, 3]]),
    "no time": _with(ns=None),
    "memory that is not there": _with(memory=7),
    "memory dropped that is not there": _with(dropped=[3]),
    "memory dropped that is no number": _with(dropped=[[1]]),
    "unsealed memory": _with_memory(4096, sealed=False),
    "more memory than it may": _with_memory(80 << 20),
    "two memories": _with_memory(4096, 4096),
    "memory for a message": _with_memory(4096, out=[]),
    "memory in a refusal": lambda end, _: frames.send(
        end, {"problem": True}, [b"{}"], [end.fileno()]
    ),
    "memory that is a socket": _socket_as_memory,
    "an offset outside of memory": _with_memory(4096, out=[[[1], 1 << 20, 4]]),
    "many descriptors": _many_descriptors,
    "two answers": _twice,
    "a strange refusal": _strange_refusal,
    "exit": lambda *_: os._exit(7),
    "segfault": _segfault,
    "a signal without a name": lambda *_: signal.raise_signal(40),
    "silence": _silence,
}


def _serve_lane(end: socket.socket, answer: _Lane) -> None:
    while (frame := frames.receive(end)) is not None:
        answer(end, frame)


def serve(end: socket.socket) -> None:
    """In the place of `child.serve`."""
    model = -1
    while (frame := frames.receive(end)) is not None:
        head: dict[str, Any] = frame.head
        match head:
            case {"op": "attempt", "what": what, "pid": pid}:
                model = frame.descriptors[0] if frame.descriptors else model
                frames.send(end, {"result": _attempt(what, pid, model)})
            case {"op": "load", "spec": spec}:
                answer = _LANES[spec["inputs"][0][0]]
                for descriptor in frame.descriptors[1:]:
                    theirs = frames.take_over(descriptor)
                    threading.Thread(
                        target=_serve_lane, args=(theirs, answer), daemon=True
                    ).start()
                frames.send(end, {"loaded": True})
            case {"op": "admit"}:
                frames.send(end, {"spec": {"inputs": [["x", "FP99", None]]}})
            case _:
                pass  # it stops for nobody


if __name__ == "__main__":
    child.serve = serve
    sys.exit(zygote.main(sys.argv[1:]))
