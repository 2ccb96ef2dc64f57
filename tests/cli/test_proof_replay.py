"""`blindai proof replay`: the model again, sandboxed, bit for bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.proofs import making
from tests.proofs.making import Made
from typer.testing import Result

from blindai.client.proof import Proof
from blindai.inference.identity import identify
from blindai.protocol.commitments import Side
from blindai.protocol.proof import Model
from blindai.protocol.proof_file import encode_proof_file
from blindai.protocol.tensor import Tensor

Run = Callable[..., Result]
ROW = np.arange(4, dtype=np.float32).reshape(1, 4)


def replayed(run: Run, file: Path, model: Path, inputs: Path, *more: object) -> Result:
    words = ("--model", model, "--inputs", inputs, "--simulation", *more)
    return run("proof", "replay", file, *words)


def test_the_same_model_gives_the_same_bits(
    run: Run, proved: Path, double: Path
) -> None:
    result = replayed(run, proved / "1.proof", double, proved / "in.npz")

    assert (result.exit_code, "IDENTICAL" in result.stdout) == (0, True), result.stderr


def test_salt_alone_is_enough_to_compare(
    run: Run, proved: Path, double: Path, tmp_path: Path
) -> None:
    salted = tmp_path / "salted.proof"
    Proof.load_from_file(proved / "1.proof").save_to_file(salted, salts=True)

    assert replayed(run, salted, double, proved / "in.npz").exit_code == 0


def test_another_model_is_refused(run: Run, proved: Path, rounds: Path) -> None:
    result = replayed(run, proved / "1.proof", rounds, proved / "in.npz")

    assert result.exit_code == 8
    assert "SHA-256" in result.stderr


def test_other_inputs_are_not_run(run: Run, proved: Path, double: Path) -> None:
    assert (
        replayed(run, proved / "1.proof", double, proved / "other.npz").exit_code == 5
    )


def test_an_upload_cannot_be_replayed(run: Run, proved: Path, double: Path) -> None:
    assert replayed(run, proved / "0.proof", double, proved / "in.npz").exit_code == 2


def test_without_salt_nothing_is_replayed(run: Run, proved: Path, double: Path) -> None:
    assert (
        replayed(run, proved / "bare1.proof", double, proved / "in.npz").exit_code == 2
    )


@pytest.fixture
def forged(tmp_path: Path, double: Path) -> Callable[..., Path]:
    """A proof that says of `double` what the enclave never computed; well signed."""

    def make(given: NDArray[np.float32], *, here: bool) -> Path:
        made = Made()
        inputs, outputs = (Tensor.of("x", ROW),), (Tensor.of("y", given),)
        runtime = identify(1) if here else replace(identify(1), version="0.0.1")
        ran = making.run(
            runtime=runtime,
            inputs=making.committed(Side.INPUT, *inputs),
            outputs=making.committed(Side.OUTPUT, *outputs),
        )
        digest = hashlib.sha256(double.read_bytes()).digest()
        model = Model(digest=digest, name="double", version=1)
        file = made.file(
            made.claims(run=ran, model=model), opening=making.opening(inputs, outputs)
        )
        path = tmp_path / "forged.proof"
        path.write_bytes(encode_proof_file(file))
        return path

    return make


HERE, ELSEWHERE = {"here": True}, {"here": False}
NEAR = ROW * 2 + 0.25


@pytest.mark.parametrize(
    ("outputs", "where", "tolerance", "expected"),
    [
        pytest.param(ROW * 2, ELSEWHERE, (), ("IDENTICAL", 0), id="the same bits"),
        pytest.param(NEAR, HERE, (0.5,), ("WITHIN_TOLERANCE", 10), id="near"),
        pytest.param(NEAR, ELSEWHERE, (0.5,), ("WITHIN_TOLERANCE", 10), id="likewise"),
        pytest.param(NEAR, HERE, (0.1,), ("DIFFERENT", 11), id="not so near"),
        pytest.param(NEAR, HERE, (), ("DIFFERENT", 11), id="different"),
        pytest.param(NEAR, ELSEWHERE, (), ("NOT_COMPARABLE", 12), id="elsewhere"),
    ],
)
def test_what_differs_has_a_verdict_and_a_code(  # noqa: PLR0913, PLR0917  what a case has
    run: Run,
    double: Path,
    proved: Path,
    forged: Callable[..., Path],
    outputs: NDArray[np.float32],
    where: dict[str, bool],
    tolerance: tuple[float, ...],
    expected: tuple[str, int],
) -> None:
    file = forged(outputs, **where)
    more = [word for number in tolerance for word in ("--tolerance", number)]

    result = replayed(run, file, double, proved / "in.npz", *more, "--json")

    found = json.loads(result.stdout)
    assert (found["verdict"], result.exit_code) == expected
    assert found["exit_code"] == result.exit_code


def test_words_say_how_far_and_what_differs(
    run: Run, double: Path, proved: Path, forged: Callable[..., Path]
) -> None:
    file = forged(NEAR, here=False)

    result = replayed(run, file, double, proved / "in.npz")

    assert "NOT_COMPARABLE" in result.stdout
    assert "largest difference: 0.25" in result.stdout
    assert "differs: version: 0.0.1 then" in result.stdout
