"""Holds an export against the framework that it came from."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from blindai.errors import BlindAIError
from blindai.inference.extensions import library

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Inputs = Mapping[str, NDArray[Any]]


class ExportError(BlindAIError):
    """An export does not compute what the original computes."""

    next_step = "Do not use the model: report the versions that are installed."


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well an export agrees with the original.

    Attributes:
        inputs: How many distinct inputs both were given.
        largest: The largest absolute difference of any number.
    """

    inputs: int
    largest: float

    def __str__(self) -> str:
        """In words."""
        return (
            f"export checked on {self.inputs} distinct inputs against the original: "
            f"largest difference {self.largest:.2g}"
        )


def check_export(
    model: Path,
    original: Callable[[Inputs], Sequence[NDArray[Any]]],
    inputs: Sequence[Inputs],
    *,
    atol: float = 1e-4,
    rtol: float = 1e-3,
) -> Agreement:
    """Run both on the same inputs, and require the same outputs.

    Args:
        model: The ONNX file.
        original: What the export came from: the outputs, in the model's order.
        inputs: What both are given, by name; at least two, and all distinct.
        atol: How far a number may be off, absolutely ...
        rtol: ... and beside this share of the original's.

    Raises:
        ExportError: If an output differs, or no input makes a difference: then
            agreement shows nothing.
    """
    run = open_model(model)
    pairs = [(original(each), run(each)) for each in inputs]
    _require_distinct("inputs", [list(each.values()) for each in inputs])
    _require_distinct("outputs of the original", [pair[0] for pair in pairs])
    worst = 0.0
    for number, (wanted, got) in enumerate(pairs):
        if len(wanted) != len(got):
            raise ExportError(f"export: expected {len(wanted)} outputs, got {len(got)}")
        for at, (theirs, ours) in enumerate(zip(wanted, got, strict=True)):
            what = f"export: output {at} for input {number}"
            worst = max(worst, _difference(what, theirs, ours, atol, rtol))
    return Agreement(len(inputs), worst)


def open_model(model: Path) -> Callable[[Inputs], list[NDArray[Any]]]:
    """A model as a function, in this process; with the extensions, where they are."""
    import onnxruntime  # noqa: PLC0415  after the switch of its telemetry was set

    options = onnxruntime.SessionOptions()
    if find_spec("onnxruntime_extensions"):
        options.register_custom_ops_library(library())
    session = onnxruntime.InferenceSession(model, options)

    def run(inputs: Inputs) -> list[NDArray[Any]]:
        return [np.asarray(each) for each in session.run(None, dict(inputs))]

    return run


def _difference(
    what: str, wanted: NDArray[Any], got: NDArray[Any], atol: float, rtol: float
) -> float:
    """The largest absolute difference of two arrays; 0 for what is not numbers.

    Raises:
        ExportError: If they are not close.
    """
    wanted = np.asarray(wanted)
    if wanted.shape != got.shape:
        raise ExportError(f"{what}: expected shape {wanted.shape}, got {got.shape}")
    if wanted.dtype.kind not in "fc":
        if not np.array_equal(wanted, got):
            raise ExportError(f"{what}: expected the original's values, got others")
        return 0.0
    gap = np.abs(wanted.astype(np.float64) - got.astype(np.float64))
    if not (gap <= atol + rtol * np.abs(wanted)).all():  # NaN is not close either
        raise ExportError(f"{what}: expected the original's, got {gap.max():.3g} off")
    return float(gap.max(initial=0.0))


def _require_distinct(what: str, values: Sequence[Sequence[NDArray[Any]]]) -> None:
    """Require that no two are alike.

    Raises:
        ExportError: If two are.
    """
    seen = {tuple((each.shape, each.tobytes()) for each in value) for value in values}
    if len(seen) < max(2, len(values)):
        raise ExportError(f"export: expected at least two {what}, all distinct")
