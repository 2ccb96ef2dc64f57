"""Models from the command line: list, upload, delete, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import Result

from blindai.cli import console
from blindai.client.connection import Connection
from blindai.client.results import ModelInfo, UploadResponse
from blindai.server.auth import digest, generate_key
from blindai.server.settings import ApiKey, Settings
from blindai.testing import SimulatedEnclave

Run = Callable[..., Result]


def test_no_models_is_said(run: Run) -> None:
    with SimulatedEnclave() as empty:
        result = run("models", "list", empty.url, "--simulation")

    assert result.stdout == "no models\n"


def test_a_model_is_listed_with_what_it_takes(
    run: Run, served: str, double: Path
) -> None:
    printed = run("models", "list", served, "--simulation").stdout

    assert "double\n" in printed
    assert "inputs       x: FP32, any x 4" in printed
    assert hashlib.sha256(double.read_bytes()).hexdigest() in printed


def test_a_listed_models_json_is_v2s(run: Run, served: str) -> None:
    (model,) = json.loads(
        run("models", "list", served, "--simulation", "--json").stdout
    )

    kept = {"version", "saved", "unavailable"}
    assert model.keys() == {"name", "digest", "size_bytes", "inputs", "outputs"} | kept
    assert model["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]


def test_an_upload_prints_digest_and_owner_token_and_can_be_deleted(
    run: Run, enclave: SimulatedEnclave, double: Path, tmp_path: Path
) -> None:
    words = ("models", "upload", enclave.url, double, "--name", "mine", "--simulation")
    printed = run(*words).stdout
    token = printed.partition("owner token")[2].split()[0]
    file = tmp_path / "token"
    file.write_text(token)

    deleted = run(
        *("models", "delete", enclave.url, "mine", "--simulation"),
        *("--owner-token-file", file),
    )

    assert hashlib.sha256(double.read_bytes()).hexdigest() in printed
    assert "Keep it" in printed
    assert deleted.stdout == "deleted mine\n"


def test_an_owner_token_cannot_command_the_terminal(
    run: Run, served: str, double: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded = UploadResponse(ModelInfo("double", "", 1, (), ()), "token\x1b[31m")
    monkeypatch.setattr(Connection, "upload_model", lambda *_, **__: uploaded)

    result = run("models", "upload", served, double, "--simulation")

    assert "owner token  token\\x1b[31m\n" in result.stdout


def test_json_of_upload_and_delete(
    run: Run, enclave: SimulatedEnclave, double: Path
) -> None:
    words = (enclave.url, "--simulation", "--json")
    uploaded = json.loads(run("models", "upload", words[0], double, *words[1:]).stdout)
    token = ("--owner-token", uploaded["owner_token"])
    deleted = run("models", "delete", words[0], "double", *words[1:], *token)

    assert uploaded["name"] == "double"
    assert json.loads(deleted.stdout) == {
        "name": "double",
        "version": None,
        "deleted": True,
    }


def test_anothers_model_is_not_deleted(run: Run, served: str) -> None:
    result = run("models", "delete", served, "double", "--simulation")

    assert result.exit_code == 8
    assert "error: " in result.stderr


def test_a_missing_file_ends_with_2(run: Run, enclave: SimulatedEnclave) -> None:
    result = run("models", "upload", enclave.url, "none.onnx", "--simulation")

    assert result.exit_code == 2


def test_progress_is_shown_on_a_terminal_only(
    run: Run, enclave: SimulatedEnclave, double: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    words = ("models", "upload", enclave.url, double, "--name", "bar", "--simulation")
    plain = run(*words, "--json")
    token = json.loads(plain.stdout)["owner_token"]
    delete = ("models", "delete", enclave.url, "bar", "--simulation")
    run(*delete, "--owner-token", token)
    screen = Console(file=terminal, force_terminal=True)
    monkeypatch.setattr(console, "err", lambda: screen)

    shown = run(*words, "--json")
    run(*delete, "--owner-token", json.loads(shown.stdout)["owner_token"])

    assert "sealing and sending" not in plain.stderr
    assert "sealing and sending" in terminal.getvalue()


@pytest.fixture(scope="module")
def key() -> str:
    return generate_key()


@pytest.fixture(scope="module")
def keyed_settings(key: str) -> Settings:
    known = ApiKey(name="reader", sha256=digest(key), scopes=("infer",))
    return Settings(api_keys=(known,))


def test_a_key_is_taken_from_option_file_or_environment(
    run: Run, keyed_settings: Settings, key: str, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(key + "\n")

    with SimulatedEnclave(keyed_settings) as keyed:
        words = ("models", "list", keyed.url, "--simulation")
        results = [
            run(*words, "--api-key", key),
            run(*words, "--api-key-file", file),
            run(*words, env={"BLINDAI_API_KEY": key}),
        ]

    assert [each.exit_code for each in results] == [0, 0, 0]


@pytest.mark.parametrize("verb", ["upload", "list"])
def test_a_key_that_is_refused_is_not_shown(
    run: Run, keyed_settings: Settings, key: str, double: Path, verb: str
) -> None:
    shown = {"upload": (double, "--api-key", key), "list": ("--api-key", "bai_wrong")}

    with SimulatedEnclave(keyed_settings) as keyed:
        result = run("models", verb, keyed.url, *shown[verb], "--simulation")

    assert result.exit_code == 8
    assert "bai_" not in result.stdout + result.stderr
