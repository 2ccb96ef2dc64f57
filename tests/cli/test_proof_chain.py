"""`blindai proof chain`: what is missing, what contradicts itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.proofs.making import Made
from typer.testing import Result

from blindai.attester.simulated_report import GUEST_POLICY, SimulatedPlatform
from blindai.protocol.proof_file import encode_proof_file

Run = Callable[..., Result]
DATA = Path(__file__).parents[1] / "data" / "proofs"


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


DEBUG_BIT = 0x80000  # AMD 56860, table 10
POLICY = """\
version = 1
insecure_accept_simulation = true

[sev-snp]
insecure_allow_debug = true
measurements = ["{}"]
"""


@pytest.mark.parametrize("command", ["chain", "verify"])
def test_what_proves_nothing_is_warned_of(
    run: Run, tmp_path: Path, command: str
) -> None:
    platform = SimulatedPlatform(guest_policy=GUEST_POLICY | DEBUG_BIT)
    proof, policy = tmp_path / "0.proof", tmp_path / "policy.toml"
    proof.write_bytes(encode_proof_file(Made(platform=platform).file()))
    policy.write_text(POLICY.format(platform.measurement.hex()))

    result = run("proof", command, proof, "--policy", policy, "--json")

    assert result.exit_code == 0, result.stderr
    assert "warning: this proof is of a SIMULATED enclave" in result.stderr
    assert "warning: this proof is of an enclave in DEBUG mode" in result.stderr


def test_a_warning_is_given_once(run: Run, proved: Path) -> None:
    files = [proved / f"{number}.proof" for number in range(3)]

    result = run("proof", "chain", *files, "--simulation")

    assert result.stderr.count("SIMULATED") == 1
