"""What code in a worker may try, each a function that gives the errno it met.

Run as a program it makes all attempts, each in a process of its own that has entered
one layer of the sandbox, and prints the outcomes. The kernel is the real one.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from blindai.inference import sandbox
from blindai.inference.sandbox import kernel, landlock, limits, rules, seccomp

LIBC = ctypes.CDLL(None, use_errno=True)
X86_64 = os.uname().machine == "x86_64"
# System calls that the sandbox has no use for: x86_64, aarch64.
NUMBERS = {
    name: pair[not X86_64]
    for name, pair in {
        "bind": (49, 200),
        "bpf": (321, 280),
        "chdir": (80, 49),
        "clone": (56, 220),
        "clone3": (435, 435),
        "connect": (42, 203),
        "execve": (59, 221),
        "io_uring_setup": (425, 425),
        "keyctl": (250, 219),
        "kill": (62, 129),
        "memfd_create": (319, 279),
        "mmap": (9, 222),
        "mprotect": (10, 226),
        "newfstatat": (262, 79),
        "openat": (257, 56),
        "pidfd_open": (434, 434),
        "prctl": (157, 167),
        "prlimit64": (302, 261),
        "process_vm_readv": (310, 270),
        "process_vm_writev": (311, 271),
        "ptrace": (101, 117),
        "sched_setaffinity": (203, 122),
        "sendto": (44, 206),
        "shmget": (29, 194),
        "socket": (41, 198),
        "tgkill": (234, 131),
        "unshare": (272, 97),
        "userfaultfd": (323, 282),
    }.items()
}
SECRET = ctypes.create_string_buffer(b"a sibling's memory")
AT_FDCWD = -100


@dataclass(frozen=True)
class World:
    """What there is to reach."""

    folder: Path
    parent: int
    sibling: int
    sibling_memfd: int
    tcp: socket.socket
    unbound: socket.socket
    udp: socket.socket
    unix: socket.socket
    tcp_port: int
    abstract: bytes
    memfd: int
    page: mmap.mmap


def attempt(name: str, *arguments: object) -> int:
    """Make a system call by its number; its errno, 0 if it did what was asked."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = LIBC.syscall(ctypes.c_long(NUMBERS[name]), *words)
    return ctypes.get_errno() if result == -1 else 0


def opened(path: str, flags: int = os.O_RDONLY) -> int:
    return attempt("openat", AT_FDCWD, path.encode(), flags, 0o600)


def forked(make: Callable[[], int]) -> int:
    """The errno of what makes a process; such a process ends here."""
    here = os.getpid()
    found = make()
    if os.getpid() != here:
        os._exit(0)
    return found


def python_said(action: Callable[[], object]) -> int:
    """The errno that Python's own way to do it meets."""
    try:
        action()
    except OSError as error:
        return error.errno or -1
    return 0


def address(of: socket.socket | None, world: World) -> bytes:
    """A loopback address of family AF_INET, as connect and bind take it."""
    port = 0 if of is None else world.tcp_port
    packed = struct.pack("!H4s8x", port, b"\x7f\0\0\1")
    return struct.pack("=H", socket.AF_INET) + packed


def unix_address(world: World) -> bytes:
    return struct.pack("=H", socket.AF_UNIX) + world.abstract


def vector(address: int) -> ctypes.Array[ctypes.c_size_t]:
    return (ctypes.c_size_t * 2)(address, len(SECRET))


def other_memory(name: str, world: World) -> int:
    mine = ctypes.create_string_buffer(len(SECRET))
    return attempt(
        name,
        world.sibling,
        vector(ctypes.addressof(mine)),
        1,
        vector(ctypes.addressof(SECRET)),
        1,
        0,
    )


def mapped(prot: int, flags: int) -> int:
    return attempt("mmap", 0, 1 << 21, prot, flags, -1, 0)


def connected(fd: int, to: bytes) -> int:
    return attempt("connect", fd, to, len(to))


def unlimited_memory() -> int:
    without = (ctypes.c_uint64 * 2)(2**64 - 1, 2**64 - 1)
    return attempt("prlimit64", 0, 2, without, None)  # RLIMIT_DATA


def vfork_and_exec() -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


SIBLING_FILES = ("maps", "mem", "environ", "stack", "syscall")
RW = mmap.PROT_READ | mmap.PROT_WRITE
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
THREAD = 0x3D0F00  # what glibc's pthread_create asks for
PTRACE_ATTACH, PR_SET_DUMPABLE, PR_SET_PDEATHSIG, CLONE_NEWUSER = 16, 4, 1, 0x10000000
F_SETSIG, FIOASYNC = 10, 0x5452

