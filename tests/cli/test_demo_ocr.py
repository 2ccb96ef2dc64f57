"""A line of text becomes the tensor that the recogniser takes, and comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from blindai.cli import demo_ocr
from blindai.errors import ConfigurationError

image_module = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
ALPHABET = ("", "a", "b", " ")


def likelihoods(*classes: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.eye(4, dtype=np.float32)[list(classes)][None] * np.float32(0.5)


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ((0, 1, 1, 0, 1, 2), "aab"),
        ((1, 3, 2), "a b"),
        ((3, 1, 0, 3), "a"),
        ((0, 0), ""),
    ],
)
def test_repeats_and_blanks_are_dropped(classes: tuple[int, ...], text: str) -> None:
    assert demo_ocr.decode(likelihoods(*classes), ALPHABET).text == text


def test_confidence_is_the_mean_over_characters() -> None:
    assert demo_ocr.decode(likelihoods(0, 1, 2), ALPHABET).confidence == 0.5
    assert demo_ocr.decode(likelihoods(0), ALPHABET).confidence == 0.0


def test_another_models_alphabet_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected 2 classes, got 4"):
        demo_ocr.decode(likelihoods(0), ("", "a"))


def test_a_picture_is_normalised_bgr_in_planes() -> None:
    red = image_module.new("RGB", (2, 48), (255, 0, 0))

    tensor = demo_ocr.as_tensor(red)

    assert tensor.shape == (1, 3, 48, 2)
    assert tensor.dtype == np.float32
    assert tensor[0, :, 0, 0].tolist() == [-1, -1, 1]


def test_a_drawn_line_is_48_pixels_high() -> None:
    image = demo_ocr.draw("Ibuprofen")

    assert image.height == 48
    assert np.asarray(image).min() < 64  # something dark is on it


def test_a_picture_is_resized_by_its_height(tmp_path: Path) -> None:
    image_module.new("L", (200, 96)).save(tmp_path / "p.png")

    assert demo_ocr.load_picture(tmp_path / "p.png").size == (100, 48)


def test_a_picture_that_is_too_wide_is_refused(tmp_path: Path) -> None:
    image_module.new("L", (4000, 48)).save(tmp_path / "p.png")

    with pytest.raises(ConfigurationError, match="at most 3200 pixels"):
        demo_ocr.load_picture(tmp_path / "p.png")


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_text("no picture")

    with pytest.raises(ConfigurationError, match="cannot be read"):
        demo_ocr.load_picture(tmp_path / "p.png")


@pytest.fixture
def model() -> onnx.ModelProto:
    return helper.make_model(helper.make_graph([], "g", [], []))


def test_the_alphabet_is_the_models_own(model: onnx.ModelProto, tmp_path: Path) -> None:
    helper.set_model_props(model, {"character": "a\nb"})
    onnx.save(model, tmp_path / "m.onnx")

    assert demo_ocr.load_alphabet(tmp_path / "m.onnx") == ALPHABET


def test_a_model_without_alphabet_is_refused(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    onnx.save(model, tmp_path / "m.onnx")

    with pytest.raises(ConfigurationError, match="expected its alphabet"):
        demo_ocr.load_alphabet(tmp_path / "m.onnx")
