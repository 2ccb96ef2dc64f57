"""Two photos' faces are compared through a real server; without a face it says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from examples.common.serving import UnbuiltError
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from examples.conftest import Served


def compare(served: Served, first: Path, second: Path) -> tuple[bool, float]:
    """Whether they are called the same, and how far apart they are."""
    (line,) = served.ask(first, second)
    return "the same face" in line, float(re.findall(r"[\d.]+$", line)[0])


def test_a_face_and_its_mirror_image_are_the_same(served: Served) -> None:
    face, mirrored, _ = served.example.samples

    same, distance = compare(served, face, mirrored)

    assert same
    assert distance > 0.05  # it is another picture


def test_two_people_are_different(served: Served) -> None:
    face, _, other = served.example.samples

    assert not compare(served, face, other)[0]


def test_a_photo_is_at_no_distance_from_itself(served: Served) -> None:
    face = served.example.samples[0]

    assert compare(served, face, face) == (True, 0.0)


def test_a_photo_without_a_face_is_refused_in_words(
    served: Served, tmp_path: Path
) -> None:
    grey = tmp_path / "grey.png"
    Image.new("RGB", (300, 200), "grey").save(grey)

    with pytest.raises(UnbuiltError, match="expected a face, got none"):
        served.ask(served.example.samples[0], grey)


def test_one_photo_alone_is_refused_in_words(served: Served) -> None:
    with pytest.raises(UnbuiltError, match="expected two photos or more, got one"):
        served.ask(served.example.samples[0])
