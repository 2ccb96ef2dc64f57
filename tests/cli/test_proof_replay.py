"""`blindai proof replay`: the model again, sandboxed, bit for bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from tests.inference import graphs
from tests.proofs import making
from tests.proofs.making import Made
from typer.testing import Result

from blindai.client.proof import Proof
from blindai.inference import identity
from blindai.inference.identity import identify
from blindai.protocol.commitments import Side
from blindai.protocol.proof import Batch, Model
from blindai.protocol.proof_file import encode_proof_file, parse_proof_file
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

    assert result.exit_code == 5
    assert "SHA-256" in result.stderr


@pytest.mark.parametrize(
    ("version", "words"),
    [
        pytest.param("1", "onnxruntime, which is not installed", id="the engine"),
        pytest.param(
            "1 with onnxruntime-extensions 1", "pip install '.[extensions]'", id="more"
        ),
    ],
)
def test_what_runs_models_may_not_be_installed(  # noqa: PLR0913, PLR0917  what a case has
    run: Run,
    proved: Path,
    double: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    words: str,
) -> None:
    """As with a reader who installed the client only."""
    runtime = replace(identify(1), version=version)
    file = forge(tmp_path, double, {"y": ROW * 2}, runtime=runtime)

    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(identity, "_version", absent)

    result = replayed(run, file, double, proved / "in.npz")

    assert result.exit_code == 2
    assert words in result.stderr


def test_other_inputs_are_not_run(run: Run, proved: Path, double: Path) -> None:
    assert (
        replayed(run, proved / "1.proof", double, proved / "other.npz").exit_code == 5
    )


def test_inputs_of_another_type_are_a_mistake_of_use(
    run: Run, proved: Path, double: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "in.npy", ROW.view(np.int32))

    result = replayed(run, proved / "1.proof", double, tmp_path / "in.npy")

    assert result.exit_code == 2
    assert "in.npy: input 'x': expected FP32" in result.stderr
    assert "blindai proof show" in result.stderr


def test_an_upload_cannot_be_replayed(run: Run, proved: Path, double: Path) -> None:
    result = replayed(run, proved / "0.proof", double, proved / "in.npz")

    assert result.exit_code == 2
    assert "one of an upload" in result.stderr


@pytest.mark.parametrize("tolerance", ["nan", "inf"])
def test_a_tolerance_is_a_number(
    run: Run, proved: Path, double: Path, tolerance: str
) -> None:
    more = ("--tolerance", tolerance, "--json")

    result = replayed(run, proved / "1.proof", double, proved / "in.npz", *more)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--tolerance: expected a number" in result.stderr


def test_without_salt_nothing_is_replayed(run: Run, proved: Path, double: Path) -> None:
    assert (
        replayed(run, proved / "bare1.proof", double, proved / "in.npz").exit_code == 2
    )


@pytest.fixture
def forged(tmp_path: Path, double: Path) -> Callable[..., Path]:
    """A proof that says of `double` what the enclave never computed; well signed."""

    def make(given: NDArray[np.float32], *, here: bool) -> Path:
        runtime = identify(1) if here else replace(identify(1), version="0.0.1")
        return forge(tmp_path, double, {"y": given}, runtime=runtime)

    return make


def forge(
    folder: Path, model: Path, given: Mapping[str, NDArray[Any]], **more: object
) -> Path:
    """A proof of a run of a model; the file has salt and outputs.

    Args:
        folder: Where it is written.
        model: What ran.
        given: Outputs by name.
        more: Claims of the run; `x`, if it is not `ROW`; and `whole`: whether the file
            has the elements.
    """
    made, whole = Made(), bool(more.pop("whole", True))
    inputs = (Tensor.of("x", np.asarray(more.pop("x", ROW))),)
    outputs = tuple(Tensor.of(name, array) for name, array in given.items())
    claims = {
        "runtime": identify(1),
        "inputs": making.committed(Side.INPUT, *inputs),
        "outputs": making.committed(Side.OUTPUT, *outputs),
    }
    digest = hashlib.sha256(model.read_bytes()).digest()
    file = made.file(
        made.claims(
            run=making.run(**(claims | more)),
            model=Model(digest=digest, name="double", version=1),
        ),
        opening=making.opening(inputs, outputs, whole=whole),
    )
    path = folder / "forged.proof"
    path.write_bytes(encode_proof_file(file))
    return path


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


def test_what_is_tolerated_is_told_with_the_largest_difference(
    run: Run, double: Path, proved: Path, forged: Callable[..., Path]
) -> None:
    """0 is -0, but has other bits."""
    file = forged(ROW * 2 * np.array([-1, 1, 1, 1], np.float32), here=True)

    result = replayed(run, file, double, proved / "in.npz", "--tolerance", 0)

    assert result.exit_code == 10
    assert "largest difference: 0\ntolerance: 0\n" in result.stdout


def test_what_differs_moves_no_cursor(
    run: Run, double: Path, proved: Path, tmp_path: Path
) -> None:
    runtime = replace(identify(1), version="\x1b[2J")
    file = forge(tmp_path, double, {"y": NEAR}, runtime=runtime)

    result = replayed(run, file, double, proved / "in.npz")

    assert "differs: version: \\x1b[2J then" in result.stdout
    assert "\x1b[2J" not in result.stdout


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file: each row of y is the sum of all rows of x, and z is twice x."""
    path = tmp_path_factory.mktemp("models") / "sums.onnx"
    kind: tuple[int, list[str | int]] = (onnx.TensorProto.FLOAT, ["n", 4])
    nodes = [
        onnx.helper.make_node("Add", ["x", "x"], ["z"]),
        onnx.helper.make_node("ReduceSum", ["x", "first"], ["sum"], keepdims=1),
        onnx.helper.make_node("Sub", ["x", "x"], ["zeros"]),
        onnx.helper.make_node("Add", ["sum", "zeros"], ["y"]),
    ]
    first = onnx.helper.make_tensor("first", onnx.TensorProto.INT64, [1], [0])
    made = graphs.model(nodes, {"x": kind}, {"y": kind, "z": kind}, [first])
    onnx.save(made, path)
    return path


