"""What a worker has to be able to do under the sandbox, and what it may not exceed.

Run as a program it does each in a process of its own, and prints what each gave and how
its process ended. All is imported and has run once before the sandbox is entered.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import fcntl
import json
import mmap
import os
import resource
import select
import socket
import threading
import time
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import onnx
import onnxruntime
from numpy import linalg, random
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort
from tests.inference.sandbox.probes import (
    LIBC,
    THREAD,
    X86_64,
    attempt,
    enter_limits,
    enter_seccomp,
    said,
)

from blindai.inference import sandbox
from blindai.inference.sandbox import kernel, rules

MIB = 1 << 20
LIMITS = sandbox.Limits(memory_bytes=256 * MIB, file_bytes=MIB, open_files=32)
NOBODY = 65534
NUMBERS = (kernel.architecture() or kernel.X86_64).numbers
WEIGHTS = np.arange(128 * 128, dtype=np.float32).reshape(128, 128) / 1e4
ONES = np.ones((64, 128), np.float32)
HERE, THERE = socket.socketpair()


def model() -> bytes:
    """`y` is what is positive of `a` times weights, repeated `times` times."""
    nodes = [
        helper.make_node("MatMul", ["a", "w"], ["product"]),
        helper.make_node("Relu", ["product"], ["positive"]),
        helper.make_node("Tile", ["positive", "times"], ["y"]),
    ]
    inputs = [
        helper.make_tensor_value_info("a", TensorProto.FLOAT, ("batch", 128)),
        helper.make_tensor_value_info("times", TensorProto.INT64, (2,)),
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, (None, None))
    weights = [onnx.numpy_helper.from_array(WEIGHTS, "w")]
    graph = helper.make_graph(nodes, "g", inputs, [output], weights)
    opset = helper.make_opsetid("", 20)
    made = helper.make_model(graph, ir_version=10, opset_imports=[opset])
    return bytes(made.SerializeToString())


MODEL = model()
NOT_KEPT = os.memfd_create("not kept")
STATE: list[TextIO] = []
# mov eax, 20; int 0x80; ret
CODE = mmap.mmap(-1, mmap.PAGESIZE, prot=7)
CODE[:8] = b"\xb8\x14\0\0\0\xcd\x80\xc3"
GETPID_32 = ctypes.CFUNCTYPE(ctypes.c_int)(
    ctypes.addressof(ctypes.c_char.from_buffer(CODE))
)
FILE = os.memfd_create("model", os.MFD_ALLOW_SEALING)
os.write(FILE, MODEL)


def loaded(source: str | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        source, options, providers=["CPUExecutionProvider"], enable_fallback=False
    )


def run(session: onnxruntime.InferenceSession, times: int = 1) -> bool:
    feed = {"a": ONES, "times": np.array([times, 1], np.int64)}
    (y,) = session.run(None, feed)
    return bool(np.allclose(y[:64], ONES @ WEIGHTS))


def model_by_descriptor() -> bool:
    return run(loaded(f"/proc/self/fd/{FILE}"))


def model_by_bytes() -> bool:
    return run(loaded(MODEL))


def numpy_work() -> bool:
    x = random.default_rng(1).random((300, 300))
    u, s, v = linalg.svd(x)
    return bool(np.allclose(u * s @ v, x) and np.sort(x.ravel())[0] >= 0)


def threads() -> int:
    sums: list[int] = []
    workers = [threading.Thread(target=lambda: sums.append(1)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    time.sleep(0.001)
    return sum(sums)


def memory_in_a_descriptor() -> str:
    """Made, mapped, written, sealed, sent, received, read."""
    made = os.memfd_create("output", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(made, 4096)
    with mmap.mmap(made, 4096) as mapped:
        mapped[:5] = b"hello"
    fcntl.fcntl(made, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE)
    HERE.settimeout(1)
    socket.send_fds(HERE, [b"x"], [made])
    poll = select.poll()
    poll.register(THERE, select.POLLIN)
    poll.poll(1000)
    _, received, _, _ = socket.recv_fds(THERE, 10, 4)
    with mmap.mmap(received[0], 4096, prot=mmap.PROT_READ) as mapped:
        return mapped[:5].decode()


def trouble_in_words() -> bool:
    """A traceback, for which Python would like to read its source."""
    try:
        int("trouble")
    except ValueError:
        return "trouble" in traceback.format_exc()
    return False


def array_beyond_memory() -> str:
    session = loaded(MODEL)
    with contextlib.suppress(MemoryError):
        np.ones(300 * MIB, np.uint8)
        return "allocated"
    return f"refused, and goes on: {run(session)}"


def pieces_beyond_memory() -> str:
    session = loaded(MODEL)
    pieces: list[bytearray] = []
    try:
        while len(pieces) < 2000:
            pieces.append(bytearray(MIB))
    except MemoryError:
        held = len(pieces)
        del pieces
        return f"refused below the limit: {held <= 256}, goes on: {run(session)}"
    return "allocated"


def model_beyond_memory() -> str:
    """32 KiB, repeated to 1 GiB."""
    session = loaded(MODEL)
    try:
        run(session, times=1 << 15)
    except (ort.Fail, ort.RuntimeException):
        return f"refused, and goes on: {run(session)}"
    return "allocated"


def file_beyond_its_limit() -> str:
    made = os.memfd_create("output")
    met = []
    for action in (
        lambda: os.ftruncate(made, MIB + 1),
        lambda: os.pwrite(made, b"x", MIB),
    ):
        try:
            action()
        except OSError as error:
            met.append(error.strerror or "")
    os.ftruncate(made, MIB)
    return ", ".join(met)


def descriptors_beyond_their_limit() -> str:
    try:
        for _ in range(100):
            os.dup(FILE)
    except OSError as error:
        return str(error.strerror)
    return "no end"


def a_file_in_memory() -> str:
    try:
        os.memfd_create("output")
    except OSError as error:
        return str(error.strerror)
    return "made"


def endless() -> None:
    while True:
        pass


def other_descriptors() -> list[bool]:
    """Whether each is open: what was kept, and what was not."""
    return [_is_open(FILE), _is_open(HERE.fileno()), _is_open(NOT_KEPT)]


def standard_streams() -> list[bool]:
    """Whether each is `/dev/null`, a character device 1:3."""
    return [os.fstat(number).st_rdev == os.makedev(1, 3) for number in (0, 1, 2)]


def calls_not_listed() -> list[int]:
    """Make all system calls that are on no list; those that are not refused."""
    allowed = rules.rules(pid=os.getpid(), opening=True, memfds=True)
    listed = {NUMBERS[rule.name] for rule in allowed if rule.name in NUMBERS}
    numbers = {*range(2048)} - listed
    if X86_64:  # what x32 calls them
        numbers |= {0x4000_0000 | number for number in range(2048)}
        numbers -= {335, 336}  # uretprobe, uprobe: Linux filters neither; SIGILL
    refused = (-1, 1)  # EPERM
    return [n for n in sorted(numbers) if _called(n) != refused]


def arguments_not_listed() -> list[str]:
    """Make calls that are listed with other arguments; those that are not refused."""
    new_user = 0x1000_0000
    above = 1 << 32  # what a look at the lower half of a word does not see
    tried: dict[str, tuple[Any, ...]] = {
        "a thread in a new namespace": ("clone", THREAD | new_user, 0, 0, 0, 0),
        "a thread with memory of its own": ("clone", THREAD & ~0x100, 0, 0, 0, 0),
        "a process by its upper half": ("clone", THREAD | above, 0, 0, 0, 0),
        "an address by its upper half": ("sendto", HERE.fileno(), b"x", 1, 0, above, 0),
        "huge pages": ("mmap", 0, 1 << 21, 3, 0x22 | 0x4_0000, -1, 0),
        "an executable file": ("mmap", 0, 4096, 5, 2, FILE, 0),
        "a filter of its own": ("prctl", 22, 2, 0, 0, 0),
        "a look at a path from a folder": ("newfstatat", FILE, b"x", 0, 0x100),
        "its parent's threads": ("tgkill", os.getpid() - 1, 1, 0),
    }
    return [what for what, call in tried.items() if attempt(*call) != 1]  # EPERM


def signal_to_itself() -> int:
    return attempt("tgkill", os.getpid(), threading.get_native_id(), 0)


def call_by_other_numbers() -> int:
    """`getpid` as 32-bit programs call it, from memory made executable before."""
    return int(GETPID_32()) if X86_64 else os.getpid()


def outlive() -> str:
    time.sleep(20)
    return "outlived"


def own_limits() -> list[int]:
    """Core files, locked memory, threads of the user; whether it can be dumped."""
    named = (resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK, resource.RLIMIT_NPROC)
    return [resource.getrlimit(each)[1] for each in named] + [LIBC.prctl(3)]


def own_state() -> dict[str, str]:
    """What the kernel says of the process, in files that were open before."""
    fields: dict[str, str] = {}
    for file in STATE:
        file.seek(0)
    status, fields["oom_score_adj"] = (file.read().strip() for file in STATE)
    return fields | dict(line.split(":\t", 1) for line in status.splitlines())


def _called(number: int) -> tuple[int, int]:
    result = LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 6)
    return result, ctypes.get_errno()


def _is_open(number: int) -> bool:
    with contextlib.suppress(OSError):
        os.fstat(number)
        return True
    return False


def enter(allowed: sandbox.Limits, keep: Collection[int]) -> None:
    STATE.extend(
        Path(f"/proc/self/{name}").open(encoding="utf-8")  # noqa: SIM115  for later
        for name in ("status", "oom_score_adj")
    )
    kept = (FILE, HERE.fileno(), THERE.fileno(), *(file.fileno() for file in STATE))
    sandbox.enter(allowed, keep=[*keep, *kept])


def fully(answer: int) -> None:
    enter(LIMITS, [answer])


def as_nobody(answer: int) -> None:
    """As a user without privileges, whom root can become."""
    if not os.getuid():
        os.setresuid(NOBODY, NOBODY, NOBODY)
    fully(answer)


def in_two_seconds(answer: int) -> None:
    enter(dataclasses.replace(LIMITS, cpu_seconds=1), [answer])


def without_memfds(answer: int) -> None:
    enter(dataclasses.replace(LIMITS, memfds=False), [answer])


def with_a_thread(answer: int) -> None:
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    fully(answer)


def orphaned(answer: int) -> None:
    """Go on as the child of a process that ends once this one has entered."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    enter(LIMITS, [answer, writer])
    os.write(writer, b"x")


