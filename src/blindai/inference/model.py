"""What is known about a model: its tensors, its digest, its owner."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.protocol.datatypes import Datatype

Dimension: TypeAlias = "int | str | None"

# What requests and answers may hold (protocol.tensor.Limits and tensor_json).
MAX_TENSORS: Final = 64
MAX_NAME_CHARACTERS: Final = 1024
MAX_STRINGS: Final = 1 << 20  # in all tensors together: each is an object


NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
"""What a model may be called."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output as the model declares it.

    Attributes:
        name: The model's name for it.
        datatype: The type of its elements.
        shape: Its dimensions: a size, a symbol that has one size throughout a request,
            or None for any size. None instead of a tuple for any number of dimensions.
    """

    name: str
    datatype: Datatype
    shape: tuple[Dimension, ...] | None

    @property
    def v2_shape(self) -> list[int]:
        """The shape as V2 metadata has it: -1 for a size that is not fixed.

        A tensor of any number of dimensions reads `[-1]`.
        """
        shape = (None,) if self.shape is None else self.shape
        return [size if isinstance(size, int) else -1 for size in shape]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model takes and gives, in its own order.

    Attributes:
        inputs: What a request must bring, all of it.
        outputs: What a request may ask for.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """One version of a model.

    Attributes:
        name: What requests call it.
        version: Its number among those of this name, from 1.
        digest: SHA-256 of the ONNX file, 64 lower-case hexadecimal digits.
        size_bytes: Size of the ONNX file.
        spec: Its inputs and outputs.
        owner: Who may replace and delete it; opaque here.
        created_at: When it was uploaded, by the host's clock, in UTC.
        saved: Whether it outlives the process.
        unavailable: Why it cannot be served; empty if it can.
    """

    name: str
    version: int = 1
    digest: str
    size_bytes: int
    spec: ModelSpec
    owner: str = field(repr=False)
    created_at: datetime
    saved: bool = False
    unavailable: str = ""