PROBES: dict[str, Callable[[World], int]] = {
    "open a file": lambda _: opened("/etc/passwd"),
    "open a file, in Python": lambda _: python_said(Path("/etc/passwd").read_bytes),
    "open its own environment": lambda _: opened("/proc/self/environ"),
    "open its own memory": lambda _: opened("/proc/self/mem"),
    "open its parent's memory": lambda w: opened(f"/proc/{w.parent}/mem"),
    "open a sibling's memory": lambda w: opened(f"/proc/{w.sibling}/mem"),
    "open a sibling's maps": lambda w: opened(f"/proc/{w.sibling}/maps"),
    "open a sibling's environment": lambda w: opened(f"/proc/{w.sibling}/environ"),
    "open a sibling's memfd": lambda w: opened(
        f"/proc/{w.sibling}/fd/{w.sibling_memfd}"
    ),
    "open a device": lambda _: opened("/dev/null"),
    "write to a file": lambda w: opened(f"{w.folder}/file", os.O_WRONLY),
    "create a file": lambda w: opened(f"{w.folder}/new", os.O_RDWR | os.O_CREAT),
    "open a folder": lambda w: opened(f"{w.folder}", os.O_DIRECTORY),
    "find a path": lambda w: opened(f"{w.folder}/file", os.O_PATH),
    "write to its own memfd by name": lambda w: opened(
        f"/proc/self/fd/{w.memfd}", os.O_RDWR
    ),
    "list a folder, in Python": lambda w: python_said(lambda: list(w.folder.iterdir())),
    "remove a file, in Python": lambda w: python_said((w.folder / "file").unlink),
    "look at a path": lambda _: attempt(
        "newfstatat", AT_FDCWD, b"/etc/passwd", ctypes.create_string_buffer(256), 0
    ),
    "change folder": lambda _: attempt("chdir", b"/"),
    "open an internet socket": lambda _: attempt("socket", socket.AF_INET, 1, 0),
    "open a Unix socket": lambda _: attempt("socket", socket.AF_UNIX, 1, 0),
    "open a socket, in Python": lambda _: python_said(socket.socket),
    "make a pair of sockets, in Python": lambda _: python_said(socket.socketpair),
    "connect by TCP": lambda w: connected(w.tcp.fileno(), address(w.tcp, w)),
    "bind a TCP port": lambda w: attempt(
        "bind", w.unbound.fileno(), address(None, w), len(address(None, w))
    ),
    "connect to an abstract socket": lambda w: connected(
        w.unix.fileno(), unix_address(w)
    ),
    "send by UDP to an address": lambda w: attempt(
        "sendto", w.udp.fileno(), b"x", 1, 0, address(w.tcp, w), 16
    ),
    "fork": lambda _: forked(lambda: attempt("clone", signal.SIGCHLD, 0, 0, 0, 0)),
    "fork, in Python": lambda _: forked(lambda: python_said(os.fork)),
    "fork by clone3": lambda _: forked(
        lambda: attempt("clone3", (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17), 64)
    ),
    "fork into a new user namespace": lambda _: forked(
        lambda: attempt("clone", signal.SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0)
    ),
    "spawn (vfork), in Python": lambda _: python_said(vfork_and_exec),
    "execute": lambda _: attempt(
        "execve", b"/bin/true", (ctypes.c_char_p * 2)(b"true", None), None
    ),
    "trace a sibling": lambda w: attempt("ptrace", PTRACE_ATTACH, w.sibling, 0, 0),
    "read a sibling's memory": lambda w: other_memory("process_vm_readv", w),
    "write a sibling's memory": lambda w: other_memory("process_vm_writev", w),
    "kill a sibling": lambda w: attempt("kill", w.sibling, signal.SIGWINCH),
    "kill a sibling's thread": lambda w: attempt(
        "tgkill", w.sibling, w.sibling, signal.SIGWINCH
    ),
    "kill its parent": lambda w: attempt("kill", w.parent, signal.SIGWINCH),
    "hold a sibling": lambda w: attempt("pidfd_open", w.sibling, 0),
    "have a descriptor signal a sibling": lambda w: python_said(
        lambda: fcntl.fcntl(w.unix.fileno(), fcntl.F_SETOWN, w.sibling)
    ),
    "choose a descriptor's signal": lambda w: python_said(
        lambda: fcntl.fcntl(w.unix.fileno(), F_SETSIG, signal.SIGKILL)
    ),
    "ask for signals of a descriptor": lambda w: python_said(
        lambda: fcntl.ioctl(w.unix.fileno(), FIOASYNC, struct.pack("=i", 1))
    ),
    "map executable memory": lambda _: mapped(RW | mmap.PROT_EXEC, PRIVATE),
    "make memory executable": lambda w: attempt(
        "mprotect",
        ctypes.addressof(ctypes.c_char.from_buffer(w.page)),
        mmap.PAGESIZE,
        mmap.PROT_READ | mmap.PROT_EXEC,
    ),
    "map shared memory without a file": lambda _: mapped(RW, mmap.MAP_SHARED | 0x20),
    "map memory that counts as a stack": lambda _: mapped(RW, PRIVATE | 0x100),
    "make an executable memfd": lambda _: attempt("memfd_create", b"x", 0x10),
    "make a memfd of huge pages": lambda _: attempt("memfd_create", b"x", 4),
    "set up io_uring": lambda _: attempt(
        "io_uring_setup", 1, ctypes.create_string_buffer(120)
    ),
    "leave its namespaces": lambda _: attempt("unshare", CLONE_NEWUSER),
    "be dumped": lambda _: attempt("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0),
    "outlive its parent": lambda _: attempt("prctl", PR_SET_PDEATHSIG, 0, 0, 0, 0),
    "raise a limit": lambda _: unlimited_memory(),
    "choose a sibling's cores": lambda w: attempt(
        "sched_setaffinity", w.sibling, 8, (ctypes.c_uint64 * 1)(1)
    ),
    "share memory by key": lambda _: attempt("shmget", 0, 4096, 0o1600),
    "handle its own page faults": lambda _: attempt("userfaultfd", 1),
    "keep a key in the kernel": lambda _: attempt("keyctl", 0, -3, 1),
}


PR_SET_NO_NEW_PRIVS = 38
LIMITS = sandbox.Limits(memory_bytes=256 << 20, file_bytes=1 << 20)


def enter_seccomp(_answer: int, *, opening: bool = False) -> None:
    kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(rules.rules(pid=os.getpid(), opening=opening, memfds=True))


def enter_seccomp_opening(answer: int) -> None:
    enter_seccomp(answer, opening=True)


def enter_landlock(_answer: int) -> None:
    kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(landlock.offered())


def enter_first_landlock(_answer: int) -> None:
    kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(1)


def enter_limits(_answer: int) -> None:
    limits.limit(LIMITS)
    limits.drop_privileges()
    limits.close_to_others()


def enter_full(_answer: int) -> None:
    sandbox.enter(LIMITS, keep=range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))


