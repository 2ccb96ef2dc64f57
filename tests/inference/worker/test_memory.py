"""Memory that cannot be sealed is given back."""

from __future__ import annotations

import fcntl
import os

import pytest

from blindai.inference.worker.memory import SharedMemory


def test_memory_that_cannot_be_sealed_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def refuse(descriptor: int, *_: int) -> None:
        made.append(descriptor)
        raise OSError("not supported")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with pytest.raises(OSError, match="not supported"):
        SharedMemory.create(1)
    (descriptor,) = made
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
