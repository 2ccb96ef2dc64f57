"""What is run: the same models and inputs for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import models, transformer

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 1  # for one operator of a model, everywhere


@dataclass(frozen=True, slots=True)
class Task:
    """A model and its input.

    Attributes:
        name: What requests call it.
        title: What the tables call it.
        content: Makes the ONNX file.
        array: Makes the input.
        long: Whether a run takes milliseconds: then a server that can choose has worker
            processes, and otherwise runs the model where it reads the request.
    """

    name: str
    title: str
    content: Callable[[], bytes]
    array: Callable[[], np.ndarray[Any, Any]]
    long: bool = False


def _noise(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).random(shape, np.float32)


def _ids(tokens: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(1, transformer.VOCABULARY, (1, tokens))


TASKS = {
    task.name: task
    for task in (
        Task("tiny", "1x4 floats, linear", models.linear, lambda: _noise(1, 4)),
        Task(
            "image",
            "3x224x224 floats (602 KB), mean",
            lambda: models.mean(models.IMAGE),
            lambda: _noise(*models.IMAGE),
        ),
        Task(
            "resnet18",
            "ResNet-18, random weights",
            models.resnet18,
            lambda: _noise(*models.IMAGE),
            long=True,
        ),
        Task(
            "minilm",
            "MiniLM-L6 in size, random weights, 32 tokens",
            lambda: transformer.minilm(32),
            lambda: _ids(32),
            long=True,
        ),
    )
}


def of_size(floats: int) -> Task:
    """The largest of so many floats, by one model for any number."""
    title = f"{4 * floats} B"
    return Task(
        "sized", title, lambda: models.reduction(("n",)), lambda: _noise(floats)
    )
