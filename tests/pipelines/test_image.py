"""Images, held against Pillow. Tolerances are in steps of 255."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from PIL import Image
from tests.pipelines.running import (
    WITHOUT,
    Array,
    Ready,
    file_of,
    opened,
    photograph,
    ready,
)

from blindai.errors import ConfigurationError, InvalidRequestError
from blindai.pipelines import Pipeline, image

PHOTO = photograph()
PICTURE = Image.fromarray(PHOTO)


@cache
def decoder() -> Ready:
    pipeline = Pipeline()
    pipeline.give(pixels=image.decode(pipeline.file("file"), max_pixels=200_000))
    return ready(pipeline)


def far(ours: Array, theirs: Array) -> tuple[int, float]:
    """How far they are from one another: at most, and in the mean."""
    assert ours.shape == theirs.shape
    apart = np.abs(ours.astype(int) - theirs)
    return int(apart.max()), float(apart.mean())


@pytest.mark.parametrize(
    "picture",
    [
        PICTURE,
        PICTURE.convert("L"),
        PICTURE.convert("LA"),
        PICTURE.convert("RGBA"),
        PICTURE.convert("1"),
        PICTURE.quantize(16),
        Image.fromarray(np.full((5, 7, 4), (1, 2, 3, 0), np.uint8)),
    ],
    ids=["RGB", "grey", "grey, alpha", "RGBA", "1 bit", "palette", "transparent"],
)
def test_a_png_is_what_pillow_sees(picture: Image.Image) -> None:
    file = file_of(picture)

    assert far(decoder()(file=file)[0], opened(file)) == (0, 0)


def test_a_png_of_16_bits_loses_the_lower_8() -> None:
    grey = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)

    (pixels,) = decoder()(file=file_of(grey))

    assert np.array_equal(pixels, np.stack([grey >> 8] * 3, axis=2))


@pytest.mark.parametrize("kind", ["baseline", "progressive"])
@pytest.mark.parametrize("quality", [50, 95])
def test_a_jpeg_is_what_pillow_sees(quality: int, kind: str) -> None:
    progressive = kind == "progressive"
    file = file_of(
        PHOTO, "JPEG", quality=quality, subsampling=0, progressive=progressive
    )

    most, mean = far(decoder()(file=file)[0], opened(file))

    assert most <= 1
    assert mean < 0.01


@pytest.mark.parametrize("subsampling", [1, 2])
def test_where_a_jpeg_has_fewer_colours_than_pixels_they_are_filled_in_otherwise(
    subsampling: int,
) -> None:
    file = file_of(PHOTO, "JPEG", subsampling=subsampling)

    most, mean = far(decoder()(file=file)[0], opened(file))

    assert most <= 48
    assert mean < 3


@pytest.mark.parametrize("width", [90, 89, 88, 1])
@pytest.mark.parametrize("height", [120, 1])
def test_a_grey_jpeg_has_three_channels(height: int, width: int) -> None:
    file = file_of(PICTURE.convert("L").resize((width, height)), "JPEG")

    assert far(decoder()(file=file)[0], opened(file))[0] <= 1


def test_a_jpeg_with_a_thumbnail_comments_and_more_behind_it_is_read() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned, which is left as it is
    file = file_of(PHOTO, "JPEG", exif=exif, comment=b"x" * 60000, subsampling=0)
    file = file[:2] + b"\xff\xff\xff" + file[2:] + b"and more"

    assert far(decoder()(file=file)[0], PHOTO)[0] <= 40


@pytest.mark.parametrize("how", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(60, 45), (33, 71), (120, 90), (7, 5), (200, 180)])
def test_it_is_scaled_as_pillow_scales(size: tuple[int, int], how: str) -> None:
    pipeline = Pipeline()
    pixels = pipeline.input("pixels", "UINT8", [None, None, 3])
    pipeline.give(scaled=image.resize(pixels, size, how))
    theirs = PICTURE.resize(size[::-1], Image.Resampling[how.upper()])

    (ours,) = ready(pipeline, WITHOUT)(pixels=PHOTO)

    most, mean = far(ours, np.asarray(theirs))
    assert most <= 2
    assert mean < 0.2


@pytest.mark.parametrize("size", [(120, 90), (90, 121), (64, 64)])
def test_it_is_scaled_by_its_shorter_side_and_cut(size: tuple[int, int]) -> None:
    pipeline = Pipeline()
    pixels = pipeline.input("pixels", "UINT8", [None, None, 3])
    shorter = image.resize_shorter(pixels, 40)
    pipeline.give(whole=shorter, middle=image.crop_centre(shorter, (33, 32)))
    photo = photograph(*size)
    height, width = (40 * side // min(size) for side in size)
    top, left = round((height - 33) / 2), round((width - 32) / 2)
    whole = Image.fromarray(photo).resize((width, height), Image.Resampling.BILINEAR)

    ours, middle = ready(pipeline, WITHOUT)(pixels=photo)

    assert far(ours, np.asarray(whole))[0] <= 2
    assert np.array_equal(middle, ours[top : top + 33, left : left + 32])


@pytest.mark.parametrize("size", [(2001, 1), (1, 2001)])
def test_an_image_that_would_grow_without_end_is_refused(size: tuple[int, int]) -> None:
    pipeline = Pipeline()
    pixels = pipeline.input("pixels", "UINT8", [None, None, 3])
    shorter = image.resize_shorter(pixels, 10, max_pixels=200_000)
    pipeline.give(size=shorter.graph.op("Shape", shorter))
    run = ready(pipeline, WITHOUT)

    with pytest.raises(
        InvalidRequestError,
        match="at most 200000 pixels where its shorter side has 10, got more",
    ):
        run(pixels=np.zeros((*size, 3)))
    assert sorted(run(pixels=np.zeros((2000, 1, 3)))[0]) == [3, 10, 20_000]


def test_less_than_is_to_be_cut_out_is_refused() -> None:
    pipeline = Pipeline()
    pixels = pipeline.input("pixels", "UINT8", [None, None, 3])
    pipeline.give(middle=image.crop_centre(pixels, (121, 10)))

    with pytest.raises(InvalidRequestError, match="expected 121 x 10 pixels, got"):
        ready(pipeline, WITHOUT)(pixels=PHOTO)


@pytest.mark.parametrize("where", ["middle", "corner"])
def test_it_is_fitted_into_a_frame(where: str) -> None:
    centred = where == "middle"
    pipeline = Pipeline()
    pixels = pipeline.input("pixels", "UINT8", [None, None, 3])
    fitted = image.letterbox(pixels, (64, 64), centred=centred)
    pipeline.give(
        frame=fitted.pixels, scale=fitted.scale, top=fitted.top, left=fitted.left
    )
    left = 8 if centred else 0
    inner = PICTURE.resize((48, 64), Image.Resampling.BILINEAR)
    theirs = np.full((64, 64, 3), 114, np.uint8)
    theirs[:, left : left + 48] = np.asarray(inner)

    frame, *found = ready(pipeline, WITHOUT)(pixels=PHOTO)

    assert far(frame, theirs)[0] <= 2
    assert [float(each) for each in found] == pytest.approx([64 / 120, 0, left])


def test_it_becomes_numbers() -> None:
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pipeline = Pipeline()
    pixels = pipeline.input("pixels", "UINT8", [None, None, 3])
    pipeline.give(
        torch=image.normalise(pixels, mean.tolist(), std.tolist()),
        caffe=image.normalise(
            pixels, (123, 117, 104), scale=1, blue_first=True, channels_first=False
        ),
    )
    theirs = ((PHOTO / 255 - mean) / std).transpose(2, 0, 1)[None]

    torch, caffe = ready(pipeline, WITHOUT)(pixels=PHOTO)

    assert torch.dtype == np.float32
    assert np.abs(torch - theirs).max() < 1e-5
    assert np.abs(caffe[0] - (PHOTO - [123.0, 117, 104])[..., ::-1]).max() < 1e-4


def test_there_is_no_other_way_to_scale() -> None:
    pixels = Pipeline().input("pixels", "UINT8", [None, None, 3])
    with pytest.raises(ConfigurationError, match="bilinear or bicubic, got nearest"):
        image.resize(pixels, (1, 1), "nearest")
