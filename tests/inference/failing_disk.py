"""A store on a disk that is really full, and then really read-only: see test_disk."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from io import FileIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tests.inference.storing import ALICE, Stores, add

from blindai.errors import BlindAIError, InternalError
from blindai.inference.store import Store

DISK_BYTES = 1 << 20
WEIGHTS = 50_000  # 200 kB: four fit beside the reserve, or three


def model(number: int) -> bytes:
    """A model of incompressible weights."""
    weights = np.random.default_rng(number).random(WEIGHTS, np.float32)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [WEIGHTS])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [WEIGHTS])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = helper.make_opsetid("", 20)
    proto = helper.make_model(graph, ir_version=10, opset_imports=[opset])
    return bytes(proto.SerializeToString())


def mount(path: Path, *options: str) -> None:
    command = ["mount", *options, str(path)]
    subprocess.run(command, check=True)  # noqa: S603  our own words


def fill_up(filler: FileIO) -> None:
    """Take what is left of the disk, to the last byte."""
    with contextlib.suppress(OSError):
        while True:
            filler.write(bytes(512))


async def refused(store: Store, name: str, words: str) -> None:
    """Require that an upload is refused in these words."""
    with pytest.raises(InternalError, match=words):
        await add(store, name, model(0))


async def fill(store: Store) -> list[str]:
    names: list[str] = []
    try:
        while True:
            await add(store, f"model{len(names)}", model(len(names)))
            names.append(f"model{len(names)}")
    except BlindAIError:
        return names


async def require_served(store: Store, names: list[str]) -> None:
    listed = [info.name for info in store.list() if not info.unavailable]
    assert listed == names, (listed, names)
    for name in names:
        async with store._source(store.find(name).entry, None).open() as spool:  # type: ignore[arg-type]  # sealed ones need no spool
            assert spool.size_bytes > WEIGHTS


async def main(path: Path) -> None:
    mount(path, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none")
    filler = (path / "filler").open("wb", buffering=0)  # here, while it has a place
    async with Stores(path / "models") as stores:
        store = stores.lasting()
        await store.start()
        names = await fill(store)
        assert len(names) >= 2
        fill_up(filler)
        await refused(store, "onemore", "No space left on device")
        await require_served(store, names)
        filler.close()
        await store.delete(names[0], ALICE)  # possible on a full disk too
        await add(store, names[0], model(0))
        await require_served(store, names)
        mount(path, "-o", "remount,ro")
        await refused(store, "onemore", "Read-only file system")
        await require_served(store, names)
        again = stores.lasting()
        assert await again.start() == ()
        await require_served(again, names)
        await refused(again, "onemore", "Read-only file system")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
