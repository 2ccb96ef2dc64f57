"""`blindai proof`: a real server's proofs, in files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.cli.serving import Served, serving
from tests.proofs import making
from tests.proofs.making import Made
from tests.vectors import FOLDER as VECTORS
from tests.vectors import needs_vectors
from typer.testing import Result

import blindai
from blindai.client.policies import SimulationWarning
from blindai.client.proof import Proof
from blindai.inference.identity import identify
from blindai.protocol.commitments import Side
from blindai.protocol.proof import Model
from blindai.protocol.proof_file import encode_proof_file
from blindai.protocol.tensor import Tensor

Run = Callable[..., Result]
DATA = Path(__file__).parents[1] / "data" / "proofs"
ROW = np.arange(4, dtype=np.float32).reshape(1, 4)
LEGACY = VECTORS / "sgx" / "blindai_exec_run.proof"
LEGACY_UPLOAD = VECTORS / "sgx" / "blindai_exec_upload.proof"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """A server in a process of its own, that signs whatever it does."""
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def proved(
    server: Served, double: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with proofs of an upload and two runs, and the inputs."""
    folder = tmp_path_factory.mktemp("proofs")
    np.savez(folder / "in.npz", x=ROW)
    np.savez(folder / "other.npz", x=ROW + 1)
    with pytest.warns(SimulationWarning):
        client = blindai.connect(
            server.url, simulation=True, remember_stores=False, prove_by_default=True
        )
    with client:
        client.upload_model(double, "double").save_to_file(folder / "0.proof")
        for number in (1, 2):
            response = client.predict("double", ROW)
            response.save_to_file(folder / f"{number}.proof")
            assert response.proof is not None
            response.proof.save_to_file(folder / f"whole{number}.proof", tensors=True)
            response.proof.save_to_file(folder / f"bare{number}.proof")
    return folder


def fields(result: Result) -> dict[str, object]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


# ------------------------------------------------------------------------- as it comes


def test_predict_writes_a_proof(
    run: Run, server: Served, proved: Path, tmp_path: Path
) -> None:
    words = ("double", proved / "in.npz", "--simulation", "--proof", tmp_path / "p")

    assert run("predict", server.url, *words).exit_code == 0

    assert Proof.load_from_file(tmp_path / "p").claims.model.name == "double"


def test_an_upload_writes_a_proof(
    run: Run, server: Served, double: Path, tmp_path: Path
) -> None:
    words = ("--name", "two", "--simulation", "--proof", tmp_path / "p")

    assert run("models", "upload", server.url, double, *words).exit_code == 0

    assert Proof.load_from_file(tmp_path / "p").claims.model.name == "two"


# -------------------------------------------------------------------------------- show


@pytest.mark.parametrize("name", ["0.proof", "1.proof", "bare1.proof", "whole1.proof"])
def test_a_proof_is_shown_and_not_believed(run: Run, proved: Path, name: str) -> None:
    result = run("proof", "show", proved / name)

    assert result.exit_code == 0
    assert "Nothing below was verified" in result.stdout
    assert "SIMULATED" in result.stdout


def test_a_disclosed_tensor_is_shown(run: Run) -> None:
    result = run("proof", "show", DATA / "disclosed.proof", "--json")

    assert fields(result)["believed"] is False
    assert "INT64, 2: 1 0" in result.stdout


@pytest.mark.parametrize(
    ("file", "words"),
    [
        pytest.param(DATA / "policy.toml", "policy", id="a policy"),
        pytest.param(DATA / "vectors.json", "expected", id="JSON"),
        pytest.param(DATA / "attestation.bin", "attestation", id="an attestation"),
        pytest.param(DATA / "refused" / "claim-missing.proof", "claim", id="claims"),
    ],
)
def test_another_file_is_named(run: Run, file: Path, words: str) -> None:
    result = run("proof", "show", file)

    assert result.exit_code == 4
    assert words.removesuffix("s") in result.stderr


def test_a_file_that_is_not_there_is_a_mistake_of_use(run: Run) -> None:
    assert run("proof", "show", "nowhere.proof").exit_code == 2


def test_evidence_commands_say_what_to_do_with_a_proof(run: Run) -> None:
    result = run("evidence", "show", DATA / "predict.proof")

    assert result.exit_code == 4
    assert "blindai proof verify" in result.stderr


# ------------------------------------------------------------------------------ verify


