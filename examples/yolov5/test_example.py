"""Faces are found in a photo's file, through a real server; what is none is refused."""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from examples.common.serving import UnbuiltError
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from examples.conftest import Served

# Looked at: the middles of the four faces in the sample, from the top and the left.
FACES = [(230, 785), (255, 380), (330, 175), (245, 635)]


def boxes(served: Served, path: Path) -> list[tuple[int, ...]]:
    """Top, left, bottom, right of what is found, the surest first."""
    _, *lines = served.ask(path)
    return [tuple(map(int, re.findall(r"\d+", line)[1:])) for line in lines]


def test_each_face_is_in_a_box(served: Served) -> None:
    (photo,) = served.example.samples

    found = boxes(served, photo)

    assert len(found) <= len(FACES) + 1  # one that is none is known, and documented
    for y, x in FACES:
        assert any(t < y < b and left < x < r for t, left, b, r in found)
    assert (photo.parent.parent / "faces-photo.png").is_file()


def test_boxes_are_in_pixels_of_the_photo_that_was_sent(
    served: Served, tmp_path: Path
) -> None:
    (photo,) = served.example.samples
    half = tmp_path / "half.png"
    with Image.open(photo) as image:
        image.resize((image.width // 2, image.height // 2)).save(half)

    small, large = boxes(served, half)[0], boxes(served, photo)[0]

    assert [2 * each for each in small] == pytest.approx(large, abs=8)


def test_a_photo_without_a_face_has_no_boxes(served: Served, tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.new("RGB", (300, 200), "grey").save(grey)

    assert served.ask(grey) == ["grey.png: 0 faces"]


def test_what_is_no_photo_is_refused_in_words_and_the_server_goes_on(
    served: Served, tmp_path: Path
) -> None:
    text = tmp_path / "text.jpg"
    text.write_bytes(b"no photo")
    huge = tmp_path / "huge.png"
    size = b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + size + struct.pack(">I", zlib.crc32(size))
    huge.write_bytes(b"\x89PNG\r\n\x1a\n" + checked)

    with pytest.raises(UnbuiltError, match="expected a JPEG or PNG file"):
        served.ask(text)
    with pytest.raises(UnbuiltError, match="pixels, got more"):
        served.ask(huge)
    assert boxes(served, served.example.samples[0])
