"""`blindai serve --check`: says what would run, starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import Result

from blindai.cli import serve_check
from blindai.cli.exits import CommandError
from blindai.cli.serve_plan import Plan, parse_address
from blindai.errors import ConfigurationError
from blindai.server.settings import Settings

Run = Callable[..., Result]
TELLING = '[telemetry]\nurl = "https://telemetry.example/"\n'
KEYS = f'[[api_keys]]\nname = "ward-7"\nsha256 = "{"0" * 64}"\nscopes = ["infer"]\n'
OFF = {"BLINDAI_DISABLE_TELEMETRY": "", "DO_NOT_TRACK": ""}


BATCHING = '[[batching]]\nmodel = "rows"\nmax_batch_size = 8\n'
PRELOAD = (
    f'[[preload]]\nname = "first"\ndigest = "{sha256(b"a model").hexdigest()}"\n'
    'path = "{}"\n'
)


def test_it_says_what_would_run(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    config.write_text(TELLING + KEYS)
    words = ("--config", config, "--metrics", "[::1]:9924", "--drain", "7")

    result = run("serve", "--check", "--simulation", *words, env=OFF)

    assert result.exit_code == 0
    assert "TEE            simulated-sev-snp-report\n" in result.stdout
    assert Settings.parse(TELLING + KEYS).digest.hex() in result.stdout
    assert "models.max_count = 64\n" in result.stdout
    assert "api_keys = ward-7\n" in result.stdout
    assert "models         end with the server" in result.stdout
    assert "listen on      http://127.0.0.1:9923\n" in result.stdout
    assert "metrics on     http://[::1]:9924\n" in result.stdout
    assert "log            text\n" in result.stdout
    assert "drain          7 s\n" in result.stdout
    assert "telemetry      to https://telemetry.example/, every 3600 s" in result.stdout
    assert result.stdout.endswith("nothing was started\n")


def test_it_says_each_setting(run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"a model")
    config = tmp_path / "server.toml"
    config.write_text(KEYS + BATCHING + PRELOAD.format(tmp_path / "m.onnx"))

    result = run("serve", "--check", "--simulation", "--config", config)

    assert result.exit_code == 0
    said = {line.strip() for line in result.stdout.splitlines()}
    assert {
        "batching = rows",
        "batching.rows.max_batch_size = 8",
        "batching.rows.across_tenants = False",
        "preload = first",
        f"preload.first.path = {tmp_path}/m.onnx",
        f"preload        first: {tmp_path}/m.onnx has its digest",
        "api_keys = ward-7",
        "api_keys.ward-7.weight = 1.0",
    } <= said
    assert "0" * 64 not in result.stdout


def test_without_entries_it_says_that_there_are_none(run: Run) -> None:
    result = run("serve", "--check", "--simulation")

    said = {line.strip() for line in result.stdout.splitlines()}
    assert {
        "batching = none",
        "preload = none",
        "api_keys = none: anybody may upload",
    } <= said


def test_a_model_that_would_stop_the_start_is_an_error(
    run: Run, tmp_path: Path
) -> None:
    config, file = tmp_path / "server.toml", tmp_path / "m.onnx"
    config.write_text(PRELOAD.format(file))

    missing = run("serve", "--check", "--simulation", "--config", config)
    file.write_bytes(b"another model")
    other = run("serve", "--check", "--simulation", "--config", config)

    assert (missing.exit_code, other.exit_code) == (2, 2)
    assert f"preload {file}: cannot be read" in missing.stderr
    assert f"preload {file}: expected SHA-256 " in other.stderr


@pytest.mark.parametrize("name", ["BLINDAI_DISABLE_TELEMETRY", "DO_NOT_TRACK"])
def test_a_variable_turns_telemetry_off(run: Run, tmp_path: Path, name: str) -> None:
    config = tmp_path / "server.toml"
    config.write_text(TELLING)

    result = run(
        "serve", "--check", "--simulation", "--config", config, env={**OFF, name: "1"}
    )

    assert f"telemetry      none: {name} turns it off\n" in result.stdout


def test_it_makes_no_folder_and_no_key(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "a" / "b"

    result = run("serve", "--check", "--simulation", "--data-dir", data)

    assert "data folder    not there yet; it would be made" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "words"), [(0o700, "mode 700\n"), (0o755, "mode 755: OTHERS MAY LOOK IN")]
)
def test_it_says_who_may_look_into_the_folder(
    run: Run, tmp_path: Path, mode: int, words: str
) -> None:
    tmp_path.chmod(mode)

    result = run("serve", "--check", "--simulation", "--data-dir", tmp_path)

    assert f"data folder    {words}" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_used_is_an_error(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_allowed = SimpleNamespace(access=lambda *_: False, R_OK=4, W_OK=2, X_OK=1)
    monkeypatch.setattr(serve_check, "os", nothing_allowed)

    there = run("serve", "--check", "--simulation", "--data-dir", tmp_path)
    new = run("serve", "--check", "--simulation", "--data-dir", tmp_path / "a")

    assert (there.exit_code, new.exit_code) == (2, 2)
    assert f"--data-dir {tmp_path}: cannot be used" in there.stderr
    assert f"--data-dir {tmp_path / 'a'}: cannot be made" in new.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data-dir", "/dev/null"), "--data-dir /dev/null: cannot be used"),
        (("--config", "none.toml"), "configuration none.toml: cannot be read"),
        (("--tls-cert", "no.pem", "--tls-key", "no.pem"), "outer TLS: expected a"),
        (("--metrics", "9924"), "--metrics: expected HOST:PORT, got '9924'"),
    ],
)
def test_what_could_not_be_served_ends_with_2(
    run: Run, words: tuple[str, ...], message: str
) -> None:
    result = run("serve", "--check", "--simulation", *words)

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_variable_nobody_knows_ends_with_2(run: Run) -> None:
    result = run("serve", "--check", "--simulation", env={"BLINDAI_NEW": "1"})

    assert result.exit_code == 2
    assert "BLINDAI_NEW" in result.stderr


def test_a_variable_that_has_figures_written_to_files_ends_with_2(run: Run) -> None:
    env = {"prometheus_multiproc_dir": "figures"}

    result = run("serve", "--check", "--simulation", env=env)

    assert result.exit_code == 2
    assert "got prometheus_multiproc_dir" in result.stderr


def test_without_hardware_it_ends_as_the_start_would(run: Run) -> None:
    assert run("serve", "--check").exit_code == run("serve").exit_code == 2


def test_another_look_can_refuse(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Plan) -> serve_check.Facts:
        raise ConfigurationError("sandbox: expected one")
        yield

    monkeypatch.setattr(serve_check, "LOOKS", (*serve_check.LOOKS, refuse))

    result = run("serve", "--check", "--simulation")

    assert result.exit_code == 2
    assert "sandbox: expected one" in result.stderr


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9924", ("127.0.0.1", 9924)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_an_address_is_read(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text, "--metrics") == address


@pytest.mark.parametrize(
    "text", ["", "9924", ":9924", "::1:9924", "host:", "host:-1", "host:65536", "h:1x"]
)
def test_another_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="--metrics: expected HOST:PORT"):
        parse_address(text, "--metrics")
