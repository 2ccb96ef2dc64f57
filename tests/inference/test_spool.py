"""How an upload is received."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from blindai.errors import OverloadedError, TooLargeError
from blindai.inference.blocking import Threads
from blindai.inference.spool import Spool

pytestmark = pytest.mark.anyio

LARGE = bytes(range(256)) * 4096  # 1 MiB, written in a thread


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    threads = Threads()
    yield threads
    await threads.close()


def read(spool: Spool) -> bytes:
    return Path(spool.path).read_bytes()


def target(spool: Spool) -> str:
    return str(Path(spool.path).readlink())


async def test_pieces_become_one_file(threads: Threads) -> None:
    whole = b"small" + LARGE + b"end"

    with Spool(threads, max_bytes=len(whole)) as spool:
        for piece in (b"small", bytearray(LARGE), memoryview(b"end"), b""):
            await spool.write(piece)

        assert spool.size_bytes == len(whole)
        assert spool.digest == hashlib.sha256(whole).hexdigest()
        assert bytes(spool.view()) == whole
        assert read(spool) == whole


async def test_the_bytes_lie_on_no_disk(threads: Threads) -> None:
    with Spool(threads, max_bytes=1) as spool:
        assert target(spool).startswith("/memfd:")


async def test_nothing_received_is_nothing(threads: Threads) -> None:
    with Spool(threads, max_bytes=1) as spool:
        assert bytes(spool.view()) == b""


@pytest.mark.parametrize("piece", [b"x", LARGE])
async def test_refuses_more_than_the_limit(threads: Threads, piece: bytes) -> None:
    with Spool(threads, max_bytes=4 + len(piece) - 1) as spool:
        await spool.write(b"full")

        with pytest.raises(TooLargeError, match="model: expected at most"):
            await spool.write(piece)

        assert bytes(spool.view()) == b"full"


async def test_large_pieces_are_written_in_a_thread(threads: Threads) -> None:
    with Spool(threads, max_bytes=1 << 30) as spool:
        await threads.close()

        await spool.write(b"small")
        with pytest.raises(OverloadedError, match="closing"):
            await spool.write(LARGE)


async def test_closing_frees_the_memory(threads: Threads) -> None:
    spool = Spool(threads, max_bytes=10)
    descriptor = int(spool.path.rpartition("/")[2])

    spool.close()
    spool.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
