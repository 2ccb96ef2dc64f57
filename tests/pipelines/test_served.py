"""Pipelines in a real server's sandboxed workers, and what bad input gets there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import groupby

import numpy as np
import onnx
import pytest
from tests.pipelines.running import file_of, photograph
from tests.pipelines.test_audio import NOISE, WAV, wav
from tests.pipelines.test_image_files import JPEG, png_of
from tests.pipelines.vocabularies import berts

import blindai
from blindai.errors import (
    InvalidRequestError,
    ModelRefusedError,
)
from blindai.pipelines import Pipeline, audio, image, labels, sequences, spectrum, text
from blindai.server.settings import InferenceSettings, Settings
from blindai.testing import SimulatedEnclave

MEMORY = 400 << 20
ON = Settings(inference=InferenceSettings(extensions=True, memory_bytes=MEMORY))
PHOTO = photograph(300, 400)
NAMES = ("red", "green", "blue")
SOON_S = 10.0


def colours() -> onnx.ModelProto:
    """Which colour an image has most of."""
    pipeline = Pipeline()
    pixels = image.resize(image.decode(pipeline.file("file")), (16, 16))
    numbers = image.normalise(pixels)
    scores = numbers.graph.op("ReduceMean", numbers, [2, 3], keepdims=0)
    best = labels.top(labels.softmax(scores), NAMES, 3)
    pipeline.give(label=best.labels, score=best.scores)
    return pipeline.model()


def loudness() -> onnx.ModelProto:
    """The mel bands of a sound."""
    pipeline = Pipeline()
    sound = audio.read_wav(pipeline.file("file"), max_seconds=10)
    samples = audio.resample(sound, 16_000)
    pipeline.give(bands=spectrum.log_mel(samples, spectrum.Mel()))
    return pipeline.model()


def echo() -> onnx.ModelProto:
    """The tokens of texts, and what they say again."""
    pipeline = Pipeline()
    words = berts("uncased")[1]
    tokens = text.word_pieces(pipeline.text("texts"), words)
    graph = tokens.ids.graph
    table = np.eye(len(words.tokens), dtype=np.float32)
    scores = graph.op("Gather", table, tokens.ids)
    said = sequences.ctc(scores, [f"{token} " for token in words.tokens])
    pipeline.give(ids=tokens.ids, said=said)
    return pipeline.model()


MODELS = {"colours": colours, "loudness": loudness, "echo": echo}


@pytest.fixture(scope="module")
def client() -> Iterator[blindai.Connection]:
    with SimulatedEnclave(ON) as enclave, enclave.connect() as connection:
        for name, made in MODELS.items():
            connection.upload_model(made().SerializeToString(), name)
        yield connection


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 95})])
@pytest.mark.parametrize("colour", [0, 1, 2])
def test_an_image_becomes_labels(
    client: blindai.Connection, kind: str, options: dict[str, object], colour: int
) -> None:
    pixels = PHOTO // 4
    pixels[..., colour] += 150

    answer = client.predict("colours", file_of(pixels, kind, **options))

    assert answer.outputs["label"].as_texts()[0] == NAMES[colour]
    assert answer.outputs["score"].shape == (1, 3)


def test_a_sound_becomes_bands(client: blindai.Connection) -> None:
    answer = client.predict("loudness", wav(NOISE, "PCM_24", rate=44_100))

    assert answer.output[0].shape == (1, 80, 3)


def test_texts_become_tokens_and_texts(client: blindai.Connection) -> None:
    answer = client.predict("echo", ["Hello world!", "It's don't"])

    theirs = berts("uncased")[0].encode_batch(["Hello world!", "It's don't"])
    assert answer.outputs["ids"].as_numpy().tolist() == [each.ids for each in theirs]
    tokens = berts("uncased")[1].tokens
    assert answer.outputs["said"].as_texts() == [
        "".join(f"{tokens[each]} " for each, _ in groupby(row.ids) if each)
        for row in theirs
    ]


BOMB = png_of(40_000, 40_000)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        ("colours", b"not an image", "image: expected a JPEG or PNG file, got another"),
        ("colours", b"", "image: expected a JPEG or PNG file, got another"),
        ("colours", BOMB, "image: expected at most 25000000 pixels, got more"),
        ("colours", BOMB + bytes(5 << 20), "image: expected at most 25000000 pixels"),
        ("colours", JPEG[:-2], "image: expected a whole JPEG file, got one without"),
        ("colours", JPEG[:900], "image: expected a whole JPEG file, got one without"),
        ("colours", png_of(40, 40), "image: expected a whole JPEG or PNG file, got"),
        ("loudness", b"no sound", "sound: expected a WAV file, got another"),
        ("loudness", WAV[:-1], "sound: expected as much data as the WAV file says"),
        ("loudness", wav(np.zeros((11 * 8000, 1)), rate=8000), "expected at most 10 s"),
        ("loudness", wav(NOISE[:50, :1], rate=16_000), "more than 200 samples"),
        ("echo", "word " * 200_000, "text: expected at most 100000 characters"),
        ("echo", "w" * 1_000_000, "text: expected at most 100000 characters"),
        ("echo", ["a"] * 65, "text: expected at most 64 texts, got more"),
        ("echo", "a\0b", "text: expected no NUL character, got one"),
    ],
)
def test_bad_input_is_refused_soon_and_in_words(
    client: blindai.Connection, model: str, given: object, message: str
) -> None:
    began = time.monotonic()
    with pytest.raises(InvalidRequestError, match=message):
        client.predict(model, given)
    assert time.monotonic() - began < SOON_S


def test_as_much_as_may_be_fits_into_the_memory(client: blindai.Connection) -> None:
    large = file_of(np.zeros((5000, 5000, 3), np.uint8))
    began = time.monotonic()

    assert client.predict("colours", large).outputs["score"].shape == (1, 3)
    assert client.predict("echo", "word " * 20_000).outputs["ids"].shape == (1, 512)
    assert client.predict("echo", "w" * 100_000).outputs["ids"].shape == (1, 3)
    assert client.predict("echo", ["é" * 1500] * 64).outputs["ids"].shape == (64, 3)
    sound = wav(np.zeros((441_000, 2)), rate=44_100)
    assert client.predict("loudness", sound).output[0].shape == (1, 80, 1001)
    assert time.monotonic() - began < 3 * SOON_S


DAMAGED = JPEG[: JPEG.index(b"\xff\xc4") + 5] + 16 * b"\xff" + JPEG[-800:]


def test_a_damaged_jpeg_is_refused_by_the_worker_that_goes_on(
    client: blindai.Connection,
) -> None:
    for _ in range(6):  # of a model whose worker dies five times, the server tires
        with pytest.raises(InvalidRequestError, match="image: expected a whole JPEG"):
            client.predict("colours", DAMAGED)

    assert client.predict("colours", file_of(PHOTO)).output[0].shape == (1, 3)


def test_without_extensions_such_a_model_is_refused_and_sound_is_not() -> None:
    with SimulatedEnclave(Settings()) as enclave, enclave.connect() as connection:
        with pytest.raises(
            ModelRefusedError,
            match=r"\(DecodeImage\): expected extensions = true in the measured",
        ):
            connection.upload_model(colours().SerializeToString(), "colours")
        connection.upload_model(loudness().SerializeToString(), "loudness")
        assert connection.predict("loudness", WAV).output[0].shape[1] == 80
