"""Requests that run together, and their answers taken apart again.

A model can take a batch where all inputs have a first dimension of one and the same
symbol, rows, and no output a fixed one. Requests go together where all other dimensions
agree and the same outputs are asked for. That outputs have the same rows, and that rows
do not look at one another, is a promise of who configured the model, not of the model:
see docs/configuration.md. Whether there are as many rows is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from blindai.errors import InternalError
from blindai.inference.isolation import Feed, Outcome
from blindai.protocol.proof import Batch
from blindai.protocol.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.inference.model import Dimension, ModelSpec, TensorSpec

Alike: TypeAlias = "tuple[object, ...]"


def has_rows(spec: ModelSpec) -> bool:
    """Whether a model can take several requests at once."""
    rows = set(map(_first, spec.inputs))
    fixed = [each.shape == () or isinstance(_first(each), int) for each in spec.outputs]
    return len(rows) == 1 and isinstance(rows.pop(), str) and not any(fixed)


def _first(spec: TensorSpec) -> Dimension:
    return spec.shape[0] if spec.shape else None


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What one request asks of a model.

    Attributes:
        tensors: Its inputs, accepted by `binding.require_inputs`.
        outputs: The outputs to give.
    """

    tensors: Sequence[Tensor] = field(repr=False)
    outputs: tuple[TensorSpec, ...]

    @property
    def rows(self) -> int:
        """Its share of a batch; for models that have rows."""
        return self.tensors[0].shape[0]

    @property
    def alike(self) -> Alike:
        """Equal where requests may go together; for models that have rows."""
        shapes = sorted((each.name, each.shape[1:]) for each in self.tensors)
        return (tuple(shapes), tuple(each.name for each in self.outputs))


def feeds(requests: Sequence[Request]) -> list[Feed]:
    """The inputs of a batch; of a single request as they are."""
    if len(requests) == 1:
        return list(map(Feed.of, requests[0].tensors))
    rows = sum(request.rows for request in requests)
    by_name = [{each.name: each for each in request.tensors} for request in requests]
    return [
        Feed(
            tensor.name,
            tensor.datatype,
            (rows, *tensor.shape[1:]),
            tuple(tensors[tensor.name].array for tensors in by_name),
        )
        for tensor in requests[0].tensors
    ]


def split(outcome: Outcome, requests: Sequence[Request]) -> list[Outcome]:
    """Each request's part of what a batch gave.

    Raises:
        InternalError: If an output has not the rows that went in.
    """
    if len(requests) == 1:
        return [outcome]
    rows = sum(request.rows for request in requests)
    if any(output.shape[:1] != (rows,) for output in outcome.outputs):
        raise InternalError("batch: expected as many rows out as in, got others")
    batch = Batch(requests=len(requests), rows=rows)
    parts = []
    start = 0
    for request in requests:
        end = start + request.rows
        outputs = tuple(_rows(output, start, end) for output in outcome.outputs)
        parts.append(Outcome(outputs, outcome.inference_time_s, batch))
        start = end
    return parts


def _rows(tensor: Tensor, start: int, end: int) -> Tensor:
    array = tensor.array[start:end]
    return Tensor(tensor.name, tensor.datatype, array.shape, array)
