"""Changes models, kills the server at any moment, and judges what is there afterwards.

What was acknowledged has to be there; what was not is there whole, or not at all. Each
model adds a number of its own, so that what it answers says which one it is.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import blindai
from blindai.client.policies import SimulationWarning
from blindai.errors import TransportError
from blindai.server.auth import digest, generate_key

ROOT = Path(__file__).parents[2]
MAX_VERSIONS = 2
NAMES = 3
WEIGHTS = 2000
Versions = tuple[int, ...]  # the numbers that a name's versions add, the oldest first


@dataclass
class Change:
    """A change that was asked for.

    Attributes:
        name: Of the model.
        after: What its versions add once it is done.
        run: Asks for it.
    """

    name: str
    after: Versions
    run: Callable[[blindai.Connection], object] = field(repr=False)


@dataclass
class Owner:
    """A client with models of its own, one change after the other.

    Attributes:
        held: What was acknowledged, by name.
        asked: The change that is under way.
        done: How many were acknowledged, by kind.
    """

    held: dict[str, Versions]
    asked: Change | None = None
    done: Counter[str] = field(default_factory=Counter)

    def work(self, client: blindai.Connection) -> None:
        """Change models until the server is gone."""
        with contextlib.suppress(TransportError):
            while True:
                kind, self.asked = self._choose()
                self.asked.run(client)
                self.held[self.asked.name] = self.asked.after
                self.asked = None
                self.done[kind] += 1

    def judge(self, found: dict[str, Versions]) -> None:
        """Require what was acknowledged, and take over what else came to be."""
        for name, held in self.held.items():
            allowed = {held}
            if self.asked is not None and self.asked.name == name:
                allowed.add(self.asked.after)
            actual = found.get(name, ())
            assert actual in allowed, f"{name}: expected {allowed}, got {actual}"
            self.held[name] = actual
        self.asked = None

    def _choose(self) -> tuple[str, Change]:
        name = secrets.choice(tuple(self.held))
        held = self.held[name]
        kind = secrets.choice(("upload", "upload", "delete", "delete one"))
        if not held or kind == "upload":
            number = secrets.randbelow(1 << 20) + 1
            data = adding(number)
            return "replace" if held else "upload", Change(
                name,
                (*held, number)[-MAX_VERSIONS:],
                lambda client: client.upload_model(data, name),
            )
        if kind == "delete":
            return kind, Change(name, (), lambda client: client.delete_model(name))
        return kind, Change(name, held[:-1], lambda client: _delete_last(client, name))


def adding(number: int) -> bytes:
    """A model that adds a number."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [WEIGHTS])],
        [numpy_helper.from_array(np.full(WEIGHTS, number, np.float32), "w")],
    )
    opset = helper.make_opsetid("", 20)
    proto = helper.make_model(graph, ir_version=10, opset_imports=[opset])
    return bytes(proto.SerializeToString())


class Victim:
    """The server, in a process that is killed.

    Args:
        folder: Where it keeps its models.
        isolation: Where they run.
    """

    def __init__(self, folder: Path, isolation: str) -> None:
        self.key = generate_key()
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        words = (str(folder), str(self.port), digest(self.key), isolation)
        self._parent = subprocess.Popen(  # noqa: S603  our own script
            [sys.executable, "-m", "tests.kill.server", *words],
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @contextlib.contextmanager
    def started(self) -> Iterator[int]:
        """A new process, which is killed at the end; gives its pid."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write("start\n")
        self._parent.stdin.flush()
        pid = int(self._parent.stdout.readline())
        try:
            yield pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            assert self._parent.stdout.readline() == "dead\n"

    def connect(self) -> blindai.Connection:
        """A client of the process, which may just be starting."""
        client = blindai.Connection(
            f"http://127.0.0.1:{self.port}", simulation=True, api_key=self.key
        )
        give_up = time.monotonic() + 30
        while True:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", SimulationWarning)
                    client.attest()
            except TransportError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.002)
            else:
                return client

    def close(self) -> None:
        """End the parent."""
        self._parent.communicate()


def look(client: blindai.Connection, folder: Path) -> dict[str, Versions]:
    """What is there: each version of it runs, and nothing else lies on the disk."""
    found: dict[str, Versions] = {}
    models = client.models()
    for model in models:
        assert not model.unavailable, model.unavailable
        answer = client.predict(model.name, [0.0], model_version=model.version)
        number = int(answer.output[0].as_numpy()[0])
        found[model.name] = (*found.get(model.name, ()), number)
    files = {each.name for each in (folder / "models").iterdir()}
    assert len(files - {"index", "reserve"}) == len(models), "files were left"
    return found


def run(
    folder: Path, rounds: int, isolation: str = "thread", longest_s: float = 0.25
) -> Counter[str]:
    """Kill the server so many times; how many changes were acknowledged, by kind.

    Args:
        folder: Where models are kept.
        rounds: How many times to kill.
        isolation: Where models run.
        longest_s: After how long to kill at the latest, in seconds.

    Raises:
        AssertionError: If something was lost, or is there in part.
    """
    owners = [
        Owner({f"{owner}-{number}": () for number in range(NAMES)})
        for owner in ("a", "b")
    ]
    victim = Victim(folder, isolation)
    cut: Counter[str] = Counter()
    try:
        for _ in range(rounds):
            with victim.started() as pid, contextlib.ExitStack() as clients:
                found = look(clients.enter_context(victim.connect()), folder)
                for owner in owners:
                    owner.judge(found)
                own = [clients.enter_context(victim.connect()) for _ in owners]
                threads = [
                    threading.Thread(target=owner.work, args=(client,))
                    for owner, client in zip(owners, own, strict=True)
                ]
                for thread in threads:
                    thread.start()
                time.sleep(longest_s * secrets.randbelow(1000) / 1000)
                os.kill(pid, signal.SIGKILL)
                for thread in threads:
                    thread.join()
            cut["cut short"] += sum(owner.asked is not None for owner in owners)
        with victim.started(), victim.connect() as client:
            found = look(client, folder)
            for owner in owners:
                owner.judge(found)
    finally:
        victim.close()
    return sum((owner.done for owner in owners), cut)


def _delete_last(client: blindai.Connection, name: str) -> None:
    latest = max(each.version for each in client.models() if each.name == name)
    client.delete_model(name, model_version=latest)
