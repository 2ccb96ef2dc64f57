"""A model's first run, on zeros, before it is served.

What it does the first time (memory, kernels) is then done, and one that crashes, or
that only its end stops, is refused while its owner is there to hear of it.
"""

from __future__ import annotations

import asyncio
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from blindai.errors import BlindAIError, ModelCrashedError, ModelRefusedError
from blindai.inference.isolation import Feed
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

if TYPE_CHECKING:
    from blindai.inference.isolation import Loaded
    from blindai.inference.model import ModelSpec, TensorSpec

_WARM_UP_S: Final = 10.0
_STOP_S: Final = 10.0
_MAX_BYTES: Final = 64 << 20
_OBJECT_BYTES: Final = 64  # an element of BYTES is an object


async def warm_up(loaded: Loaded, spec: ModelSpec) -> None:
    """Run a model once on zeros; that it refuses them is no reason to refuse it.

    A symbol is 1. Inputs that take much memory are not made.

    Raises:
        ModelRefusedError: If its worker dies of it, or it does not stop.
    """
    if sum(map(_size, spec.inputs)) > _MAX_BYTES:
        return
    lane = loaded.lanes[0]
    run = lane.run([Feed.of(_zeros(each)) for each in spec.inputs], spec.outputs)
    await asyncio.wait({run}, timeout=_WARM_UP_S)
    if not run.done():
        lane.stop()
        await asyncio.wait({run}, timeout=_STOP_S)
    if not run.done():
        raise ModelRefusedError(
            "model: expected a run on zeros to stop, and it did not"
        )
    try:
        run.result()
    except ModelCrashedError as error:
        raise ModelRefusedError(
            f"{error.message} (on zeros, before it was served)"
        ) from error
    except BlindAIError:
        pass  # zeros are not what it is for


def _shape(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else 1 for size in spec.shape or ())


def _size(spec: TensorSpec) -> int:
    text = spec.datatype is Datatype.BYTES
    element = _OBJECT_BYTES if text else spec.datatype.numpy.itemsize
    return prod(size or 1 for size in _shape(spec)) * element


def _zeros(spec: TensorSpec) -> Tensor:
    shape = _shape(spec)
    if spec.datatype is Datatype.BYTES:
        array = np.full(shape, b"", np.object_)
    else:
        array = np.zeros(shape, spec.datatype.numpy)
    return Tensor(spec.name, spec.datatype, shape, array)
