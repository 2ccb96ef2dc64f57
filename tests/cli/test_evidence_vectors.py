"""`blindai evidence verify` on genuine evidence of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from tests.cli.genuine import VECTORS, Genuine, identify
from tests.vectors import FOLDER, needs_vectors
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
def test_outside_its_validity_that_alone_refuses_it(
    run: Run, vector: Genuine, at: str
) -> None:
    result = run(*vector.words(at), "--json")

    checks = json.loads(result.stdout)["checks"]
    failed = [each for each in checks if each["status"] == "fail"]
    assert result.exit_code == 5
    assert [each["name"] for each in failed] == [vector.outside[at]]
    first, last = map(datetime.fromisoformat, failed[0]["expected"].split(" to "))
    assert not first <= datetime.fromisoformat(failed[0]["actual"]) <= last


@pytest.mark.parametrize("vector", VECTORS, ids=identify)
def test_only_where_the_chain_is_broken_no_date_is_looked_at(
    run: Run, vector: Genuine
) -> None:
    checks = json.loads(run(*vector.words(), "--json").stdout)["checks"]

    looked_at = [each for each in checks if each["name"].endswith(": validity")]
    broken = [
        each["name"]
        for each in checks
        if each["name"] == "certificate chain" and each["status"] == "fail"
    ]
    assert bool(vector.outside) == bool(looked_at)
    assert bool(vector.outside) != bool(broken)


OUT_OF_DATE = [each for each in VECTORS if "--accept-tcb" in each.options]


@pytest.mark.parametrize("vector", OUT_OF_DATE, ids=identify)
def test_a_machine_out_of_date_has_to_be_accepted_by_name(
    run: Run, vector: Genuine
) -> None:
    result = run(*replace(vector, options=()).words())

    assert result.exit_code == 6
    assert "TCB status: expected UpToDate" in result.stderr
    assert "--accept-tcb" in result.stdout


@pytest.mark.parametrize("vector", VECTORS, ids=identify)
def test_it_is_shown_without_being_believed(run: Run, vector: Genuine) -> None:
    words = ("evidence", "show", FOLDER / vector.file, "--tee", vector.tee)
    chain = [("--endorsements", FOLDER / each) for each in vector.endorsements]

    shown = run(*words, *(word for pair in chain for word in pair))
    fields = json.loads(
        run(*words, *(word for pair in chain for word in pair), "--json").stdout
    )

    assert shown.exit_code == 0
    assert shown.stdout.startswith("Nothing below was verified")
    assert fields["believed"] is False
    assert fields["kind"] == vector.tee
    assert fields["evidence"]


EVENT_LOG = FOLDER / "tdx" / "gotdx_cos113_ccel.bin"


def test_a_quote_without_collateral_says_what_is_missing(run: Run) -> None:
    quote = Genuine("tdx", "tdx/gotdx_cos113_v4_quote.bin")

    result = run(*quote.words(), "--event-log", EVENT_LOG)

    assert result.exit_code == 4
    assert "endorsements: expected Intel's collateral, got none" in result.stderr