@pytest.mark.parametrize(("own", "rows"), [(1, 2), (1, 5), (2, 3), (2, 4)])
def test_a_run_of_a_batch_is_replayed_among_as_many_rows(
    run: Run, sums: Path, tmp_path: Path, own: int, rows: int
) -> None:
    x = np.repeat(ROW, own, axis=0)
    given = {"y": x * rows, "z": x * 2}
    file = forge(tmp_path, sums, given, x=x, batch=Batch(requests=2, rows=rows))
    np.save(tmp_path / "in.npy", x)

    assert replayed(run, file, sums, tmp_path / "in.npy").exit_code == 0


def test_a_run_that_saw_rows_that_are_not_here_cannot_be_compared(
    run: Run, sums: Path, proved: Path, tmp_path: Path
) -> None:
    given = {"y": ROW * 7, "z": ROW * 2}
    file = forge(tmp_path, sums, given, batch=Batch(requests=2, rows=2))

    result = replayed(run, file, sums, proved / "in.npz")

    assert result.exit_code == 12
    assert "differs: batch: 2 requests of 2 rows then" in result.stdout


@pytest.mark.parametrize(
    ("given", "named", "whole", "code"),
    [
        pytest.param("z", "z", False, 0, id="what it was"),
        pytest.param("z", "y", False, 12, id="another, which nothing proves"),
        pytest.param("other", "z", False, 12, id="other outputs, or so it seems"),
        pytest.param("other", "z", True, 11, id="other outputs"),
        pytest.param("both", "zz", False, 0, id="all, whatever they are called"),
        pytest.param("neither", "y", False, 11, id="all, and others"),
    ],
)
def test_names_that_nothing_proves_make_no_run_different(  # noqa: PLR0913, PLR0917  what a case has
    run: Run,
    sums: Path,
    proved: Path,
    tmp_path: Path,
    given: str,
    named: str,
    code: int,
    *,
    whole: bool,
) -> None:
    """Of outputs without elements, whoever shows a file may change the names."""
    gave = {
        "z": {"z": ROW * 2},
        "other": {"z": ROW * 3},
        "both": {"y": ROW, "z": ROW * 2},
        "neither": {"y": ROW, "z": ROW},
    }[given]
    path = forge(tmp_path, sums, gave, whole=whole)
    file = parse_proof_file(path.read_bytes())
    assert file.opening is not None
    first, *others = file.opening.outputs
    opening = replace(file.opening, outputs=(replace(first, name=named), *others))
    path.write_bytes(encode_proof_file(replace(file, opening=opening)))

    assert replayed(run, path, sums, proved / "in.npz").exit_code == code
