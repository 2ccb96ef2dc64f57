"""Who owns which name, and that a change that fails changes nothing."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from pathlib import Path

import pytest
from tests.inference.storing import ALICE, BOB, NOW, RELU, TANH, Stores, add, model

from blindai.errors import (
    ConflictError,
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    ModelRefusedError,
    NotFoundError,
    OverloadedError,
    TooLargeError,
    UnavailableError,
)
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.arrivals import Skipped
from blindai.inference.model import ModelInfo
from blindai.inference.room import StoreLimits
from blindai.inference.store import Store

pytestmark = pytest.mark.anyio


def fail(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(stores: Stores) -> Store:
    return stores.passing()


@pytest.fixture
def lasting(stores: Stores) -> Store:
    return stores.lasting()


async def test_what_was_added_is_there(store: Store) -> None:
    info = await add(store)

    assert (info.name, info.owner, info.created_at) == ("model", ALICE, NOW)
    assert info.digest == hashlib.sha256(RELU).hexdigest()
    assert info.size_bytes == len(RELU)
    assert [tensor.name for tensor in info.spec.inputs] == ["x"]
    assert store.find("model").info == info


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
        store.find("model")
    with pytest.raises(NotFoundError):
        await store.delete("model", ALICE)


async def test_a_name_belongs_to_its_owner(store: Store) -> None:
    first = await add(store)

    with pytest.raises(ConflictError, match="got one in use"):
        await add(store, owner=BOB)
    with pytest.raises(ForbiddenError):
        await store.delete("model", BOB)

    assert store.find("model").info == first


async def test_an_owner_replaces_only_on_purpose(store: Store) -> None:
    first = await add(store)

    with pytest.raises(ConflictError, match="got one in use"):
        await add(store, data=TANH, may_replace=False)
    second = await add(store, data=TANH)

    assert store.list() == (first, second)


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
        await add(store, data=data)

    assert store.find("model").info == first
    await add(store, data=TANH)


async def test_of_two_uploads_of_one_name_one_wins(store: Store) -> None:
    results = await asyncio.gather(
        add(store, owner=ALICE), add(store, owner=BOB), return_exceptions=True
    )

    infos = [result for result in results if isinstance(result, ModelInfo)]
    assert store.list() == tuple(infos)
    assert [type(result) for result in results] == [ModelInfo, ConflictError]


async def test_a_model_that_changes_is_not_deleted(store: Store) -> None:
    await add(store)
    change = asyncio.create_task(add(store, data=TANH))
    await asyncio.sleep(0)

    with pytest.raises(ConflictError, match="one change at a time"):
        await store.delete("model", ALICE)

    await change
    await store.delete("model", ALICE)


async def test_refuses_a_model_larger_than_the_limit(stores: Stores) -> None:
    limits = StoreLimits(max_model_bytes=len(RELU))
    store = stores.passing(limits)

    await add(store)
    with pytest.raises(TooLargeError):
        await add(store, "larger", RELU + b"\x00")


async def test_refuses_more_models_than_the_limit(stores: Stores) -> None:
    store = stores.passing(StoreLimits(max_models=1))
    await add(store)

    with pytest.raises(OverloadedError, match="models: expected at most 1"):
        await add(store, "more")

    await add(store, data=TANH)


async def test_models_that_are_being_added_count(stores: Stores) -> None:
    store = stores.passing(StoreLimits(max_models=1))

    results = await asyncio.gather(
        add(store, "a"), add(store, "b"), return_exceptions=True
    )

    assert [type(result) for result in results] == [ModelInfo, OverloadedError]


@pytest.mark.parametrize("name", ["model", "other"])
async def test_refuses_more_bytes_than_the_limit(stores: Stores, name: str) -> None:
    limits = StoreLimits(max_total_bytes=2 * len(RELU) - 1)
    store = stores.passing(limits)
    await add(store)

    with pytest.raises(OverloadedError, match="bytes together"):
        await add(store, name)


async def test_admission_limits_hold(tmp_path: Path) -> None:
    async with Stores(tmp_path, AdmissionLimits(max_nodes=0)) as stores:
        with pytest.raises(ModelRefusedError, match="nodes"):
            await add(stores.passing())


async def test_refuses_more_uploads_than_the_limit(stores: Stores) -> None:
    store = stores.passing(StoreLimits(max_uploads=1))

    with (
        store.spool(),
        pytest.raises(OverloadedError, match="uploads: expected at most 1"),
        store.spool(),
    ):
        pass

    await add(store)


async def test_without_a_folder_there_is_nothing_to_restore(store: Store) -> None:
    assert await store.start() == ()


async def test_models_outlive_the_process(lasting: Store, stores: Stores) -> None:
    await lasting.start()
    infos = await add(lasting, "a"), await add(lasting, "b", TANH, BOB)
    again = stores.lasting()

    skipped = await again.start()

    assert skipped == ()
    assert again.list() == infos


async def test_a_replaced_model_stays_replaced(lasting: Store, stores: Stores) -> None:
    await lasting.start()
    first = await add(lasting)
    second = await add(lasting, data=TANH)
    again = stores.lasting()

    await again.start()

    assert again.list() == (first, second)
    assert again.find("model").info == second


async def test_a_deleted_model_stays_deleted(lasting: Store, stores: Stores) -> None:
    await lasting.start()
    await add(lasting)

    await lasting.delete("model", ALICE)

    assert stores.files() == []


async def test_a_file_that_does_not_open_is_told_and_keeps_its_name(
    lasting: Store, stores: Stores
) -> None:
    await lasting.start()
    kept = await add(lasting, "a")
    (before,) = stores.files()
    await add(lasting, "b", TANH)
    (file,) = {*stores.files()} - {before}
    file.write_bytes(b"other bytes, many more than a header has, that nobody sealed")
    again = stores.lasting()

    skipped = await again.start()

    words = "sealed file: expected a blindai file of version 1"
    assert skipped == (Skipped(file.name, words),)
    assert again.find("a").info == kept
    with pytest.raises(UnavailableError, match=words):
        again.find("b").require()
    with pytest.raises(ConflictError, match="got one in use"):
        await add(again, "b", owner=BOB)
    await again.delete("b", ALICE)
    await add(again, "b", owner=BOB)


async def test_limits_hold_for_files_too(lasting: Store, stores: Stores) -> None:
    await lasting.start()
    await add(lasting, "a")
    await add(lasting, "b")
    again = stores.lasting(StoreLimits(max_models=1))

    (skipped,) = await again.start()

    assert "models: expected at most 1" in skipped.reason
    assert [bool(info.unavailable) for info in again.list()] == [False, True]


async def test_a_disk_that_fails_leaves_the_old_model_alone(
    lasting: Store, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lasting.start()
    first = await add(lasting)
    monkeypatch.setattr("blindai.inference.disk.os.fsync", fail)

    with pytest.raises(InternalError, match="No space left"):
        await add(lasting, data=TANH)

    assert lasting.list() == (first,)
    await asyncio.sleep(0.1)  # until the new one is out of memory
    assert stores.engine.loaded == 1


async def test_a_cancelled_upload_is_kept_whole_or_not_at_all(
    lasting: Store, stores: Stores
) -> None:
    await lasting.start()

    for number in range(20):
        task = asyncio.create_task(add(lasting, f"model{number}"))
        await asyncio.sleep(number * 0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    again = stores.lasting()
    assert await again.start() == ()
    assert again.list() == lasting.list()


async def test_clearing_keeps_the_files(lasting: Store, stores: Stores) -> None:
    await lasting.start()
    await add(lasting)

    lasting.clear()

    assert lasting.list() == ()
    assert len(stores.files()) == 1
