"""Small ONNX models that are admitted, for tests that change them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from tests.inference.by_hand import Figures, Sending
from tests.inference.storing import Stores

from blindai.inference.admission import admit
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.model import ModelSpec
from blindai.inference.scheduler import Scheduler
from blindai.inference.store import Store

OPSET = helper.make_opsetid("", 20)


def value(name: str, shape: tuple[int | str, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def add_model() -> onnx.ModelProto:
    node = helper.make_node("Add", ["a", "b"], ["y"], name="sum")
    inputs = [value("a", ("batch", 3)), value("b", (3,))]
    graph = helper.make_graph([node], "g", inputs, [value("y", ("batch", 3))])
    return helper.make_model(graph, ir_version=10, opset_imports=[OPSET])


@pytest.fixture
def model() -> onnx.ModelProto:
    """The sum `y` of the tensors `a` and `b`, by a node named `sum`."""
    return add_model()


@pytest.fixture(scope="session")
def admitted() -> Callable[..., ModelSpec]:
    """What admission reads in a model, within the usual limits or others."""

    def run(model: onnx.ModelProto, limits: AdmissionLimits | None = None) -> ModelSpec:
        data = memoryview(model.SerializeToString())
        return admit(data, limits or AdmissionLimits())

    return run


@pytest.fixture(scope="session")
def call() -> Callable[..., onnx.NodeProto]:
    """A node that calls an operator, or a function of a model's own domain."""

    def make(name: str, domain: str = "own") -> onnx.NodeProto:
        return helper.make_node(name, ["a"], ["y"], domain=domain)

    return make


@pytest.fixture(scope="session")
def function() -> Callable[..., onnx.FunctionProto]:
    """A function of a model's own domain."""

    def make(
        name: str, nodes: list[onnx.NodeProto], domain: str = "own"
    ) -> onnx.FunctionProto:
        return helper.make_function(domain, name, ["a"], ["y"], nodes, [OPSET])

    return make


@pytest.fixture(scope="session")
def doubling(
    call: Callable[..., onnx.NodeProto], function: Callable[..., onnx.FunctionProto]
) -> Callable[..., onnx.ModelProto]:
    """A sum and functions that call the next twice: 2**(functions + 1) nodes."""

    def make(functions: int, domain: str = "own") -> onnx.ModelProto:
        model = add_model()
        model.graph.node.append(call("f0", domain))
        for number in range(functions - 1):
            twice = [call(f"f{number + 1}", domain)] * 2
            model.functions.append(function(f"f{number}", twice, domain))
        relus = [call("Relu", "")] * 2
        model.functions.append(function(f"f{functions - 1}", relus, domain))
        return model

    return make


@pytest.fixture
def figures() -> Figures:
    """What the scheduler says that it did."""
    return Figures()


@pytest.fixture
async def scheduler(figures: Figures) -> AsyncIterator[Scheduler]:
    """A scheduler with one slot."""
    scheduler = Scheduler(1, {}, figures)
    yield scheduler
    scheduler.close()


@pytest.fixture
async def send(scheduler: Scheduler) -> AsyncIterator[Sending]:
    """Sends requests to it."""
    send = Sending(scheduler)
    yield send
    await send.close()


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    """Stores in one folder."""
    async with Stores(tmp_path / "models") as stores:
        yield stores


@pytest.fixture
async def store(stores: Stores) -> Store:
    """The first of them, begun."""
    store = stores.lasting()
    await store.start()
    return store
