"""Text recognition for the demo: a line of text as a picture, and back.

The model is PP-OCRv4's recogniser, as the package rapidocr-onnxruntime ships it. It
takes `x: float32, (1, 3, 48, width), -1..1, BGR` and gives, for each step from left to
right, how likely each class is. Connectionist temporal classification (CTC): class 0 is
blank, the last is the space, the others stand in the model's own metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blindai.cli.exits import CommandError
from blindai.cli.extras import needs
from blindai.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

HEIGHT = 48
MAX_WIDTH = 3200
MAX_CHARACTERS = 150
FONT_SIZE = 26
_MARGIN = 16
_PACKAGE = "rapidocr_onnxruntime"
_FILE = "ch_PP-OCRv4_rec_infer.onnx"
_INSTALL_MODEL = "Run: pip install --no-deps rapidocr-onnxruntime==1.4.4"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        text: The line of text.
        confidence: How sure the model is, on average over the characters, 0..1.
    """

    text: str
    confidence: float


def find_model() -> Path:
    """The recogniser's ONNX file; its package is not imported, which needs OpenCV.

    Raises:
        CommandError: If the package is not installed.
    """
    spec = find_spec(_PACKAGE)
    folders = () if spec is None else spec.submodule_search_locations or ()
    for folder in folders:
        path = Path(folder) / "models" / _FILE
        if path.is_file():
            return path
    raise CommandError(
        f"model: expected {_FILE} of the package {_PACKAGE.replace('_', '-')}, which "
        "is not installed",
        _INSTALL_MODEL,
    )


def load_alphabet(model: Path) -> tuple[str, ...]:
    """What each class of the model stands for; blank is empty.

    Raises:
        ConfigurationError: If the model does not say, or onnx is not installed.
    """
    with needs("demo"):
        import onnx  # noqa: PLC0415  not everybody has it
    metadata = onnx.load(model, load_external_data=False).metadata_props
    texts = [each.value for each in metadata if each.key == "character"]
    if not texts:
        raise ConfigurationError(f"model {model}: expected its alphabet, got none")
    return ("", *texts[0].split("\n"), " ")


def draw(text: str) -> Image:
    """A line of text, black on white, 48 pixels high.

    Raises:
        CommandError: If the text is empty or long, or Pillow is not installed.
    """
    if not 1 <= len(text.strip()) <= MAX_CHARACTERS or not text.isprintable():
        raise CommandError(
            f"--text: expected one line of 1 to {MAX_CHARACTERS} characters, "
            f"got {len(text)}",
            "Shorten the text.",
        )
    with needs("demo"):
        from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415  likewise
    font = ImageFont.load_default(size=FONT_SIZE)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("RGB", (int(right - left) + 2 * _MARGIN, HEIGHT), "white")
    position = (_MARGIN - left, (HEIGHT - (bottom - top)) / 2 - top)
    ImageDraw.Draw(image).text(position, text, fill="black", font=font)
    return image


def load_picture(path: Path) -> Image:
    """A picture of one line, resized to 48 pixels high.

    Raises:
        ConfigurationError: If it cannot be read.
        CommandError: If it is too wide, or Pillow is not installed.
    """
    with needs("demo"):
        from PIL import Image  # noqa: PLC0415  likewise
    try:
        with Image.open(path) as file:
            width = max(1, round(file.width * HEIGHT / file.height))
            if width <= MAX_WIDTH:
                return file.convert("RGB").resize((width, HEIGHT))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ConfigurationError(f"--image {path}: cannot be read") from error
    raise CommandError(
        f"--image: expected at most {MAX_WIDTH} pixels at a height of {HEIGHT}, "
        f"got {width}",
        "Cut the picture to one line of text.",
    )


def as_tensor(image: Image) -> NDArray[np.float32]:
    """The picture as the model takes it: float32, (1, 3, 48, width), -1..1, BGR."""
    bgr = np.asarray(image, dtype=np.float32)[:, :, ::-1]
    return np.ascontiguousarray(((bgr / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None])


def decode(likelihoods: NDArray[Any], alphabet: tuple[str, ...]) -> Reading:
    """The text, from one likelihood a class a step, (1, steps, classes).

    Raises:
        ConfigurationError: If the alphabet is not this model's.
    """
    steps, classes = likelihoods.shape[-2:]
    if classes != len(alphabet):
        raise ConfigurationError(
            f"model: expected {len(alphabet)} classes, got {classes}"
        )
    flat = likelihoods.reshape(steps, classes)
    best = flat.argmax(axis=1)
    begins = np.concatenate(([True], best[1:] != best[:-1])) & (best != 0)
    text = "".join(alphabet[each] for each in best[begins])
    confidence = float(flat.max(axis=1)[begins].mean()) if begins.any() else 0.0
    return Reading(text.strip(), confidence)
