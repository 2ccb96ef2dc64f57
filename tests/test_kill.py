"""A killed server loses nothing it acknowledged; `make test-kill` is the long run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.kill.driver import run


@pytest.mark.filterwarnings("ignore::blindai.client.policies.SimulationWarning")
def test_a_killed_server_loses_nothing_and_shows_no_half_model(tmp_path: Path) -> None:
    counts = run(tmp_path, 12)

    assert counts["cut short"] > 0
    assert counts["upload"] > 0
