"""What `blindai proof replay` does: runs the model again, sandboxed, and compares."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import typer

from blindai import proofs
from blindai.cli import console
from blindai.cli.evidence_input import choose_time
from blindai.cli.exits import CommandError, Exit
from blindai.cli.extras import needs
from blindai.cli.proof_input import load, load_inputs
from blindai.cli.proof_words import warn_of_worthless
from blindai.client.model_file import ModelStream, find_model
from blindai.errors import ProofError
from blindai.inference import sandbox
from blindai.inference.arrivals import Upload
from blindai.inference.batches import has_rows
from blindai.inference.identity import has_extensions, identify
from blindai.inference.service import InferenceService, ServiceSettings
from blindai.inference.worker.processes import ProcessLimits
from blindai.proofs import Comparison, Verdict
from blindai.protocol.tensor import Tensor
from blindai.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from blindai.client.proof import Proof
    from blindai.protocol.proof import Claims, Run, Runtime
    from blindai.protocol.proof_file import Opening
    from blindai.verifier import Policy

_LONGEST_S: Final = 600.0
_MOST_THREADS: Final = 256
_MOST_ROWS: Final = 65536  # of a batch, as the configuration has it
_NAME: Final = "replayed"
_UNPROVED_NAMES: Final = (
    "outputs: which were asked for is not proved, as the file has not their elements"
)
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


@dataclass(frozen=True, slots=True)
class _Again:
    """What a model gave here.

    Attributes:
        outputs: Those that it gave then, as far as that is known.
        runtime: What computed.
        all_of_them: Whether these are all outputs that the model has.
    """

    outputs: Sequence[Tensor]
    runtime: Runtime
    all_of_them: bool


def run(request: Request) -> None:
    """Verify, run again, and print how the two compare.

    Raises:
        CommandError: If the file has not what it takes, or an option is wrong.
        BlindAIError: If the proof is not accepted, or is of another model.
        Exit: If the outputs are not the same.
    """
    _require_number(request.tolerance)
    proof = load(request.file)
    ran, opening = _parts(proof)
    _require_engine(ran.runtime)
    inputs = load_inputs(request.inputs, opening)
    result = proofs.verify(
        proof.file,
        policy=request.policy,
        at=None if request.at is None else choose_time(request.at),
        expected=proofs.Expected(inputs=inputs),
    )
    warn_of_worthless([result])
    then = _then(opening)
    again = asyncio.run(_again(request, result.claims, ran, opening, inputs))
    compared = proofs.compare(
        ran,
        opening.salt,
        again.outputs,
        again.runtime,
        then=then,
        tolerance=request.tolerance,
    )
    if compared.verdict is Verdict.DIFFERENT and then is None and not again.all_of_them:
        compared = replace(
            compared, verdict=Verdict.NOT_COMPARABLE, differs=(_UNPROVED_NAMES,)
        )
    _tell(request, compared)


def _require_number(tolerance: float | None) -> None:
    """Whether two elements can be that far apart.

    Raises:
        CommandError: If it is infinite, or no number.
    """
    if tolerance is not None and not np.isfinite(tolerance):
        raise CommandError(
            f"--tolerance: expected a number, got {tolerance}",
            "Say how far two elements may be apart.",
        )


def _parts(proof: Proof) -> tuple[Run, Opening]:
    """What ran, and what opens the commitments to it; nothing is believed for that.

    Raises:
        CommandError: If one is missing.
    """
    ran, opening = proof.claims.run, proof.file.opening
    if ran is None:
        raise CommandError(
            "proof: expected one of a run, got one of an upload",
            "An upload computes nothing that could be compared.",
        )
    if opening is None:
        raise CommandError(
            "proof: expected it with its salt, got it without",
            "Save the response, or the proof with salts=True.",
        )
    return ran, opening


def _require_engine(then: Runtime) -> None:
    """Whether there is what runs models here.

    Raises:
        CommandError: If it is not installed: who only asks enclaves does not need it.
    """
    extensions = has_extensions(then)
    with needs("extensions" if extensions else "server"):
        identify(then.threads, extensions=extensions)


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
) -> _Again:
    """Run the model as it ran then, as far as this machine can.

    Raises:
        ProofError: If the file is another model.
        BlindAIError: If it is not admitted, or does not run.
    """
    settings = ServiceSettings(
        slots=1,
        process=ProcessLimits(
            sandbox="none",  # whatever this kernel offers, which `_tell` says
            threads=min(max(1, then.runtime.threads), _MOST_THREADS),
            extensions=has_extensions(then.runtime),
        ),
    )
    async with InferenceService(settings) as service:
        with service.spool() as spool:
            for piece in ModelStream(find_model(request.model), None):
                await spool.write(piece)
            if spool.digest != claims.model.digest.hex():
                raise ProofError(
                    f"model: expected SHA-256 {claims.model.digest.hex()},"
                    f" got {spool.digest}"
                )
            how = Upload(now=datetime.now(UTC))
            spec = (await service.upload(_NAME, "", spool, how)).spec
        all_of_them = then.outputs.count == len(spec.outputs)
        batched = then.batch.requests > 1 and has_rows(spec)
        rows = min(then.batch.rows, _MOST_ROWS) if batched else 0
        result = await service.infer(
            _NAME,
            [_repeat(each, rows) for each in inputs],
            time.monotonic() + _LONGEST_S,
            outputs=() if all_of_them else [each.name for each in opening.outputs],
        )
        own = inputs[0].shape[0] if batched else None
        outputs = [_copy(_first(each, own)) for each in result.outputs]
        return _Again(outputs, service.runtime, all_of_them)


def _repeat(tensor: Tensor, rows: int) -> Tensor:
    """A tensor with its rows again and again, until they are so many."""
    if not tensor.shape or not tensor.array.size or tensor.shape[0] >= rows:
        return tensor
    array = np.resize(tensor.array, (rows, *tensor.shape[1:]))
    return Tensor(tensor.name, tensor.datatype, array.shape, array)


def _first(tensor: Tensor, rows: int | None) -> Tensor:
    """The first rows of a tensor; all of it for None."""
    array = tensor.array[:rows] if tensor.shape else tensor.array
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
        if compared.largest is not None and compared.verdict is not Verdict.IDENTICAL:
            screen.print(f"largest difference: {compared.largest:g}")
        if compared.verdict is Verdict.WITHIN_TOLERANCE:
            screen.print(f"tolerance: {request.tolerance:g}")
        for each in compared.differs:
            screen.print(f"differs: {printable(each)}", soft_wrap=True)
        screen.print(f"sandbox of the model: {held_back}", style="dim", soft_wrap=True)
    if code:
        raise typer.Exit(code)


def _finite(number: float | None) -> float | str | None:
    """A number for JSON, which has no infinity."""
    return number if number is None or np.isfinite(number) else str(number)
