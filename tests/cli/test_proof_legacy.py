"""Proofs of the original BlindAI: genuine ones, and what was changed in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.vectors import FOLDER as VECTORS
from tests.vectors import needs_vectors
from typer.testing import Result

Run = Callable[..., Result]
LEGACY = VECTORS / "sgx" / "blindai_exec_run.proof"
LEGACY_UPLOAD = VECTORS / "sgx" / "blindai_exec_upload.proof"


def fields(result: Result) -> dict[str, object]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


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
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("a003020102", "a003020103", id="version"),
        pytest.param("300d820b", "300d830b", id="a name's kind"),
        pytest.param("06052b060103020420", "06052b06010302041f", id="a length"),
        pytest.param("06052b06010302", "06052b06010303", id="no key"),
        pytest.param("06052b06010301", "06052b06010302", id="two keys"),
    ],
)
def test_a_malformed_certificate_of_the_original_is_refused(
    run: Run, old_policy: Path, tmp_path: Path, old: str, new: str
) -> None:
    data, before = LEGACY.read_bytes(), bytes.fromhex(old)
    place = data.rindex(before)
    path = tmp_path / "changed.proof"
    after = bytes.fromhex(new)
    path.write_bytes(data[:place] + after + data[place + len(after) :])

    result = run("proof", "verify", path, "--policy", old_policy)

    assert result.exit_code in {4, 5, 6}, result.stdout


@needs_vectors
@pytest.mark.parametrize("option", ["--inputs", "--endorsements"])
def test_nothing_that_is_given_is_left_out_silently(
    run: Run, old_policy: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "in.json").write_text("[1]")
    words = ("--policy", old_policy, option, tmp_path / "in.json")

    result = run("proof", "verify", LEGACY, *words)

    assert result.exit_code == 2
    assert "original" in result.stderr


@needs_vectors
def test_a_proof_of_the_original_cannot_be_disclosed(run: Run, tmp_path: Path) -> None:
    words = ("--output", "x", "--to", tmp_path / "out")

    assert run("proof", "disclose", LEGACY, *words).exit_code == 2
