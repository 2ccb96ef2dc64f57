"""Runs of a real enclave again: the same bits in other processes, threads, batches."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from benchmarks import models
from blindai import proofs
from blindai.client.proof import Proof
from blindai.inference.arrivals import Upload
from blindai.inference.service import InferenceService, ServiceSettings
from blindai.inference.worker.processes import ProcessLimits
from blindai.proofs import Verdict
from blindai.protocol.tensor import Tensor
from blindai.server.settings import BatchSettings, InferenceSettings, Settings
from blindai.testing import SimulatedEnclave

RANDOM = np.random.default_rng(7)
OWN_MACHINE = datetime(2026, 1, 1, tzinfo=UTC)
_FEATURES, _DEPTH, _TREES = 8, 5, 40


def network() -> bytes:
    """ResNet-18, for any number of images."""
    model = onnx.load_from_string(models.resnet18())
    for each in (model.graph.input[0], model.graph.output[0]):
        each.type.tensor_type.shape.dim[0].dim_param = "n"
    return bytes(model.SerializeToString())


def recogniser() -> bytes:
    """PP-OCRv4's recogniser of text."""
    found = importlib.util.find_spec("rapidocr_onnxruntime")
    assert found is not None
    assert found.origin is not None
    (file,) = Path(found.origin).parent.glob("models/*rec*.onnx")
    return file.read_bytes()


def forest() -> bytes:
    """Trees of random thresholds, whose leaves are summed."""
    inner, all_ = 2**_DEPTH - 1, 2 ** (_DEPTH + 1) - 1
    random = np.random.default_rng(1)
    places = [(tree, node) for tree in range(_TREES) for node in range(all_)]
    leaves = [(tree, node) for tree, node in places if node >= inner]
    branches = [node < inner for _, node in places]
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[tree for tree, _ in places],
        nodes_nodeids=[node for _, node in places],
        nodes_featureids=random.integers(_FEATURES, size=len(places)).tolist(),
        nodes_values=random.standard_normal(len(places)).tolist(),
        nodes_modes=["BRANCH_LEQ" if each else "LEAF" for each in branches],
        nodes_truenodeids=[2 * node + 1 if node < inner else 0 for _, node in places],
        nodes_falsenodeids=[2 * node + 2 if node < inner else 0 for _, node in places],
        target_treeids=[tree for tree, _ in leaves],
        target_nodeids=[node for _, node in leaves],
        target_ids=[0] * len(leaves),
        target_weights=random.standard_normal(len(leaves)).tolist(),
    )
    graph = helper.make_graph(
        [node],
        "forest",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", _FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


MODELS: dict[str, tuple[Callable[[], bytes], tuple[int, ...]]] = {
    "forest": (forest, (1, _FEATURES)),
    "recogniser": (recogniser, (1, 3, 48, 160)),
    "network": (network, (1, 3, 224, 224)),
}


@pytest.fixture(scope="module")
def enclave() -> Iterator[SimulatedEnclave]:
    """One with two threads for a run, where two requests run together."""
    settings = Settings(
        inference=InferenceSettings(threads=2, workers=1),
        batching=tuple(
            BatchSettings(
                model=name, max_batch_size=2, max_queue_delay_s=5.0, across_tenants=True
            )
            for name in MODELS
        ),
    )
    with SimulatedEnclave(settings) as running:
        yield running


async def run_again(
    content: bytes, row: Tensor, *, threads: int, rows: int
) -> tuple[Tensor, ...]:
    """The model in a worker of this machine, with other rows behind the first."""
    others = RANDOM.random((rows - 1, *row.shape[1:]), np.float32)
    array = np.concatenate([row.array, others])
    settings = ServiceSettings(
        slots=1, process=ProcessLimits(sandbox="none", threads=threads)
    )
    async with InferenceService(settings) as service:
        with service.spool() as spool:
            await spool.write(content)
            await service.upload("m", "", spool, Upload(now=OWN_MACHINE))
        tensor = Tensor(row.name, row.datatype, array.shape, array)
        result = await service.infer("m", [tensor], time.monotonic() + 120)
        return tuple(_first(each) for each in result.outputs)


def _first(tensor: Tensor) -> Tensor:
    array = tensor.array[:1].copy()
    return Tensor(tensor.name, tensor.datatype, array.shape, array)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_run_is_identical_whatever_runs_it_on_one_machine(
    enclave: SimulatedEnclave, name: str
) -> None:
    make, shape = MODELS[name]
    content = make()
    rows = [RANDOM.random(shape, np.float32) for _ in range(2)]

    def ask(row: NDArray[np.float32]) -> Proof:
        proof = client.predict(name, row, sign=True).proof
        assert proof is not None
        return proof

    with enclave.connect() as client, ThreadPoolExecutor(2) as pool:
        client.upload_model(content, name)
        client.predict(name, np.concatenate(rows))  # asks for the metadata, once
        proved = list(pool.map(ask, rows))

    for proof in proved:
        run, opening = proof.claims.run, proof.file.opening
        assert run is not None
        assert opening is not None
        assert (run.batch.requests, run.batch.rows, run.runtime.threads) == (2, 2, 2)
        assert proof.claims.model.digest == hashlib.sha256(content).digest()
        sent = opening.inputs[0].tensor
        assert sent is not None
        for threads, size in ((1, 1), (2, 1), (3, 3), (1, 5)):
            outputs = asyncio.run(run_again(content, sent, threads=threads, rows=size))
            compared = proofs.compare(run, opening.salt, outputs, run.runtime)
            assert compared.verdict is Verdict.IDENTICAL, (threads, size)
