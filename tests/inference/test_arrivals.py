"""Models of the configuration, retention, and what one owner may keep."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.inference.storing import (
    ALICE,
    BOB,
    CEIL,
    NOW,
    RELU,
    TANH,
    Stores,
    add,
)

from blindai.errors import (
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    QuotaError,
    UnavailableError,
)
from blindai.inference.arrivals import Preload
from blindai.inference.model import ModelInfo
from blindai.inference.room import Quota
from blindai.inference.store import Store
from blindai.protocol.tensor import Tensor

pytestmark = pytest.mark.anyio
MINUS = [Tensor.of("x", np.array([-1.5], np.float32))]
OTHER = "00" * 32


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# ------------------------------------------------------------- of the configuration


@pytest.fixture
def preload(tmp_path: Path) -> Preload:
    path = tmp_path / "model.onnx"
    path.write_bytes(RELU)
    return Preload(name="fixed", digest=hashlib.sha256(RELU).hexdigest(), path=path)


async def test_a_model_of_the_configuration_is_served_as_it_is(
    stores: Stores, store: Store, preload: Preload
) -> None:
    await store.preload(preload)

    assert store.find("fixed").info.digest == preload.digest
    for owner in (ALICE, "configuration"):
        with pytest.raises(ConflictError):
            await add(store, "fixed", owner=owner)
        with pytest.raises(ForbiddenError):
            await store.delete("fixed", owner)
    assert stores.files() == []


async def test_its_digest_decides(store: Store, preload: Preload) -> None:
    preload.path.write_bytes(TANH)

    with pytest.raises(ConfigurationError, match=f"expected SHA-256 {preload.digest}"):
        await store.preload(preload)
    assert store.list() == ()


async def test_its_digest_decides_whenever_it_is_loaded(
    stores: Stores, store: Store, preload: Preload
) -> None:
    await store.preload(preload)
    served = store.find("fixed").require()
    await stores.engine.rest(served)
    preload.path.write_bytes(TANH)

    asked = stores.engine.infer(served, "", MINUS, (), time.monotonic() + 9)

    with pytest.raises(UnavailableError, match=f"expected SHA-256 {preload.digest}"):
        await asked


async def test_a_file_that_is_not_there_is_named(
    store: Store, preload: Preload
) -> None:
    with pytest.raises(
        ConfigurationError, match="absent: cannot be read: Not a directory"
    ):
        await store.preload(replace(preload, path=preload.path / "absent"))


async def test_a_sealed_model_of_the_same_name_stays_where_it_is(
    stores: Stores, store: Store, preload: Preload
) -> None:
    await add(store, "fixed", TANH)
    again = stores.lasting()
    await again.preload(preload)

    (skipped,) = await again.start()

    assert skipped.file == stores.files()[0].name
    assert "[[preload]] entry is called 'fixed' too" in skipped.words
    assert [info.digest for info in again.list()] == [preload.digest]
    assert len(stores.files()) == 1


async def test_it_comes_back_when_the_configuration_leaves_it_the_name(
    stores: Stores, store: Store, preload: Preload
) -> None:
    first = await add(store, "fixed", TANH)
    between = stores.lasting()
    await between.preload(preload)
    await between.start()
    again = stores.lasting()

    assert await again.start() == ()
    assert again.list() == (first,)


# ------------------------------------------------------------- retention and quotas


async def test_what_is_too_old_is_removed(
    stores: Stores, store: Store, preload: Preload
) -> None:
    day = timedelta(days=1)
    await store.preload(preload)
    await add(store, "old", now=NOW - 2 * day)
    await add(store, "both", now=NOW - 2 * day)
    await add(store, "both", TANH, now=NOW)

    removed = await store.expire(NOW - day)

    kept = [(info.name, info.version) for info in store.list()]
    assert removed == 2
    assert kept == [("both", 2), ("fixed", 1)]
    assert len(stores.files()) == 1
    assert await store.expire(NOW - day) == 0


async def test_what_nobody_sees_is_removed_too_when_it_is_too_old(
    stores: Stores, store: Store, preload: Preload
) -> None:
    day = timedelta(days=1)
    await add(store, "fixed", now=NOW - 2 * day)
    await add(store, "fixed", TANH, now=NOW)
    again = stores.lasting()
    await again.preload(preload)
    await again.start()

    removed = [await again.expire(NOW - day), await again.expire(NOW - day)]

    assert removed == [1, 0]
    assert [info.digest for info in again.list()] == [preload.digest]
    assert len(stores.files()) == 1
    last = stores.lasting()
    assert await last.start() == ()
    assert [(info.name, info.version) for info in last.list()] == [("fixed", 2)]


@pytest.mark.parametrize(
    "quota", [Quota(max_models=1), Quota(max_bytes=len(RELU))], ids=str
)
async def test_an_owner_keeps_what_its_quota_grants(store: Store, quota: Quota) -> None:
    await add(store, "a", quota=quota)

    with pytest.raises(QuotaError, match="quota max_"):
        await add(store, "b", quota=quota)
    await add(store, "b", owner=BOB, quota=quota)
    await store.delete("a", ALICE)
    await add(store, "c", quota=quota)


async def test_versions_count_towards_bytes_and_not_towards_models(
    store: Store,
) -> None:
    quota = Quota(max_models=1, max_bytes=2 * len(RELU))
    await add(store, quota=quota)
    await add(store, data=TANH, quota=quota)

    with pytest.raises(QuotaError, match="max_bytes"):
        await add(store, data=CEIL, quota=quota)


async def test_what_arrives_counts_towards_a_quota(store: Store) -> None:
    quota = Quota(max_models=1)

    adding = [add(store, name, quota=quota) for name in ("a", "b")]
    results = await asyncio.gather(*adding, return_exceptions=True)

    assert [type(each) for each in results] == [ModelInfo, QuotaError]
