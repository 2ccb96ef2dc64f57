"""Drawings are told apart through a real server, and every answer says what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.conftest import Served

pytestmark = pytest.mark.slow  # torch is installed, and a network trained


def test_drawings_with_spots_are_told_from_those_without(served: Served) -> None:
    _, *answers = served.ask()

    kinds = [path.stem.rpartition("-")[2] for path in served.example.samples]
    wanted = ["spots drawn" if kind == "spots" else "no spots" for kind in kinds]
    assert len(answers) == 4
    assert all(want in got for want, got in zip(wanted, answers, strict=True))


def test_the_first_line_and_every_answer_say_that_it_is_synthetic(
    served: Served,
) -> None:
    assert all("SYNTHETIC" in line for line in served.ask())
