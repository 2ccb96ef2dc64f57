"""The peers: what each is, how it is asked, how it is started."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.peers import formats, install, subjects
from benchmarks.peers.tasks import THREADS

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from benchmarks.peers.tasks import Task

WORKERS = 2  # runs at once, where a server has a number for it: the cores measured on


class Peer(NamedTuple):
    """What blindai is compared with.

    Attributes:
        name: Its name on the command line.
        title: Its name in the tables.
        environment: Its environment.
        package: Whose version is shown.
        form: How it is asked; none where it is in the process that asks.
        ready: Where it says that it is ready.
    """

    name: str
    title: str
    environment: str
    package: str
    form: formats.Format | None
    ready: str = ""

    @property
    def words(self) -> str:
        """How it is asked, in words."""
        return self.form.words if self.form else "no server: called in its process"

    @property
    def version(self) -> str:
        """The version measured."""
        return install.version_of(self.environment or "litserve", self.package)

    def python(self) -> str:
        """The Python that it runs in; see `install.python_of`."""
        return (
            install.python_of(self.environment) if self.environment else sys.executable
        )

    def start(
        self, task: Task, folder: Path
    ) -> AbstractContextManager[subjects.Subject]:
        """Run it on a model, in a folder of its own."""
        python = self.python()
        model = folder / f"{task.name}.onnx"
        model.write_bytes(task.content())
        if self.form is None:
            return subjects.engine(python, self.name, model)
        in_line = self.environment == "mlserver" and not task.long
        numbers = ("{port}", str(THREADS), str(0 if in_line else WORKERS))
        script = install.SERVERS / f"{self.environment}_serve.py"
        command = [python, str(script), *numbers, str(model)]
        return subjects.server(command, model, self.form, self.ready, task.array())


PEERS = {
    peer.name: peer
    for peer in (
        Peer("onnxruntime", "ONNX Runtime", "", "onnxruntime", None),
        Peer("tract", "tract", "tract", "tract", None),
        Peer(
            "mlserver",
            "MLServer",
            "mlserver",
            "mlserver",
            formats.V2_JSON,
            "/v2/health/ready",
        ),
        Peer(
            "mlserver-base64",
            "MLServer, base64",
            "mlserver",
            "mlserver",
            formats.V2_BASE64,
            "/v2/health/ready",
        ),
        Peer("litserve", "LitServe", "litserve", "litserve", formats.OCTETS, "/health"),
        Peer(
            "triton",
            "Triton, Python backend",
            "triton",
            "nvidia-pytriton",
            formats.V2_BINARY,
            "/v2/health/ready",
        ),
        Peer("ray", "Ray Serve", "ray", "ray", formats.OCTETS, "/-/healthz"),
    )
}