@pytest.mark.parametrize("name", ["0.proof", "1.proof", "bare1.proof", "whole1.proof"])
def test_a_proof_is_verified_without_the_server(
    run: Run, proved: Path, name: str
) -> None:
    result = run("proof", "verify", proved / name, "--simulation")

    assert result.exit_code == 0, result.stderr
    assert "today: the same" in result.stdout
    assert "SIMULATION that proves nothing" in result.stdout


def test_a_proof_is_verified_with_its_inputs(run: Run, proved: Path) -> None:
    inputs = ("--inputs", proved / "in.npz")
    result = run("proof", "verify", proved / "1.proof", "--simulation", *inputs)

    assert result.exit_code == 0
    assert "proof inputs" in result.stdout


def test_other_inputs_are_refused(run: Run, proved: Path) -> None:
    inputs = ("--inputs", proved / "other.npz")
    result = run("proof", "verify", proved / "1.proof", "--simulation", *inputs)

    assert result.exit_code == 5
    assert "proof inputs" in result.stderr


def test_inputs_without_the_salt_are_not_compared_and_refused(
    run: Run, proved: Path
) -> None:
    inputs = ("--inputs", proved / "in.npz")
    result = run("proof", "verify", proved / "bare1.proof", "--simulation", *inputs)

    assert result.exit_code == 7
    assert "salt" in result.stderr


def test_it_is_valid_as_of_its_date_and_today_is_said_too(run: Run) -> None:
    result = run("proof", "verify", DATA / "predict.proof", "--simulation", "--json")
    found = fields(result)

    assert result.exit_code == 0
    assert found["verdict"] == "accepted"
    assert found["as_of"] == "2026-06-01T12:00:00+00:00"
    assert found["simulated"] is True
    today = found["today"]
    assert isinstance(today, dict)
    assert today["verdict"] == "refused"
    assert "keyset validity" in today["refusals"][0]


def test_another_date_can_be_asked_for(run: Run) -> None:
    at = ("--at", "2026-06-03")
    result = run("proof", "verify", DATA / "predict.proof", "--simulation", *at)

    assert result.exit_code == 6
    assert "keyset validity" in result.stderr


def test_a_refusal_in_json_has_the_checks_and_nothing_that_was_not_proved(
    run: Run,
) -> None:
    file = DATA / "refused" / "other-key.proof"
    result = run("proof", "verify", file, "--simulation", "--json")
    found = fields(result)

    assert result.exit_code == 5
    assert found["verdict"] == "refused"
    assert found["claims"] is None
    assert found["simulated"] is None
    assert "proof signature" in result.stdout


