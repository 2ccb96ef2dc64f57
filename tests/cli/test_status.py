"""`blindai status`: attests, then shows what comes through the sealed door."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from blindai import __version__
from blindai.attester.simulated import default_measurement
from blindai.server.auth import digest
from blindai.server.settings import ApiKey, Settings
from blindai.testing import SimulatedEnclave

Run = Callable[..., Result]
KEY = ApiKey(name="ward-7", sha256=digest("secret"), scopes=("infer",))


def test_it_shows_release_keys_and_models(run: Run, served: str) -> None:
    result = run("status", served, "--simulation")

    assert result.exit_code == 0
    assert f"server         blindai {__version__}\n" in result.stdout
    assert "ready          yes\n" in result.stdout
    assert "(SIMULATED)" in result.stdout
    assert "keys valid     20" in result.stdout
    assert "models         1\n  double, version 1  " in result.stdout
    assert "SIMULATED" in result.stderr


def test_as_json_it_is_one_object(run: Run, served: str) -> None:
    result = run("status", served, "--simulation", "--json")

    fields = json.loads(result.stdout)
    (model,) = fields["models"]
    assert result.exit_code == 0
    assert fields["verdict"] == "accepted"
    assert fields["simulated"] is True
    assert fields["version"] == __version__
    assert fields["ready"] is True
    assert fields["measurement"] == default_measurement().hex()
    assert len(fields["config_digest"]) == 64
    assert fields["not_before"] < fields["not_after"]
    assert model["name"] == "double"
    assert sorted(model) == ["digest", "name", "size_bytes", "version"]


def test_without_an_api_key_models_are_not_shown(run: Run) -> None:
    with SimulatedEnclave(Settings(api_keys=(KEY,))) as enclave:
        words = ("status", enclave.url, "--simulation")
        without, with_key = run(*words), run(*words, "--api-key", "secret")
        as_json = run(*words, "--json")

    assert (without.exit_code, with_key.exit_code) == (0, 0)
    assert "shown to holders of an API key only" in without.stdout
    assert "models         0\n" in with_key.stdout
    assert json.loads(as_json.stdout)["models"] is None


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    """A policy that accepts another program."""
    policy = tmp_path / "policy.toml"
    measurement = "11" * 48
    policy.write_text(
        "version = 1\ninsecure_accept_simulation = true\n"
        f'[sev-snp]\nmeasurements = ["{measurement}"]\n'
    )
    return policy


@pytest.mark.parametrize("words", [(), ("--json",)], ids=["text", "json"])
def test_its_codes_are_those_of_verify(
    run: Run, enclave: SimulatedEnclave, strict: Path, words: tuple[str, ...]
) -> None:
    for url, policy, code in (
        (enclave.url, ("--policy", strict), 6),
        ("http://127.0.0.1:1", ("--simulation",), 3),
        (enclave.url, (), 2),
    ):
        verified = run("verify", url, *policy, *words)
        shown = run("status", url, *policy, *words)

        assert (verified.exit_code, shown.exit_code) == (code, code)


def test_a_refusal_in_json_says_why(
    run: Run, enclave: SimulatedEnclave, strict: Path
) -> None:
    result = run("status", enclave.url, "--policy", strict, "--json")

    fields = json.loads(result.stdout)
    assert fields["verdict"] == "refused"
    assert fields["error"]["exit_code"] == 6
    assert "version" not in fields
