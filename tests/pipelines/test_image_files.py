"""What is no image is refused before a decoder sees it, which could not refuse it."""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.pipelines.running import WITHOUT, Ready, file_of, photograph, ready
from tests.pipelines.test_image import decoder

from blindai.errors import InvalidRequestError
from blindai.pipelines import Pipeline, image_files, jpeg_files

PHOTO = photograph()
JPEG = file_of(PHOTO, "JPEG", subsampling=0)
PNG = file_of(PHOTO)


def png_of(width: int, height: int) -> bytes:
    """As much of a PNG file as says how large it is."""
    return PNG[:16] + struct.pack(">II", width, height) + PNG[24:]


def jpeg_of(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


ANOTHER = "image: expected a JPEG or PNG file, got another"
CUT = "image: expected a whole JPEG file, got one without its end"
LARGE = "image: expected at most 200000 pixels, got more"
COLOURS = "image: expected a JPEG file in colours or grey"
DAMAGED = "image: expected a whole JPEG or PNG file, got a damaged one"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"", ANOTHER),
        (b"\xff", ANOTHER),
        (b"no image, but a text of some length", ANOTHER),
        (b"GIF89a" + bytes(100), ANOTHER),
        (PNG[:8], ANOTHER),
        (PNG[:8] + b"\0\0\0\rIDAT" + PNG[16:], ANOTHER),
        (b"\xff\xd8\xff", CUT),
        (JPEG[: len(JPEG) // 2], CUT),
        (JPEG[:-2], CUT),
        (JPEG[:100], CUT),
        (JPEG[: JPEG.index(b"\xff\xc4") + 30], CUT),
        (JPEG[:2] + b"\xff\xe1\xff\xff" + JPEG[2:], CUT),
        (JPEG[:2] + b"\xff\xe1\0\0" + JPEG[2:], DAMAGED),
        (JPEG[:2] + 3000 * b"\xff\xfe\0\2" + b"\xff\xd9", DAMAGED),
        (JPEG[:2] + b"\xff\xd9" + JPEG[2:], DAMAGED),
        (JPEG[:2] + b"\xff\x01\0\2" + JPEG[2:], DAMAGED),
        (JPEG[:2] + b"\xff\xd0\0\2" + JPEG[2:], DAMAGED),
        (JPEG[:-2] + b"\xff\xfe\xff\xff" + JPEG[-2:], CUT),
        (JPEG[:2] + b"x" + JPEG[2:], ANOTHER),
        (png_of(40_000, 40_000), LARGE),
        (png_of(0xFFFF_FFFF, 0xFFFF_FFFF), LARGE),
        (png_of(200_001, 1), LARGE),
        (jpeg_of(60_000, 60_000), LARGE),
        (png_of(0, 10), "image: expected some pixels, got none"),
        (jpeg_of(10, 0), "image: expected some pixels, got none"),
        (file_of(Image.fromarray(PHOTO).convert("CMYK"), "JPEG"), COLOURS),
        (JPEG.replace(b"\xff\xc0", b"\xff\xc9"), COLOURS),
        (JPEG.replace(b"\xff\xc0", b"\xff\xc3"), COLOURS),
        (JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), COLOURS),
        (PNG[: len(PNG) // 2], DAMAGED),
        (PNG[:100] + bytes(100) + PNG[200:], DAMAGED),
        (PNG[:33], DAMAGED),
    ],
)
def test_what_is_no_image_is_refused(file: bytes, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        decoder()(file=file)


def test_as_many_pixels_as_may_be_are_decoded() -> None:
    file = file_of(np.zeros((400, 500, 3), np.uint8))

    assert decoder()(file=file)[0].shape == (400, 500, 3)


def test_a_jpeg_that_says_it_is_twice_as_high_ends_all_the_same() -> None:
    assert decoder()(file=jpeg_of(90, 240))[0].shape == (240, 90, 3)


def test_what_comes_behind_the_end_does_not_matter() -> None:
    video = np.random.default_rng(1).bytes(200_000)  # as phones append them

    assert decoder()(file=JPEG + video)[0].shape == PHOTO.shape


def test_an_end_stands_wherever_a_segment_can_lead() -> None:
    tail = image_files._TAIL

    assert len(tail) >= image_files._MAX_SEGMENT
    assert set(tail[::2]) == {0xFF}
    assert set(tail[1::2]) == {0xD9}


@cache
def looker() -> Ready:
    """What is looked at alone, without a decoder behind it."""
    pipeline = Pipeline()
    pipeline.give(padded=image_files.require_image(pipeline.file("file"), 20_000))
    return ready(pipeline, WITHOUT)


def accepted_or_refused(file: bytes) -> None:
    try:
        (padded,) = looker()(file=file)
    except InvalidRequestError as refused:
        assert refused.message.startswith("image: expected ")  # noqa: PT017  or not
    else:
        assert len(padded) >= len(file) + image_files._MAX_SEGMENT


@given(st.binary(max_size=200))
def test_any_bytes_are_accepted_or_refused_in_words(data: bytes) -> None:
    for before in (b"", b"\xff\xd8\xff", PNG[:16], JPEG[:20]):
        accepted_or_refused(before + data)


@given(
    st.sampled_from([JPEG, PNG]),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=5),
)
def test_any_change_is_accepted_or_refused_in_words(
    file: bytes, changes: list[tuple[int, int]]
) -> None:
    changed = bytearray(file)
    for at, byte in changes:
        changed[at] = byte
    accepted_or_refused(bytes(changed))


def test_a_file_that_is_no_image_costs_no_time() -> None:
    most = JPEG[:2] + 100_000 * b"\xff\xfe\0\2"

    with pytest.raises(InvalidRequestError, match=DAMAGED):
        looker()(file=most)


def test_a_jpeg_file_of_markers_alone_is_looked_at_within_reason() -> None:
    large = JPEG[:-2] + b"\xff\x01" * (jpeg_files.MAX_BYTES // 2)

    with pytest.raises(InvalidRequestError, match="at most 67108864 bytes of a JPEG"):
        looker()(file=large)
    with pytest.raises(InvalidRequestError, match=DAMAGED):
        looker()(file=large[: jpeg_files.MAX_BYTES // 4])
