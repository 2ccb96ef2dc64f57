"""Versions of a model: which serves, which are kept, and what does not outlive."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from tests.inference.storing import (
    ALICE,
    BOB,
    CEIL,
    RELU,
    TANH,
    Stores,
    add,
    model,
)

from blindai.errors import (
    ConflictError,
    ModelRefusedError,
    NotFoundError,
    UnavailableError,
)
from blindai.inference.room import StoreLimits
from blindai.inference.store import Store
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio
MINUS = [Tensor.of("x", np.array([-1.5], np.float32))]
OTHER = "00" * 32


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def restart(stores: Stores, limits: StoreLimits | None = None) -> Store:
    store = stores.lasting(limits)
    await store.start()
    return store


def numbers(store: Store, name: str = "model") -> list[int]:
    return [info.version for info in store.versions(name)]


async def test_an_upload_under_an_own_name_makes_the_next_version(store: Store) -> None:
    first, second = await add(store), await add(store, data=TANH)

    assert (first.version, second.version) == (1, 2)
    assert store.versions("model") == (first, second)
    assert store.find("model").info == second


async def test_a_version_or_a_digest_can_be_asked_for(store: Store) -> None:
    first, second = await add(store), await add(store, data=TANH)

    assert store.find("model", 1).info == first
    assert store.find("model", None, first.digest).info == first
    assert store.find("model", 2, second.digest).info == second
    with pytest.raises(NotFoundError, match="expected the version"):
        store.find("model", 3)
    with pytest.raises(ConflictError, match=f"expected {OTHER}, got {second.digest}"):
        store.find("model", None, OTHER)
    with pytest.raises(ConflictError):
        store.find("model", 1, second.digest)


async def test_every_version_that_is_kept_runs(stores: Stores, store: Store) -> None:
    await add(store)
    await add(store, data=CEIL)

    results = [
        await stores.engine.infer(
            store.find("model", number).require(), "", MINUS, (), time.monotonic() + 9
        )
        for number in (1, 2, 1)
    ]

    assert [each.outputs[0].array.tolist() for each in results] == [[0], [-1], [0]]


async def test_old_versions_are_kept_to_a_set_number(
    stores: Stores, store: Store
) -> None:
    for data in (RELU, TANH, CEIL):
        await add(store, data=data)

    assert numbers(store) == [2, 3]
    assert len(stores.files()) == 2
    assert numbers(await restart(stores)) == [2, 3]


async def test_with_one_version_a_replacement_leaves_only_itself(
    stores: Stores,
) -> None:
    store = stores.lasting(StoreLimits(max_versions=1))
    await store.start()
    await add(store)
    await add(store, data=TANH)

    assert numbers(store) == [2]
    assert len(stores.files()) == 1


async def test_a_version_that_does_not_load_does_not_take_over(store: Store) -> None:
    first = await add(store)

    with pytest.raises(ModelRefusedError):
        await add(store, data=model("NoSuchOperator"))

    assert store.versions("model") == (first,)


async def test_one_version_can_be_deleted_and_the_one_before_serves(
    stores: Stores, store: Store
) -> None:
    first = await add(store)
    await add(store, data=TANH)

    await store.delete("model", ALICE, 2)

    assert store.find("model").info == first
    assert numbers(await restart(stores)) == [1]
    with pytest.raises(NotFoundError):
        await store.delete("model", ALICE, 2)


async def test_a_deletion_deletes_all_versions(stores: Stores, store: Store) -> None:
    await add(store)
    await add(store, data=TANH)

    await store.delete("model", ALICE)

    assert store.list() == ()
    assert stores.files() == []


async def test_no_number_is_given_out_twice(stores: Stores, store: Store) -> None:
    await add(store)
    await add(store, data=TANH)
    await store.delete("model", ALICE, 2)
    again = await restart(stores)

    assert (await add(again, data=CEIL)).version == 3


async def test_a_name_that_became_free_begins_anew(store: Store) -> None:
    await add(store)
    await add(store, data=TANH)
    await store.delete("model", ALICE)

    assert (await add(store, owner=BOB)).version == 1


async def test_a_newest_version_that_does_not_open_is_not_replaced_by_an_older(
    stores: Stores, store: Store
) -> None:
    await add(store)
    (first,) = stores.files()
    await add(store, data=TANH)
    (newest,) = {*stores.files()} - {first}
    newest.unlink()

    again = await restart(stores)

    with pytest.raises(UnavailableError, match="No such file"):
        again.find("model").require()
    assert again.find("model", 1).require().info.version == 1
    assert (await add(again, data=CEIL)).version == 3
    assert again.find("model").require().info.version == 3


async def test_old_versions_rest_until_somebody_asks(
    stores: Stores, store: Store
) -> None:
    await add(store)
    await add(store, data=TANH)

    assert not store.find("model", 1).require().loaded
    assert store.find("model", 2).require().loaded
    again = await restart(stores)
    assert not again.find("model", 1).require().loaded


async def test_who_waits_for_a_version_that_goes_is_answered(stores: Stores) -> None:
    store = stores.lasting(StoreLimits(max_versions=1))
    await store.start()
    await add(store)
    old = store.find("model").require()
    asked = [
        asyncio.create_task(
            stores.engine.infer(old, "", MINUS, (), time.monotonic() + 9)
        )
        for _ in range(8)
    ]
    await asyncio.sleep(0)

    await add(store, data=CEIL)

    outcomes = await asyncio.gather(*asked)
    assert [each.outputs[0].array.tolist() for each in outcomes] == [[0.0]] * 8


# ------------------------------------------------------------------ in memory only


async def test_what_is_not_to_be_saved_leaves_no_trace_on_the_disk(
    stores: Stores, store: Store
) -> None:
    before = (stores.path / "index").read_bytes()

    info = await add(store, save=False)

    assert not info.saved
    assert store.find("model").require().loaded
    assert stores.files() == []
    assert (stores.path / "index").read_bytes() == before
    assert (await restart(stores)).list() == ()


async def test_an_unsaved_version_serves_until_the_next_start(
    stores: Stores, store: Store
) -> None:
    saved = await add(store)
    unsaved = await add(store, data=TANH, save=False)

    assert store.find("model").info == unsaved
    assert (await restart(stores)).list() == (saved,)


async def test_a_file_that_was_spoilt_meanwhile_costs_its_own_model_only(
    stores: Stores, store: Store
) -> None:
    await add(store, "good", CEIL)
    await add(store, "bad", TANH)
    bad, good = store.find("bad").require(), store.find("good").require()
    await stores.engine.rest(bad)
    for file in stores.files():
        file.write_bytes(file.read_bytes()[:-1])

    asked = stores.engine.infer(bad, "", MINUS, (), time.monotonic() + 9)

    with pytest.raises(UnavailableError, match="chunk 0"):
        await asked
    with pytest.raises(UnavailableError, match="chunk 0"):
        await stores.engine.infer(bad, "", MINUS, (), time.monotonic() + 9)
    fine = await stores.engine.infer(good, "", MINUS, (), time.monotonic() + 9)
    assert fine.outputs[0].array.tolist() == [-1]


async def test_an_unsaved_version_comes_back_from_rest(
    stores: Stores, store: Store
) -> None:
    await add(store, data=CEIL, save=False)
    await add(store, data=TANH, save=False)
    old = store.find("model", 1).require()
    assert not old.loaded

    result = await stores.engine.infer(old, "", MINUS, (), time.monotonic() + 9)

    assert result.outputs[0].array.tolist() == [-1]
