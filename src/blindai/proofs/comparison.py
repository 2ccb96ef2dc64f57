"""A run again: what the model gave then, and what it gives here, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from blindai.protocol.commitments import Side, commit
from blindai.protocol.datatypes import Array, Datatype

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from blindai.protocol.proof import Batch, Run, Runtime
    from blindai.protocol.tensor import Tensor


class Verdict(StrEnum):
    """How a run compares with the one that was proved."""

    IDENTICAL = "IDENTICAL"
    WITHIN_TOLERANCE = "WITHIN_TOLERANCE"
    DIFFERENT = "DIFFERENT"
    NOT_COMPARABLE = "NOT_COMPARABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A run, held against the proof of another.

    Attributes:
        verdict: How they compare.
        largest: The largest difference of two elements, if the outputs of then are
            there, are numbers and have the same shapes; else None.
        differs: What computes otherwise here than it did there.
    """

    verdict: Verdict
    largest: float | None = None
    differs: tuple[str, ...] = ()


def compare(
    run: Run,
    salt: bytes,
    outputs: Sequence[Tensor],
    here: Runtime,
    *,
    then: Sequence[Tensor] | None = None,
    tolerance: float | None = None,
) -> Comparison:
    """Hold outputs of now against the proof of a run.

    1. What has the commitment that was signed is identical, wherever it was computed.
    2. What is within a declared tolerance of the outputs of then, is that.
    3. Otherwise it is different, unless something else computes here, or rows of others
       ran with it, which nobody has here: then nothing follows from it.

    Args:
        run: What was signed.
        salt: Of the request, 32 bytes.
        outputs: What the model gave now.
        here: What computes here.
        then: What it gave then, verified; None where only the commitment is known.
        tolerance: How far two elements may be apart; None for not at all.
    """
    if commit(salt, Side.OUTPUT, outputs) == run.outputs:
        return Comparison(verdict=Verdict.IDENTICAL, largest=0.0)
    largest = None if then is None else largest_difference(then, outputs)
    differs = (*differences(run.runtime, here), *_companions(run.batch))
    if tolerance is not None and largest is not None and largest <= tolerance:
        verdict = Verdict.WITHIN_TOLERANCE
    elif differs:
        verdict = Verdict.NOT_COMPARABLE
    else:
        verdict = Verdict.DIFFERENT
    return Comparison(verdict=verdict, largest=largest, differs=differs)


def differences(then: Runtime, here: Runtime) -> tuple[str, ...]:
    """What would have to be the same to compare bits, and is not, in words."""
    found = []
    for each in fields(then):
        before, now = getattr(then, each.name), getattr(here, each.name)
        if before == now:
            continue
        if each.name == "cpu":
            before = ", ".join(sorted(set(before) - set(now))) or "nothing more"
            now = ", ".join(sorted(set(here.cpu) - set(then.cpu))) or "nothing more"
        found.append(f"{each.name}: {before} then, {now} here")
    return tuple(found)


def _companions(batch: Batch) -> Iterator[str]:
    """What ran with it and is not here: other rows, which its own may have seen."""
    if batch.requests > 1:
        yield (
            f"batch: {batch.requests} requests of {batch.rows} rows then, one and its"
            " copies here"
        )


def largest_difference(then: Sequence[Tensor], now: Sequence[Tensor]) -> float | None:
    """The largest difference of two elements; None where there is none to name.

    That is where tensors have other names, types or shapes, or are text. Two NaN in one
    place are no difference; one NaN is an infinite one.
    """
    by_name = {each.name: each for each in now}
    if by_name.keys() != {each.name for each in then}:
        return None
    found = [_difference(each, by_name[each.name]) for each in then]
    known = [each for each in found if each is not None]
    return max(known, default=0.0) if len(known) == len(found) else None


def _difference(then: Tensor, now: Tensor) -> float | None:
    alike = then.datatype is now.datatype and then.shape == now.shape
    if not alike or then.datatype is Datatype.BYTES:
        return None
    if then.datatype is not Datatype.BF16 and then.datatype.numpy.kind in "iu":
        return _whole_difference(then.array, now.array)
    with np.errstate(all="ignore"):
        before, after = (_numbers(each) for each in (then, now))
        same = (before == after) | (np.isnan(before) & np.isnan(after))
        apart = np.where(same, 0.0, np.abs(before - after))
    return float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max(initial=0.0))


def _whole_difference(before: Array, after: Array) -> float:
    """Of integers, which floating-point numbers would round; 0 only if they are equal.

    Of the larger less the smaller, 64 bits are the difference: it is below 2**64.
    """
    larger, smaller = np.maximum(before, after), np.minimum(before, after)
    apart = larger.astype(np.uint64) - smaller.astype(np.uint64)
    return float(apart.max(initial=0))


def _numbers(tensor: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    array = tensor.array
    if tensor.datatype is Datatype.BF16:
        array = tensor.as_float32()
    return array.astype(np.float64)
