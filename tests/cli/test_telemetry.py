"""`blindai telemetry show`: what would go, to the last byte."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.serving import serving, told
from typer.testing import Result

Run = Callable[..., Result]


def test_it_prints_the_whole_request(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    config.write_text('[telemetry]\nurl = "https://telemetry.example/usage?a=b"\n')

    result = run(
        "telemetry",
        "show",
        "--simulation",
        "--config",
        config,
        env={"DO_NOT_TRACK": "", "BLINDAI_DISABLE_TELEMETRY": ""},
    )

    head, _, body = result.stdout.partition("\n\n")
    assert result.exit_code == 0
    assert head.splitlines()[:2] == [
        "POST /usage?a=b HTTP/1.1",
        "host: telemetry.example",
    ]
    assert f"content-length: {len(body.strip())}" in head
    assert json.loads(body)["mode"] == "simulation"
    assert "to https://telemetry.example/usage?a=b, every 3600 s" in result.stderr


def test_without_an_address_it_says_that_nothing_goes(run: Run) -> None:
    result = run("telemetry", "show", "--simulation")

    assert json.loads(result.stdout)["counts"]["errors"] == 0
    assert "none: the configuration names no address" in result.stderr


def test_without_hardware_it_ends_as_serve_does(run: Run) -> None:
    assert run("telemetry", "show").exit_code == 2


@pytest.mark.parametrize(
    ("environment", "goes"),
    [
        ({}, True),
        ({"DO_NOT_TRACK": "1"}, False),
        ({"BLINDAI_DISABLE_TELEMETRY": "1"}, False),
    ],
    ids=["on", "DO_NOT_TRACK", "BLINDAI_DISABLE_TELEMETRY"],
)
def test_a_variable_turns_it_off_in_a_server(
    tmp_path: Path,
    environment: dict[str, str],
    goes: bool,  # noqa: FBT001  a table
) -> None:
    messages: list[bytes] = []
    config = tmp_path / "server.toml"

    with told(messages) as address:
        config.write_text(f'[telemetry]\nurl = "{address}"\ninterval_s = 1\n')
        with serving("--config", config, environment=environment) as served:
            time.sleep(1.5)
            said = served.facts["telemetry"]

    assert bool(messages) == goes
    assert said.startswith(
        f"to {address}" if goes else f"none: {[*environment, ''][0]}"
    )
