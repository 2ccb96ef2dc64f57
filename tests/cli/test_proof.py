"""`blindai proof`: a real server's proofs, in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.proofs import making
from tests.proofs.making import Made
from tests.vectors import FOLDER as VECTORS
from typer.testing import Result

from blindai.attester.simulated import SimulatedPlatform
from blindai.client.proof import Proof
from blindai.protocol.commitments import Side
from blindai.protocol.proof_file import encode_proof_file
from blindai.protocol.tensor import Tensor
from blindai.testing import SimulatedEnclave

Run = Callable[..., Result]
DATA = Path(__file__).parents[1] / "data" / "proofs"
ROW = np.arange(4, dtype=np.float32).reshape(1, 4)
LEGACY = VECTORS / "sgx" / "blindai_exec_run.proof"
LEGACY_UPLOAD = VECTORS / "sgx" / "blindai_exec_upload.proof"


def fields(result: Result) -> dict[str, object]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


# ------------------------------------------------------------------------- as it comes


def test_predict_writes_a_proof(
    run: Run, served: str, proved: Path, tmp_path: Path
) -> None:
    words = ("double", proved / "in.npz", "--simulation", "--proof", tmp_path / "p")

    assert run("predict", served, *words).exit_code == 0

    assert Proof.load_from_file(tmp_path / "p").claims.model.name == "double"


def test_an_upload_writes_a_proof(run: Run, double: Path, tmp_path: Path) -> None:
    words = ("--name", "two", "--simulation", "--proof", tmp_path / "p")

    with SimulatedEnclave() as enclave:
        uploaded = run("models", "upload", enclave.url, double, *words)

    assert uploaded.exit_code == 0
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


@pytest.mark.parametrize(
    ("at", "words"),
    [
        pytest.param((), "2026-06-01 12:00 UTC, by the host's clock; today", id="own"),
        pytest.param(
            ("--at", "2026-06-01T12:30"), "12:30 UTC; today", id="the reader's"
        ),
        pytest.param(
            ("--at", "2026-06-01T17:30+05:00"), "12:30 UTC; today", id="of another zone"
        ),
    ],
)
def test_whose_date_it_is_is_said(run: Run, at: tuple[str, ...], words: str) -> None:
    result = run("proof", "verify", DATA / "predict.proof", "--simulation", *at)

    assert result.exit_code == 0
    assert f"valid as of {words}" in result.stdout.replace("2026-06-01 12:30", "12:30")


@pytest.mark.parametrize("at", ["yesterday", "0001-01-01T00:00+14:00"])
def test_what_is_no_time_is_a_mistake_of_use(run: Run, at: str) -> None:
    result = run("proof", "verify", DATA / "predict.proof", "--simulation", "--at", at)

    assert result.exit_code == 2
    assert "--at: expected a time" in result.stderr


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


@pytest.mark.parametrize(("at", "code"), [((), 0), (("--at", "2026-06-01T12:00"), 5)])
def test_what_vendors_said_since_counts_for_later_dates_only(
    run: Run, tmp_path: Path, at: tuple[str, ...], code: int
) -> None:
    """Another chip's certificates: whatever they count for is refused."""
    made, other = Made(), Made(platform=SimulatedPlatform(chip_id=bytes(64)))
    proof, since = tmp_path / "run.proof", tmp_path / "since.pem"
    proof.write_bytes(encode_proof_file(made.file()))
    since.write_bytes(other.attestation.evidence.endorsements[0].content)
    words = ("--simulation", "--endorsements", since, "--json", *at)

    result = run("proof", "verify", proof, *words)

    assert result.exit_code == code
    today = fields(result)["today"]
    assert isinstance(today, dict)
    assert today["refusals"][0].startswith("report signature")


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


def test_an_input_and_an_output_of_one_name_are_told_apart(
    run: Run, tmp_path: Path
) -> None:
    """The name would move the cursor up, too."""
    name = "x\x1b[A"
    inputs, outputs = (
        (Tensor.of(name, np.array([number], "<i8")),) for number in (1, 2)
    )
    ran = making.run(
        inputs=making.committed(Side.INPUT, *inputs),
        outputs=making.committed(Side.OUTPUT, *outputs),
    )
    made = Made()
    file = made.file(made.claims(run=ran), opening=making.opening(inputs, outputs))
    path = tmp_path / "x.proof"
    Proof(file).disclose(inputs=[name], outputs=[name]).save_to_file(path)

    shown = run("proof", "verify", path, "--simulation")
    told = fields(run("proof", "verify", path, "--simulation", "--json"))["disclosed"]
    assert isinstance(told, list)

    assert shown.exit_code == 0
    assert "disclosed input: x\\x1b[A INT64, 1: 1" in shown.stdout
    assert "disclosed output: x\\x1b[A INT64, 1: 2" in shown.stdout
    assert "\x1b[A" not in shown.stdout
    assert [(each["side"], each["data"]) for each in told] == [
        ("input", [1]),
        ("output", [2]),
    ]


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


def test_a_disclosure_does_not_take_the_place_of_what_it_is_from(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "opened.proof"
    path.write_bytes((DATA / "opened.proof").read_bytes())
    link = tmp_path / "link.proof"
    link.symlink_to(path)

    result = run("proof", "disclose", path, "--output", "label", "--to", link)

    assert result.exit_code == 2
    assert "salt" in result.stderr
    assert path.read_bytes() == (DATA / "opened.proof").read_bytes()


def test_what_is_named_twice_is_revealed_once(run: Run, tmp_path: Path) -> None:
    words = ("--output", "label", "--output", "label", "--to", tmp_path / "to.proof")
    result = run("proof", "disclose", DATA / "opened.proof", *words, "--json")

    assert fields(result)["outputs"] == ["label"]