Scenario = tuple[Callable[[int], object], Callable[[], object]]
SERVING = (
    model_by_descriptor,
    model_by_bytes,
    numpy_work,
    threads,
    memory_in_a_descriptor,
    trouble_in_words,
)
SCENARIOS: dict[str, Scenario] = {
    **{action.__name__: (fully, action) for action in SERVING},
    **{f"{action.__name__}, as nobody": (as_nobody, action) for action in SERVING},
    "model_by_bytes, by seccomp alone": (enter_seccomp, model_by_bytes),
    "model_by_descriptor, by seccomp alone": (enter_seccomp, model_by_descriptor),
    "calls_not_listed": (fully, calls_not_listed),
    "arguments_not_listed": (fully, arguments_not_listed),
    "signal_to_itself": (fully, signal_to_itself),
    "call_by_other_numbers": (fully, call_by_other_numbers),
    "call_by_other_numbers, outside": (lambda _: None, call_by_other_numbers),
    "outlive": (orphaned, outlive),
    "own_limits": (enter_limits, own_limits),
    "own_state": (fully, own_state),
    "own_state, as nobody": (as_nobody, own_state),
    "array_beyond_memory": (fully, array_beyond_memory),
    "pieces_beyond_memory": (fully, pieces_beyond_memory),
    "model_beyond_memory": (fully, model_beyond_memory),
    "file_beyond_its_limit": (fully, file_beyond_its_limit),
    "descriptors_beyond_their_limit": (fully, descriptors_beyond_their_limit),
    "a_file_in_memory": (fully, a_file_in_memory),
    "a_file_in_memory, without memfds": (without_memfds, a_file_in_memory),
    "endless": (in_two_seconds, endless),
    "other_descriptors": (fully, other_descriptors),
    "standard_streams": (fully, standard_streams),
    "with_a_thread": (with_a_thread, numpy_work),
}


def main() -> None:
    """Print a JSON object: scenario to what it gave and the process's exit code."""
    run(loaded(MODEL))
    found = {name: said(*scenario) for name, scenario in SCENARIOS.items()}
    print(json.dumps(found))  # noqa: T201  it is a program


if __name__ == "__main__":
    main()
