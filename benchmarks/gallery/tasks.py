"""The ten: what each is, what it is given, and what the original printed of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import models
from benchmarks.gallery import attention, convolutions, small

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

SOUND = 16_000  # a second
WORD = 8000  # a second
TOKENS = 64
SENTENCE = 32
WORDS = 8
FEATURES = 24  # of German credit, as numbers


@dataclass(frozen=True, slots=True)
class Task:
    """A model and its input.

    Attributes:
        title: What the tables call it.
        weights: How many it has, batch normalisation folded in.
        given: Its input, in words.
        content: Makes the ONNX file.
        array: Makes the input.
        printed_ms: What the original BlindAI printed for it, in milliseconds.
    """

    title: str
    weights: int
    given: str
    content: Callable[[], bytes]
    array: Callable[[], Array]
    printed_ms: float | None = None


def _noise(*shape: int) -> Callable[[], Array]:
    return lambda: np.random.default_rng(0).random(shape, np.float32)


def _ids(most: int, *shape: int) -> Callable[[], Array]:
    return lambda: np.random.default_rng(0).integers(1, most, shape)


TASKS = {
    "gpt2": Task(
        "GPT-2",
        124_439_808,
        f"{TOKENS} tokens, to the scores of the next",
        lambda: attention.gpt2(TOKENS),
        _ids(attention.GPT2_VOCABULARY, 1, TOKENS),
    ),
    "resnet18": Task(
        "ResNet18",
        11_684_712,
        "an image, 224 x 224",
        models.resnet18,
        _noise(*models.IMAGE),
    ),
    "distilbert": Task(
        "DistilBERT",
        66_955_010,
        f"{SENTENCE} tokens",
        lambda: attention.distilbert(SENTENCE),
        _ids(30522, 1, SENTENCE),
        28.435,
    ),
    "covidnet": Task(
        "COVID-Net-CXR-2",
        8_821_954,
        "an X-ray, 480 x 480",
        convolutions.covidnet,
        _noise(*convolutions.CHEST),
    ),
    "wav2vec2": Task(
        "Wav2vec2",
        94_395_424,
        "a second of sound at 16 kHz",
        lambda: attention.wav2vec2(SOUND),
        _noise(1, SOUND),
        617.04,
    ),
    "facenet": Task(
        "FaceNet",
        23_467_824,
        "a face, 160 x 160",
        convolutions.facenet,
        _noise(*convolutions.FACE),
        47.135,
    ),
    "yolov5": Task(
        "YOLOv5s",
        7_225_885,
        "a scene, 640 x 640",
        convolutions.yolov5,
        _noise(*convolutions.SCENE),
    ),
    "word2vec": Task(
        "Word2Vec",
        small.WORDS * 300,
        f"{WORDS} words",
        lambda: small.word2vec(WORDS),
        _ids(small.WORDS, WORDS),
    ),
    "neural_random_forest": Task(
        "Neural Random Forest",
        2_523_552,
        f"{FEATURES} numbers",
        lambda: small.neural_random_forest(FEATURES),
        _noise(1, FEATURES),
    ),
    "m5": Task(
        "M5",
        569_891,
        "a second of sound at 8 kHz",
        lambda: convolutions.m5(WORD),
        _noise(1, 1, WORD),
    ),
}
