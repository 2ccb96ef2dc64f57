"""What `blindai proof replay` does: runs the model again, sandboxed, and compares."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import typer

from blindai import proofs
from blindai.cli import console
from blindai.cli.evidence_input import choose_time
from blindai.cli.exits import CommandError, Exit
from blindai.cli.proof_input import load, load_inputs
from blindai.client.model_file import ModelStream, find_model
from blindai.errors import ConflictError
from blindai.inference import sandbox
from blindai.inference.arrivals import Upload
from blindai.inference.service import InferenceService, ServiceSettings
from blindai.inference.worker.processes import ProcessLimits
from blindai.proofs import Comparison, Verdict
from blindai.protocol.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from blindai.protocol.proof import Claims, Run, Runtime
    from blindai.protocol.proof_file import Opening
    from blindai.verifier import Policy

_LONGEST_S: Final = 600.0
_MOST_THREADS: Final = 256
_NAME: Final = "replayed"
_EXITS: Final = {
    Verdict.IDENTICAL: Exit.OK,
    Verdict.WITHIN_TOLERANCE: Exit.WITHIN_TOLERANCE,
    Verdict.DIFFERENT: Exit.DIFFERENT,
    Verdict.NOT_COMPARABLE: Exit.NOT_COMPARABLE,
}
_STYLES: Final = {
    Verdict.IDENTICAL: "bold green",
    Verdict.WITHIN_TOLERANCE: "bold yellow",
    Verdict.DIFFERENT: "bold red",
    Verdict.NOT_COMPARABLE: "bold yellow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    file: Path
    model: Path
    inputs: Path
    tolerance: float | None
    policy: Policy
    at: str | None
    as_json: bool


def run(request: Request) -> None:
    """Verify, run again, and print how the two compare.

    Raises:
        CommandError: If the file has not what it takes.
        BlindAIError: If the proof is not accepted, or is of another model.
        Exit: If the outputs are not the same.
    """
    proof = load(request.file)
    opening = proof.file.opening
    if opening is None:
        raise CommandError(
            "proof: expected it with its salt, got it without",
            "Save the response, or the proof with salts=True.",
        )
    inputs = load_inputs(request.inputs, opening)
    result = proofs.verify(
        proof.file,
        policy=request.policy,
        at=None if request.at is None else choose_time(request.at),
        expected=proofs.Expected(inputs=inputs),
    )
    claims = result.claims
    if claims.run is None:
        raise CommandError(
            "proof: expected one of a run, got one of an upload",
            "An upload computes nothing that could be compared.",
        )
    if result.simulated:
        console.warn_of_simulation()
    outputs, here = asyncio.run(_again(request, claims, claims.run, opening, inputs))
    compared = proofs.compare(
        claims.run,
        opening.salt,
        outputs,
        here,
        then=_then(opening),
        tolerance=request.tolerance,
    )
    _tell(request, compared)


def _then(opening: Opening) -> Sequence[Tensor] | None:
    """The outputs of then; None where the file has not all."""
    kept = [each.tensor for each in opening.outputs if each.tensor is not None]
    return kept if len(kept) == len(opening.outputs) else None


async def _again(
    request: Request,
    claims: Claims,
    then: Run,
    opening: Opening,
    inputs: Sequence[Tensor],
) -> tuple[Sequence[Tensor], Runtime]:
    """Run the model as it ran then, as far as this machine can.

    Raises:
        ConflictError: If the file is another model.
        BlindAIError: If it is not admitted, or does not run.
    """
    settings = ServiceSettings(
        slots=1,
        process=ProcessLimits(
            sandbox="none",  # whatever this kernel offers, which `_tell` says
            threads=min(max(1, then.runtime.threads), _MOST_THREADS),
        ),
    )
    rows, repeats = _repeats(then, inputs)
    wanted = tuple(each.name for each in opening.outputs)
    async with InferenceService(settings) as service:
        with service.spool() as spool:
            for piece in ModelStream(find_model(request.model), None):
                await spool.write(piece)
            if spool.digest != claims.model.digest.hex():
                raise ConflictError(
                    f"model: expected SHA-256 {claims.model.digest.hex()},"
                    f" got {spool.digest}"
                )
            await service.upload(_NAME, "", spool, Upload(now=datetime.now(UTC)))
        result = await service.infer(
            _NAME,
            [_repeat(each, repeats) for each in inputs],
            time.monotonic() + _LONGEST_S,
            outputs=wanted,
        )
        outputs = [
            _first(each, rows) if repeats > 1 else each for each in result.outputs
        ]
        copies = [_copy(each) for each in outputs]
        return copies, service.runtime


def _repeats(then: Run, inputs: Sequence[Tensor]) -> tuple[int, int]:
    """How many rows there are, and how often to repeat them for a batch as large."""
    if then.batch.requests == 1 or not inputs:
        return 0, 1
    rows = inputs[0].shape[0]
    return rows, max(1, -(-then.batch.rows // rows)) if rows else 1


def _repeat(tensor: Tensor, times: int) -> Tensor:
    if times == 1:
        return tensor
    array = np.concatenate([tensor.array] * times)
    return Tensor(tensor.name, tensor.datatype, array.shape, array)


def _first(tensor: Tensor, rows: int) -> Tensor:
    array = tensor.array[:rows]
    return Tensor(tensor.name, tensor.datatype, array.shape, array)


def _copy(tensor: Tensor) -> Tensor:
    """A tensor that outlives the worker's memory."""
    return Tensor(tensor.name, tensor.datatype, tensor.shape, tensor.array.copy())


def _tell(request: Request, compared: Comparison) -> None:
    code = _EXITS[compared.verdict]
    held_back = ", ".join(sandbox.offered().words)
    if request.as_json:
        console.print_json(
            {
                "verdict": compared.verdict.value,
                "file": str(request.file),
                "largest_difference": _finite(compared.largest),
                "tolerance": request.tolerance,
                "differs": list(compared.differs),
                "sandbox": held_back,
                "exit_code": int(code),
            }
        )
    else:
        screen = console.out()
        screen.print(compared.verdict.value, style=_STYLES[compared.verdict])
        if compared.largest:
            screen.print(f"largest difference: {compared.largest:g}")
        for each in compared.differs:
            screen.print(f"differs: {each}", soft_wrap=True)
        screen.print(f"sandbox of the model: {held_back}", style="dim", soft_wrap=True)
    if code:
        raise typer.Exit(code)


def _finite(number: float | None) -> float | str | None:
    """A number for JSON, which has no infinity."""
    return number if number is None or np.isfinite(number) else str(number)
