"""`blindai evidence verify` on genuine evidence of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.cli.genuine import VECTORS, Genuine, identify
from tests.vectors import needs_vectors
from typer.testing import Result

pytestmark = needs_vectors

Run = Callable[..., Result]


@pytest.mark.parametrize("vector", VECTORS, ids=identify)
def test_genuine_evidence_ends_as_its_folder_says(run: Run, vector: Genuine) -> None:
    result = run(*vector.words())

    assert result.exit_code == vector.code, result.output


@pytest.mark.parametrize("vector", VECTORS, ids=identify)
def test_json_has_every_check(run: Run, vector: Genuine) -> None:
    result = run(*vector.words(), "--json")

    fields = json.loads(result.stdout)
    assert result.exit_code == vector.code
    assert fields["verdict"] == ("refused" if vector.code else "accepted")
    assert fields["pinned"] is False
    assert vector.code == 5 or fields["expiries"]
    for check in fields["checks"]:
        assert check["name"]
        assert check["source"]
        assert ("next" in check) == (check["status"] == "fail")


@pytest.mark.parametrize(
    ("vector", "at"),
    [(each, at) for each in VECTORS for at in each.outside],
    ids=lambda each: identify(each) if isinstance(each, Genuine) else each,
)
def test_outside_its_validity_it_is_not_authentic(
    run: Run, vector: Genuine, at: str
) -> None:
    result = run(*vector.words(at))

    assert result.exit_code == 5
    assert "validity" in result.stdout
