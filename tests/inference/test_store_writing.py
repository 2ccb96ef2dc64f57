"""A model is written while it loads, and nothing is left of one that does not."""

from __future__ import annotations

import asyncio
import errno
import os
import threading

import pytest
from tests.inference.storing import Stores, add

from blindai.errors import ModelRefusedError
from blindai.inference.engine import Source
from blindai.inference.folder import SealedFolder
from blindai.inference.index import Entry
from blindai.inference.model import ModelInfo
from blindai.inference.serving import Served
from blindai.inference.spool import Spool
from blindai.inference.store import Store

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def lasting(stores: Stores) -> Store:
    store = stores.lasting()
    await store.start()
    return store


async def refuse(*_: object) -> None:
    raise ModelRefusedError("model: expected it to load")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a model's file has been written."""
    event, write = threading.Event(), SealedFolder.write

    def tell(folder: SealedFolder, entry: Entry, contents: memoryview) -> None:
        write(folder, entry, contents)
        event.set()

    monkeypatch.setattr(SealedFolder, "write", tell)
    return event


async def test_a_model_is_written_while_it_loads(
    lasting: Store,
    stores: Stores,
    written: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve = stores.engine.serve

    async def serve_once_written(
        info: ModelInfo, spool: Spool, source: Source
    ) -> Served:
        assert await asyncio.to_thread(written.wait, 5)
        return await serve(info, spool, source)

    monkeypatch.setattr(stores.engine, "serve", serve_once_written)

    info = await add(lasting)

    assert lasting.list() == (info,)


async def test_a_model_that_does_not_load_leaves_no_file(
    lasting: Store,
    stores: Stores,
    written: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse_once_written(*_: object) -> None:
        assert await asyncio.to_thread(written.wait, 5)
        await refuse()

    monkeypatch.setattr(stores.engine, "serve", refuse_once_written)
    with pytest.raises(ModelRefusedError, match="to load"):
        await add(lasting)

    assert lasting.list() == ()
    assert stores.files() == []


async def test_what_keeps_a_model_from_loading_is_told_where_the_disk_fails_too(
    lasting: Store, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores.engine, "serve", refuse)

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("blindai.inference.disk.os.fsync", fail)
    with pytest.raises(ModelRefusedError, match="to load"):
        await add(lasting)

    assert stores.files() == []