def test_a_release_policy_refuses_a_simulated_proof(run: Run, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(f'version = 1\n[sev-snp]\nmeasurements = ["{"11" * 48}"]\n')

    result = run("proof", "verify", DATA / "predict.proof", "--policy", policy)

    assert result.exit_code == 6
    assert "simulated TEE" in result.stderr


def test_without_a_policy_nothing_is_verified(run: Run) -> None:
    assert run("proof", "verify", DATA / "predict.proof").exit_code == 2


# ---------------------------------------------------------------------------- disclose


def test_a_disclosure_verifies_and_holds_neither_salt_nor_other_tensors(
    run: Run, tmp_path: Path
) -> None:
    to = tmp_path / "label.proof"
    opened = DATA / "opened.proof"

    assert (
        run("proof", "disclose", opened, "--output", "label", "--to", to).exit_code == 0
    )

    result = run("proof", "verify", to, "--simulation")
    assert result.exit_code == 0
    assert "INT64, 2: 1 0" in result.stdout
    assert bytes(range(32)) not in to.read_bytes()
    assert b"good" not in to.read_bytes()
    assert to.read_bytes() == (DATA / "disclosed.proof").read_bytes()


def test_an_input_is_disclosed_likewise(run: Run, tmp_path: Path) -> None:
    to = tmp_path / "text.proof"
    words = ("--input", "text", "--to", to, "--json")

    assert run("proof", "disclose", DATA / "opened.proof", *words).exit_code == 0

    result = run("proof", "verify", to, "--simulation", "--json")
    assert '"good"' in result.stdout


@pytest.mark.parametrize(
    ("file", "words"),
    [
        pytest.param("predict.proof", ("--output", "label"), id="no salt"),
        pytest.param("response.proof", ("--input", "text"), id="no elements"),
        pytest.param("opened.proof", ("--output", "text"), id="no such output"),
        pytest.param("opened.proof", (), id="nothing named"),
    ],
)
def test_what_is_not_there_is_not_disclosed(
    run: Run, tmp_path: Path, file: str, words: tuple[str, ...]
) -> None:
    to = tmp_path / "out.proof"

    assert run("proof", "disclose", DATA / file, *words, "--to", to).exit_code == 2
    assert not to.exists()


# ------------------------------------------------------------------------------- chain


def test_all_proofs_of_an_enclave_are_a_whole_chain(run: Run, proved: Path) -> None:
    files = [proved / f"{number}.proof" for number in (2, 0, 1)]

    result = run("proof", "chain", *files, "--simulation")

    assert result.exit_code == 0
    assert "whole" in result.stdout


def test_a_hole_is_seen(run: Run, proved: Path) -> None:
    files = (proved / "0.proof", proved / "2.proof")

    result = run("proof", "chain", *files, "--simulation", "--json")

    assert result.exit_code == 13
    assert json.loads(result.stdout)[0]["gaps"] == [[1, 1]]


def test_a_hole_is_told_in_words(run: Run, proved: Path) -> None:
    assert (
        "missing: 0 to 1"
        in run("proof", "chain", proved / "2.proof", "--simulation").stdout
    )


def test_a_repeat_is_seen(run: Run, proved: Path) -> None:
    files = [proved / name for name in ("0.proof", "1.proof", "bare1.proof", "2.proof")]

    result = run("proof", "chain", *files, "--simulation")

    assert result.exit_code == 14
    assert "the same proof" in result.stdout


def test_a_fork_is_seen(run: Run, tmp_path: Path) -> None:
    """Another first proof of the same enclave, signed by its own key."""
    made = Made()
    files = [made.file(), made.file(made.claims(request_id=b"\x01" * 8))]
    names = [tmp_path / f"{number}.proof" for number in range(len(files))]
    for path, file in zip(names, files, strict=True):
        path.write_bytes(encode_proof_file(file))

    result = run("proof", "chain", *names, "--simulation")

    assert result.exit_code == 15
    assert "contradict each other" in result.stdout


def test_a_chain_with_a_proof_that_is_refused_is_refused(run: Run) -> None:
    result = run("proof", "chain", DATA / "refused" / "other-key.proof", "--simulation")

    assert result.exit_code == 5
    assert "other-key.proof" in result.stderr


# ------------------------------------------------------------------------------ replay


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

    found = fields(result)
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


# ---------------------------------------------------------------- the original BlindAI


@needs_vectors
@pytest.mark.parametrize("file", [LEGACY, LEGACY_UPLOAD])
def test_a_proof_of_the_original_is_shown(run: Run, file: Path) -> None:
    result = run("proof", "show", file, "--json")
    found = fields(result)

    assert result.exit_code == 0
    assert "7e17feed-3938-45fb-a128-34866650e0e9" in result.stdout
    assert found["believed"] is False


@pytest.fixture
def old_policy(run: Run, tmp_path: Path) -> Path:
    policy = VECTORS / "sgx" / "blindai_policy.toml"
    path = tmp_path / "policy.toml"
    path.write_text(run("policy", "convert", policy).stdout)
    return path


@needs_vectors
@pytest.mark.parametrize("file", [LEGACY, LEGACY_UPLOAD])
def test_a_proof_of_the_original_holds_as_of_its_date_and_not_today(
    run: Run, old_policy: Path, file: Path
) -> None:
    result = run("proof", "verify", file, "--policy", old_policy, "--json")
    found = fields(result)

    assert result.exit_code == 0, result.stdout
    assert str(found["as_of"]).startswith("2022-08-23")
    today = found["today"]
    assert isinstance(today, dict)
    assert today["verdict"] == "refused"
    assert "validity" in today["refusals"][0]


@needs_vectors
@pytest.mark.parametrize(
    "at",
    [
        pytest.param(-1, id="its signature"),
        pytest.param(18510, id="what was signed"),
        pytest.param(18000, id="the certificate that the quote binds"),
        pytest.param(100, id="the quote"),
    ],
)
def test_a_changed_proof_of_the_original_is_refused(
    run: Run, old_policy: Path, tmp_path: Path, at: int
) -> None:
    data = bytearray(LEGACY.read_bytes())
    data[at] ^= 1
    path = tmp_path / "changed.proof"
    path.write_bytes(data)

    result = run("proof", "verify", path, "--policy", old_policy)

    assert result.exit_code in {4, 5, 6}, result.stdout


@needs_vectors
def test_a_proof_of_the_original_cannot_be_disclosed(run: Run, tmp_path: Path) -> None:
    words = ("--output", "x", "--to", tmp_path / "out")

    assert run("proof", "disclose", LEGACY, *words).exit_code == 2
