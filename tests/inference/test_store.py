"""Who owns which name, and that a change that fails changes nothing."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from blindai.errors import (
    ConflictError,
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    ModelRefusedError,
    NotFoundError,
    OverloadedError,
    TooLargeError,
)
from blindai.inference.admission import AdmissionLimits
from blindai.inference.folder import SealedFolder
from blindai.inference.model import ModelInfo
from blindai.inference.runtime import Runtime, RuntimeSettings
from blindai.inference.store import Skipped, Store, StoreLimits

pytestmark = pytest.mark.anyio

NOW = datetime(2024, 5, 6, tzinfo=UTC)
ALICE, BOB = "key:alice", "token:bob"


def fail(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    runtime = Runtime(RuntimeSettings(workers=1, intra_op_threads=1))
    yield runtime
    await runtime.close()


@pytest.fixture
def store(runtime: Runtime) -> Store:
    return Store(runtime, StoreLimits(), AdmissionLimits())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def lasting(runtime: Runtime, path: Path) -> Store:
    return restarted(runtime, path)


def restarted(runtime: Runtime, path: Path, limits: StoreLimits | None = None) -> Store:
    folder = SealedFolder(path, b"k" * 32)
    return Store(runtime, limits or StoreLimits(), AdmissionLimits(), folder)


def files(path: Path) -> list[Path]:
    return sorted(path.iterdir())


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


RELU, TANH = model("Relu"), model("Tanh")


async def add(
    store: Store,
    name: str = "model",
    data: bytes = RELU,
    owner: str = ALICE,
    *,
    may_replace: bool = False,
) -> ModelInfo:
    with store.spool() as spool:
        await spool.write(data)
        return await store.add(name, owner, spool, may_replace=may_replace, now=NOW)


async def test_what_was_added_is_there(store: Store) -> None:
    info = await add(store)

    assert (info.name, info.owner, info.created_at) == ("model", ALICE, NOW)
    assert info.digest == hashlib.sha256(RELU).hexdigest()
    assert info.size_bytes == len(RELU)
    assert [tensor.name for tensor in info.spec.inputs] == ["x"]
    assert store.get("model").info == info


async def test_models_are_listed_by_name(store: Store) -> None:
    await add(store, "b")
    await add(store, "a")

    assert [info.name for info in store.list()] == ["a", "b"]


@pytest.mark.parametrize("name", ["a", "0", "_", "-", "A.b_c-9", "x" * 128])
async def test_names_are_letters_digits_and_a_few_signs(
    store: Store, name: str
) -> None:
    assert (await add(store, name)).name == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a b", "é", "a\n", "a\x00", "x" * 129]
)
async def test_refuses_other_names(store: Store, name: str) -> None:
    with pytest.raises(InvalidRequestError, match="model name"):
        await add(store, name)


async def test_an_unknown_name_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError):
        store.get("model")
    with pytest.raises(NotFoundError):
        await store.delete("model", ALICE)


async def test_a_name_belongs_to_its_owner(store: Store) -> None:
    first = await add(store)

    with pytest.raises(ConflictError, match="got one in use"):
        await add(store, owner=BOB, may_replace=True)
    with pytest.raises(ForbiddenError):
        await store.delete("model", BOB)

    assert store.get("model").info == first


async def test_an_owner_replaces_only_on_purpose(store: Store) -> None:
    await add(store)

    with pytest.raises(ConflictError, match="got one in use"):
        await add(store, data=TANH)
    second = await add(store, data=TANH, may_replace=True)

    assert store.list() == (second,)


async def test_an_owner_deletes(store: Store) -> None:
    await add(store)

    await store.delete("model", ALICE)

    assert store.list() == ()
    await add(store, owner=BOB)


@pytest.mark.parametrize("data", [b"", b"no model", model("NoSuchOperator")])
async def test_a_replacement_that_fails_leaves_the_old_model(
    store: Store, data: bytes
) -> None:
    first = await add(store)

    with pytest.raises(ModelRefusedError):
        await add(store, data=data, may_replace=True)

    assert store.get("model").info == first
    await add(store, data=TANH, may_replace=True)


async def test_of_two_uploads_of_one_name_one_wins(store: Store) -> None:
    results = await asyncio.gather(
        add(store, owner=ALICE), add(store, owner=BOB), return_exceptions=True
    )

    infos = [result for result in results if isinstance(result, ModelInfo)]
    assert store.list() == tuple(infos)
    assert [type(result) for result in results] == [ModelInfo, ConflictError]


async def test_a_model_that_changes_is_not_deleted(store: Store) -> None:
    await add(store)
    change = asyncio.create_task(add(store, data=TANH, may_replace=True))
    await asyncio.sleep(0)

    with pytest.raises(ConflictError, match="one change at a time"):
        await store.delete("model", ALICE)

    await change
    await store.delete("model", ALICE)


async def test_refuses_a_model_larger_than_the_limit(runtime: Runtime) -> None:
    limits = StoreLimits(max_model_bytes=len(RELU))
    store = Store(runtime, limits, AdmissionLimits())

    await add(store)
    with pytest.raises(TooLargeError):
        await add(store, "larger", RELU + b"\x00")


async def test_refuses_more_models_than_the_limit(runtime: Runtime) -> None:
    store = Store(runtime, StoreLimits(max_models=1), AdmissionLimits())
    await add(store)

    with pytest.raises(OverloadedError, match="models: expected at most 1"):
        await add(store, "more")

    await add(store, data=TANH, may_replace=True)


async def test_models_that_are_being_added_count(runtime: Runtime) -> None:
    store = Store(runtime, StoreLimits(max_models=1), AdmissionLimits())

    results = await asyncio.gather(
        add(store, "a"), add(store, "b"), return_exceptions=True
    )

    assert [type(result) for result in results] == [ModelInfo, OverloadedError]


@pytest.mark.parametrize("name", ["model", "other"])
async def test_refuses_more_bytes_than_the_limit(runtime: Runtime, name: str) -> None:
    limits = StoreLimits(max_total_bytes=2 * len(RELU) - 1)
    store = Store(runtime, limits, AdmissionLimits())
    await add(store)

    with pytest.raises(OverloadedError, match="bytes together"):
        await add(store, name, may_replace=True)


async def test_admission_limits_hold(runtime: Runtime) -> None:
    store = Store(runtime, StoreLimits(), AdmissionLimits(max_nodes=0))

    with pytest.raises(ModelRefusedError, match="nodes"):
        await add(store)


async def test_refuses_more_uploads_than_the_limit(runtime: Runtime) -> None:
    store = Store(runtime, StoreLimits(max_uploads=1), AdmissionLimits())

    with (
        store.spool(),
        pytest.raises(OverloadedError, match="uploads: expected at most 1"),
        store.spool(),
    ):
        pass

    await add(store)


async def test_without_a_folder_there_is_nothing_to_restore(store: Store) -> None:
    assert await store.start() == ()


async def test_models_outlive_the_process(
    runtime: Runtime, lasting: Store, path: Path
) -> None:
    await lasting.start()
    infos = await add(lasting, "a"), await add(lasting, "b", TANH, BOB)
    again = restarted(runtime, path)

    skipped = await again.start()

    assert skipped == ()
    assert again.list() == infos


async def test_a_replaced_model_stays_replaced(
    runtime: Runtime, lasting: Store, path: Path
) -> None:
    await lasting.start()
    await add(lasting)
    second = await add(lasting, data=TANH, may_replace=True)
    again = restarted(runtime, path)

    await again.start()

    assert again.list() == (second,)


async def test_a_deleted_model_stays_deleted(lasting: Store, path: Path) -> None:
    await lasting.start()
    await add(lasting)

    await lasting.delete("model", ALICE)

    assert files(path) == []


async def test_a_file_that_does_not_open_is_reported(
    runtime: Runtime, lasting: Store, path: Path
) -> None:
    await lasting.start()
    kept, spoilt = await add(lasting, "a"), await add(lasting, "b", TANH)
    before = files(path)
    await lasting.delete(spoilt.name, ALICE)
    (file,) = set(before) - set(files(path))
    file.write_bytes(b"other bytes, many more than a header has, that nobody sealed")
    again = restarted(runtime, path)

    skipped = await again.start()

    assert skipped == (
        Skipped(file.name, "sealed file: expected a blindai file of version 1"),
    )
    assert again.list() == (kept,)
    assert file in files(path)


async def test_limits_hold_for_files_too(
    runtime: Runtime, lasting: Store, path: Path
) -> None:
    await lasting.start()
    await add(lasting, "a")
    await add(lasting, "b")
    again = restarted(runtime, path, StoreLimits(max_models=1))

    (skipped,) = await again.start()

    assert "models: expected at most 1" in skipped.reason
    assert len(again.list()) == 1


async def test_a_disk_that_fails_leaves_the_old_model(
    lasting: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lasting.start()
    first = await add(lasting)
    monkeypatch.setattr("blindai.inference.folder.os.fsync", fail)

    with pytest.raises(InternalError, match="No space left"):
        await add(lasting, data=TANH, may_replace=True)

    assert lasting.list() == (first,)


async def test_a_cancelled_upload_is_kept_whole_or_not_at_all(
    runtime: Runtime, lasting: Store, path: Path
) -> None:
    await lasting.start()

    for number in range(20):
        task = asyncio.create_task(add(lasting, f"model{number}"))
        await asyncio.sleep(number * 0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    again = restarted(runtime, path)
    assert await again.start() == ()
    assert again.list() == lasting.list()


async def test_clearing_keeps_the_files(lasting: Store, path: Path) -> None:
    await lasting.start()
    await add(lasting)

    lasting.clear()

    assert lasting.list() == ()
    assert len(files(path)) == 1
