"""Numbers to text, held against `tokenizers` and the rule of CTC."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from tests.pipelines.running import Ready, ready
from tests.pipelines.test_text import vocabulary
from tests.pipelines.vocabularies import TEXTS, gpts

from blindai.errors import ConfigurationError, InvalidRequestError
from blindai.pipelines import Pipeline, sequences

SYMBOLS = ("", "a", "b", "ç", " ")


def speaker(folder: Path) -> Ready:
    pipeline = Pipeline()
    tokens = pipeline.input("tokens", "INT64", [None, None])
    pipeline.give(text=sequences.byte_pairs(tokens, vocabulary(folder)))
    return ready(pipeline)


def shown(text: str) -> str:
    """What becomes of control characters."""
    return "".join(
        "\ufffd" if ord(each) < 0x20 and each not in "\t\n\r" else each for each in text
    )


def test_tokens_are_the_text_that_they_were(tmp_path: Path) -> None:
    tokenizer, _ = gpts("together")
    speak = speaker(tmp_path)
    for text in TEXTS:
        tokens = [tokenizer.encode(text).ids]
        assert speak(tokens=np.array(tokens).reshape(1, -1))[0].tolist() == [
            shown(text)
        ]


@pytest.mark.parametrize("seed", range(200))
def test_any_tokens_are_the_text_that_tokenizers_says(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tokenizer, _ = gpts("together")
    random = np.random.default_rng(seed)
    most = 258 if seed % 2 else len(tokenizer.get_vocab())  # single bytes, or all
    tokens = random.integers(0, most, (2, 20))
    theirs = [shown(tokenizer.decode(each.tolist())) for each in tokens]

    assert SPEAK(tmp_path_factory)(tokens=tokens)[0].tolist() == theirs


class _Speak:
    """One speaker for many tests."""

    speaker: Ready | None = None

    def __call__(self, folders: pytest.TempPathFactory) -> Ready:
        if self.speaker is None:
            self.speaker = speaker(folders.mktemp("vocabulary"))
        return self.speaker


SPEAK = _Speak()


def test_special_and_unknown_tokens_say_nothing(tmp_path: Path) -> None:
    tokens = np.array([[0, 1, 35, 99_999, -1], [0, 0, 0, 0, 0]])

    assert speaker(tmp_path)(tokens=tokens)[0].tolist() == [
        gpts("together")[0].decode([35]),
        "",
    ]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (1, 0), (2, 0)])
def test_no_tokens_say_nothing(shape: tuple[int, int], tmp_path: Path) -> None:
    texts = speaker(tmp_path)(tokens=np.zeros(shape, np.int64))[0]

    assert texts.tolist() == [""] * shape[0]


@pytest.mark.parametrize("blank", [0, 4])
def test_ctc_says_each_symbol_once(blank: int) -> None:
    pipeline = Pipeline()
    scores = pipeline.input("scores", "FP32", [None, None, 5])
    pipeline.give(text=sequences.ctc(scores, SYMBOLS, blank=blank))
    heard = np.random.default_rng(1).random((9, 40, 5)).astype(np.float32)

    (texts,) = ready(pipeline)(scores=heard)

    for text, row in zip(texts, heard.argmax(2), strict=True):
        once = [symbol for symbol, _ in groupby(row) if symbol != blank]
        assert text == "".join(SYMBOLS[symbol] for symbol in once)


@pytest.mark.parametrize("columns", [4, 6])
def test_ctc_has_as_many_symbols_as_the_model(columns: int) -> None:
    pipeline = Pipeline()
    scores = pipeline.input("scores", "FP32", [None, None, None])
    pipeline.give(text=sequences.ctc(scores, SYMBOLS))

    with pytest.raises(InvalidRequestError, match="expected a model of 5 symbols, got"):
        ready(pipeline)(scores=np.zeros((1, 3, columns)))


def test_ctc_says_nothing_of_no_steps() -> None:
    pipeline = Pipeline()
    scores = pipeline.input("scores", "FP32", [None, None, None])
    pipeline.give(text=sequences.ctc(scores, SYMBOLS))

    assert ready(pipeline)(scores=np.zeros((2, 0, 5)))[0].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("symbols", "blank"), [((), 0), (("",), 0), ("-ab", 3), ("-ab", -1)]
)
def test_ctc_needs_symbols_and_a_blank_among_them(
    symbols: tuple[str, ...], blank: int
) -> None:
    scores = Pipeline().input("scores", "FP32", [None, None, None])

    with pytest.raises(
        ConfigurationError, match="symbols: expected some, and the blank"
    ):
        sequences.ctc(scores, symbols, blank=blank)
