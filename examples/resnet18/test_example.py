"""Breeds are named from a photo's file, through a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.conftest import Served

pytestmark = pytest.mark.slow  # 200 MB of packages, and Keras on torch


def test_a_husky_is_called_one(served: Served) -> None:
    dog = next(path for path in served.example.samples if path.stem == "dog")

    name, best, *others = served.ask(dog)

    assert name == "dog.jpg"
    assert best.endswith("Siberian husky")
    assert len(others) == 2


def test_chances_go_down_from_the_likeliest(served: Served) -> None:
    for photo in served.example.samples:
        chances = [float(line.split("%")[0]) for line in served.ask(photo)[1:]]

        assert chances == sorted(chances, reverse=True)
        assert sum(chances) <= 100.2
