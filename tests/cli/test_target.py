"""Which enclave, policy and key the options and the environment mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import Result

from blindai.cli.target import choose_secret, choose_target, split_words
from blindai.errors import ConfigurationError
from blindai.testing import SimulatedEnclave

Run = Callable[..., Result]
SIMULATION = "version = 1\ninsecure_accept_simulation = true\n"


def test_the_address_may_come_from_the_environment(
    run: Run, enclave: SimulatedEnclave
) -> None:
    result = run("models", "list", "--simulation", env={"BLINDAI_ADDR": enclave.url})

    assert result.exit_code == 0


def test_the_policy_may_come_from_the_environment(
    run: Run, enclave: SimulatedEnclave, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(SIMULATION)

    result = run("models", "list", enclave.url, env={"BLINDAI_POLICY": str(policy)})

    assert result.exit_code == 0


def test_a_simulated_enclave_is_warned_of_each_time(
    run: Run, enclave: SimulatedEnclave
) -> None:
    for _ in range(2):
        result = run("models", "list", enclave.url, "--simulation")
        assert "SIMULATED and protects nothing" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--simulation",), "address: expected a URL or BLINDAI_ADDR, got neither"),
        (("http://127.0.0.1:1",), "policy: expected --policy FILE"),
        (
            ("http://127.0.0.1:1", "--simulation", "--policy", "p"),
            "policy: expected --policy or --simulation, got both",
        ),
        (("http://127.0.0.1:1", "--policy", "none.toml"), "cannot be read"),
        (("ftp://a", "--simulation"), "address: expected http"),
        (("http://[::1", "--simulation"), "address: "),
        (("http://a:b", "--simulation"), "address: "),
        (
            ("http://a", "--simulation", "--api-key-file", "no-such-file"),
            "--api-key-file no-such-file: cannot be read: No such file",
        ),
    ],
)
def test_wrong_options_end_with_2(
    run: Run, words: tuple[str, ...], message: str
) -> None:
    result = run("models", "list", *words)

    assert result.exit_code == 2
    assert message in result.stderr
    assert "next: " in result.stderr


def test_an_api_key_is_in_no_repr() -> None:
    target = choose_target("http://a", simulation=True, api_key="bai_secret")

    assert "bai_secret" not in repr(target)


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("bai_abc\n")

    assert choose_secret("api-key", None, file) == "bai_abc"


def test_a_secret_is_given_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="got both"):
        choose_secret("api-key", "bai_abc", tmp_path)


@pytest.mark.parametrize(
    ("words", "split"),
    [(["m", "f"], ["", "m", "f"]), (["u", "m", "f"], ["u", "m", "f"])],
)
def test_the_url_may_be_left_out(words: list[str], split: list[str]) -> None:
    assert split_words(words, ["MODEL", "INPUT"]) == split


@pytest.mark.parametrize("words", [["m"], ["u", "m", "f", "x"]])
def test_other_numbers_of_arguments_are_refused(words: list[str]) -> None:
    with pytest.raises(typer.BadParameter, match=r"expected \[URL\] MODEL INPUT"):
        split_words(words, ["MODEL", "INPUT"])
