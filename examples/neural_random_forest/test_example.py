"""Applications are scored through a real server; what is no application is refused."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from examples.common.serving import UnbuiltError

if TYPE_CHECKING:
    from pathlib import Path

    from examples.conftest import Served


def score(served: Served, path: Path) -> list[int]:
    """Per cent: the forest's, and the network's."""
    numbers = re.findall(r"(\d+)%", "\n".join(served.ask(path)))
    return [int(number) for number in numbers]


def changed(served: Served, folder: Path, **fields: float | str | None) -> Path:
    """The first sample with other fields; without those that are None."""
    application = json.loads(served.example.samples[0].read_text()) | fields
    path = folder / "changed.json"
    kept = {name: value for name, value in application.items() if value is not None}
    path.write_text(json.dumps(kept))
    return path


def test_both_say_how_risky_each_application_is(served: Served) -> None:
    first, second = (score(served, path) for path in served.example.samples)

    assert len(first) == len(second) == 2
    assert max(first) < 40 < min(second)


def test_a_longer_and_larger_credit_is_riskier(served: Served, tmp_path: Path) -> None:
    before = score(served, served.example.samples[0])

    after = score(served, changed(served, tmp_path, duration=60.0, credit_amount=15e3))

    assert all(later > earlier for earlier, later in zip(before, after, strict=True))


def test_a_missing_field_is_named(served: Served, tmp_path: Path) -> None:
    with pytest.raises(UnbuiltError, match="age"):
        served.ask(changed(served, tmp_path, age=None))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("housing", "castle", "housing: expected 'rent' or 'own' or 'for free', got"),
        ("job", "", "job: expected 'unemp/unskilled non res' or "),
        ("duration", float("nan"), "duration: expected a finite number, got another"),
        ("age", float("-inf"), "age: expected a finite number, got another"),
        ("age", "old", "'age': expected numbers"),
    ],
)
def test_what_no_application_has_is_refused_and_named(
    served: Served, tmp_path: Path, field: str, value: float | str, message: str
) -> None:
    with pytest.raises(UnbuiltError, match=message):
        served.ask(changed(served, tmp_path, **{field: value}))

    assert len(score(served, served.example.samples[0])) == 2  # it still serves
