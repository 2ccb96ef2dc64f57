"""Stores for tests: small models, an engine of threads, a folder that outlives it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from onnx import TensorProto, helper

from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.arrivals import Upload
from blindai.inference.blocking import Threads
from blindai.inference.engine import Engine, EngineLimits
from blindai.inference.folder import INDEX, RESERVE, SealedFolder
from blindai.inference.model import ModelInfo
from blindai.inference.observer import Silent
from blindai.inference.room import StoreLimits
from blindai.inference.scheduler import Scheduler
from blindai.inference.store import Store
from blindai.inference.threads import ThreadIsolation

NOW = datetime(2024, 5, 6, tzinfo=UTC)
ALICE, BOB = "key:alice", "token:bob"


def model(operator: str = "Relu") -> bytes:
    """A model of one node; any two have as many bytes if their operators have."""
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    opset = helper.make_opsetid("", 20)
    proto = helper.make_model(graph, ir_version=10, opset_imports=[opset])
    return bytes(proto.SerializeToString())


RELU, TANH, CEIL = model("Relu"), model("Tanh"), model("Ceil")


async def add(
    store: Store,
    name: str = "model",
    data: bytes = RELU,
    owner: str = ALICE,
    **how: Any,  # noqa: ANN401  Upload's own
) -> ModelInfo:
    with store.spool() as spool:
        await spool.write(data)
        return await store.add(name, owner, spool, Upload(**{"now": NOW, **how}))


class Stores:
    """Makes stores that share an engine and, if they are lasting, a folder."""

    def __init__(self, path: Path, admission: AdmissionLimits | None = None) -> None:
        self.path = path
        self.threads = Threads()
        self.engine = Engine(
            ThreadIsolation(self.threads),
            Scheduler(1, {}, Silent()),
            EngineLimits(),
            admission or AdmissionLimits(),
            Silent(),
        )

    def passing(self, limits: StoreLimits | None = None) -> Store:
        """One without a folder."""
        return Store(self.engine, self.threads, limits or StoreLimits())

    def lasting(self, limits: StoreLimits | None = None) -> Store:
        """One that begins as a new process would."""
        folder = SealedFolder(self.path, b"k" * 32)
        return Store(self.engine, self.threads, limits or StoreLimits(), folder)

    def files(self) -> list[Path]:
        """The sealed models."""
        rest = {self.path / INDEX, self.path / RESERVE}
        return sorted({*self.path.iterdir()} - rest)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.close()
        await self.threads.close()
