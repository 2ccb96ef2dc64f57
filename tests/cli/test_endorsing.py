"""Where `blindai serve` gets endorsements from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from blindai.cli.endorsing import AMD_ADDRESS, INTEL_ADDRESS, Mode, choose_endorsing
from blindai.endorsements.sources import Addresses
from blindai.errors import ConfigurationError

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("mode", "cache", "data_dir", "kept", "required"),
    [
        (Mode.FETCH, None, None, None, False),
        (Mode.REQUIRE, None, Path("/data"), Path("/data/endorsements"), True),
        (Mode.FETCH, Path("/cache"), Path("/data"), Path("/cache"), False),
    ],
)
def test_serve_fetches_as_its_options_say(
    mode: Mode,
    cache: Path | None,
    data_dir: Path | None,
    kept: Path | None,
    *,
    required: bool,
) -> None:
    chosen = choose_endorsing(mode, AMD_ADDRESS, INTEL_ADDRESS, cache, data_dir)

    assert chosen is not None
    assert chosen.addresses == Addresses()
    assert (chosen.cache, chosen.required) == (kept, required)


def test_serve_fetches_nothing_where_it_is_off() -> None:
    assert choose_endorsing(Mode.OFF, AMD_ADDRESS, INTEL_ADDRESS, None, None) is None


def test_serve_refuses_an_address_even_where_it_is_off() -> None:
    with pytest.raises(ConfigurationError, match="expected https"):
        choose_endorsing(Mode.OFF, "http://kds.test", INTEL_ADDRESS, None, None)


@pytest.mark.parametrize("option", ["amd", "intel"])
def test_serve_ends_with_2_for_such_an_address(run: Run, option: str) -> None:
    words = (f"--endorsements-url-{option}", "http://kds.test")

    result = run("serve", "--simulation", "--port", "0", *words)

    assert result.exit_code == 2
    assert f"endorsements address ({option})" in result.stderr