LAYERS: dict[str, Callable[[int], object]] = {
    "none": lambda _: None,
    "limits": enter_limits,
    "seccomp": enter_seccomp,
    "seccomp, opening": enter_seccomp_opening,
    "landlock": enter_landlock,
    "landlock, ABI 1": enter_first_landlock,
    "full": enter_full,
}


def sibling() -> tuple[int, int]:
    """Another worker: its process, and its descriptor of memory that is its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, b"%d" % os.memfd_create("theirs"))
        signal.pause()
        while True:  # whoever traces it, or sends SIGWINCH, does not end it
            signal.pause()
    return pid, int(os.read(reader, 16))


def world(folder: Path) -> World:
    (folder / "file").write_bytes(b"")
    pid, memfd = sibling()
    listener = socket.create_server(("127.0.0.1", 0))
    name = b"\0blindai-%d" % os.getpid()
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(name)
    abstract.listen()
    # They have to stay open, and are nobody's business.
    os.dup(listener.fileno()), os.dup(abstract.fileno())
    return World(
        folder=folder,
        parent=os.getpid(),
        sibling=pid,
        sibling_memfd=memfd,
        tcp=socket.socket(),
        unbound=socket.socket(),
        udp=socket.socket(type=socket.SOCK_DGRAM),
        unix=socket.socket(socket.AF_UNIX),
        tcp_port=listener.getsockname()[1],
        abstract=name,
        memfd=os.memfd_create("mine"),
        page=mmap.mmap(-1, mmap.PAGESIZE),
    )


def said(
    enter: Callable[[int], object], action: Callable[[], object]
) -> tuple[object, int]:
    """What an action gave in a process that entered, and how the process ended.

    `enter` is given the descriptor by which the process answers.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            enter(writer)
            os.write(writer, json.dumps(action()).encode())
        except BaseException as error:  # noqa: BLE001  a process's outermost edge
            os.write(writer, json.dumps(repr(error)).encode())
        os._exit(0)
    os.close(writer)
    found = os.read(reader, 1 << 16)
    os.close(reader)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return json.loads(found or b"null"), status


def met(layer: str, probe: Callable[[World], int], w: World) -> object:
    """The errno that a probe met; 0 if its process was replaced, and ended well."""
    found, status = said(LAYERS[layer], lambda: probe(w))
    return status if found is None else found


def main(layer: str) -> None:
    """Print a JSON object: what is tried to errno."""
    with tempfile.TemporaryDirectory() as folder:
        made = world(Path(folder))
        try:
            print(  # noqa: T201  it is a program
                json.dumps(
                    {name: met(layer, probe, made) for name, probe in PROBES.items()}
                )
            )
        finally:
            os.kill(made.sibling, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
