"""Tokens, held against Hugging Face's `tokenizers`: they are the same, each one."""

from __future__ import annotations

import json
import sys
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from tests.pipelines.running import Ready, ready
from tests.pipelines.vocabularies import MAX_TOKENS, TEXTS, berts, document, gpts
from tokenizers import normalizers, pre_tokenizers

from blindai.errors import ConfigurationError, InvalidRequestError
from blindai.pipelines import Pipeline, text
from blindai.pipelines.strings import Frame, TextLimits
from blindai.pipelines.text import BytePairs, WordPieces

LIMITS = TextLimits(texts=30, characters=5000)
FRAME = Frame(before=None, after=0, padding=0, length=400)
LETTERS = ("Mn", "Mc", "Cn", "Cs", "Cc", "Cf", "Co")


@cache
def bert(case: str) -> Ready:
    pipeline = Pipeline()
    tokens = text.word_pieces(
        pipeline.text("texts"), berts(case)[1], max_tokens=MAX_TOKENS, limits=LIMITS
    )
    pipeline.give(ids=tokens.ids, mask=tokens.mask)
    return ready(pipeline)


def vocabulary(folder: Path, digits: str = "together") -> BytePairs:
    file = folder / "tokenizer.json"
    file.write_text(gpts(digits)[1], encoding="utf-8")
    return BytePairs.read(file)


def gpt(words: BytePairs, frame: Frame = FRAME) -> Ready:
    pipeline = Pipeline()
    tokens = text.byte_pairs(pipeline.text("texts"), words, frame=frame, limits=LIMITS)
    pipeline.give(ids=tokens.ids, mask=tokens.mask)
    return ready(pipeline)


@pytest.mark.parametrize("case", ["uncased", "cased"])
def test_word_pieces_are_those_of_tokenizers(case: str) -> None:
    theirs = berts(case)[0].encode_batch(list(TEXTS))

    ids, mask = bert(case)(texts=TEXTS)

    assert ids.tolist() == [each.ids for each in theirs]
    assert mask.tolist() == [each.attention_mask for each in theirs]
    for one in TEXTS:
        assert bert(case)(texts=one)[0].tolist() == [berts(case)[0].encode(one).ids]


@pytest.mark.parametrize("case", ["uncased", "cased"])
def test_each_letter_is_read_as_bert_reads_it(case: str) -> None:
    pipeline = Pipeline()
    pipeline.give(read=text.normalised(pipeline.text("texts"), lower=case == "uncased"))
    run = ready(pipeline)
    normaliser = normalizers.BertNormalizer(lowercase=case == "uncased")
    cut = pre_tokenizers.BertPreTokenizer()
    codes = (chr(code) for code in range(1, sys.maxunicode + 1, 1))
    letters = [each for each in codes if unicodedata.category(each) not in LETTERS]
    differ = []
    for start in range(0, len(letters), 5000):
        some = [f"a{letter}b" for letter in letters[start : start + 5000]]
        for one, read in zip(some, run(texts=some)[0], strict=True):
            theirs = cut.pre_tokenize_str(normaliser.normalize_str(one))
            if read.split() != [word for word, _ in theirs]:
                differ.append(one[1])

    # Marks that Unicode has had since version 8, of which tokenizers' tables are; and
    # two that are marks no more.
    assert len(differ) < 120
    assert {unicodedata.category(each)[0] for each in differ} <= {"P", "S"}


@pytest.mark.parametrize(
    ("strip_accents", "differ"),
    [(0, ["émigrés", "Tiếng", "and\u2603"]), (1, ["Tiếng", "and\u2603"])],
)
def test_the_operators_own_way_to_do_all_of_it_is_another(
    strip_accents: int, differ: list[str]
) -> None:
    """Why this is not one node: the day this fails, it could be.

    It strips accents only where it is told to, and then Latin-1's alone; and of a word
    that is known in part it gives that part.
    """
    tokenizer, words = berts("uncased")
    pipeline = Pipeline()
    texts = pipeline.text("texts")
    ids, *_ = texts.graph.ops(
        "ai.onnx.contrib:BertTokenizer",
        4,
        texts,
        vocab_file="\n".join(words.tokens),
        do_lower_case=1,
        strip_accents=strip_accents,
    )
    pipeline.give(ids=texts.graph.known(ids, TensorProto.INT64, [None]))
    run = ready(pipeline)

    assert differ == [
        one
        for one in ("Hello world!", "émigrés", "Tiếng", "and\u2603")
        if run(texts=one)[0].tolist() != tokenizer.encode(one).ids
    ]


@pytest.mark.parametrize("digits", ["together", "apart"])
def test_byte_pairs_are_those_of_tokenizers(digits: str, tmp_path: Path) -> None:
    tokenizer, _ = gpts(digits)
    run = gpt(vocabulary(tmp_path, digits))
    theirs = [tokenizer.encode(one).ids for one in TEXTS]

    ids, mask = run(texts=TEXTS)

    for own, row, held in zip(theirs, ids.tolist(), mask, strict=True):
        assert row[: held.sum()] == [*own, 0]
        assert not any(row[held.sum() :])
    for one, own in zip(TEXTS, theirs, strict=True):
        assert run(texts=one)[0].tolist() == [[*own, 0]]


def test_tokens_stand_in_a_frame(tmp_path: Path) -> None:
    frame = Frame(before=1, after=0, padding=5, length=6)
    words = vocabulary(tmp_path)
    own = gpts("together")[0].encode("numbers 12345 3.14").ids

    ids, mask = gpt(words, frame)(texts=["numbers 12345 3.14", "", "a"])

    assert ids[0].tolist() == [1, *own[:4], 0]
    assert ids[1].tolist() == [1, 0, 5, 5, 5, 5]
    assert mask.sum(1).tolist() == [6, 2, 3]


def test_a_special_token_in_a_text_is_text_to_bert_and_a_token_to_gpt(
    tmp_path: Path,
) -> None:
    _, words = berts("uncased")
    ids = bert("uncased")(texts="[SEP]")[0].tolist()[0]
    assert words.number("[SEP]") not in ids[:-1]

    assert gpt(vocabulary(tmp_path))(texts="<|endoftext|>")[0].tolist() == [[0, 0]]
    spelled = gpt(vocabulary(tmp_path))(texts="<|im_start|>")[0]
    assert 1 not in spelled


def test_no_text_has_no_tokens(tmp_path: Path) -> None:
    assert bert("uncased")(texts=[])[0].shape == (0, 1)
    assert gpt(vocabulary(tmp_path))(texts=[])[0].shape == (0, 1)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a"] * 31, "text: expected at most 30 texts, got more"),
        (["é" * 5001], "text: expected at most 5000 characters, got more"),
        (["a" * 2501, "b" * 2500], "text: expected at most 5000 characters, got more"),
        (["a\0b"], "text: expected no NUL character, got one"),
        (["a", "\0"], "text: expected no NUL character, got one"),
    ],
)
def test_what_is_too_much_text_is_refused(
    texts: list[str], message: str, tmp_path: Path
) -> None:
    for run in (bert("uncased"), gpt(vocabulary(tmp_path))):
        with pytest.raises(InvalidRequestError, match=message):
            run(texts=texts)


def test_as_much_text_as_may_be_is_taken(tmp_path: Path) -> None:
    for run in (bert("uncased"), gpt(vocabulary(tmp_path))):
        assert len(run(texts=["é" * 5000])[0]) == 1
        assert len(run(texts=["a"] * 30)[0]) == 30


def test_a_vocabulary_has_the_tokens_that_are_needed() -> None:
    texts = Pipeline().text("texts")
    with pytest.raises(ConfigurationError, match=r"expected \[CLS\] among its tokens"):
        text.word_pieces(texts, WordPieces(tokens=("[PAD]", "[UNK]", "a")))
    with pytest.raises(ConfigurationError, match=r"expected <\|endoftext\|> among"):
        text.byte_pairs(texts, BytePairs(numbers={"a": 0}, merges=()), frame=FRAME)


def without(key: str) -> dict[str, Any]:
    changed = document()
    del changed[key]
    return changed


def with_vocabulary(vocabulary: object) -> dict[str, Any]:
    changed: dict[str, Any] = document()
    changed["model"]["vocab"] = vocabulary
    return changed


@pytest.mark.parametrize(
    "contents",
    [
        "no JSON",
        "[]",
        json.dumps(without("model")),
        100_000 * "[",
        json.dumps(with_vocabulary(["a"])),
        json.dumps(with_vocabulary({"a": "b"})),
        json.dumps(document() | {"pre_tokenizer": None}),
        json.dumps(document() | {"pre_tokenizer": {"type": "Whitespace"}}),
        json.dumps(
            document()
            | {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}
        ),
    ],
)
def test_a_file_of_another_kind_is_refused(contents: str, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(contents, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json: expected"):
        BytePairs.read(file)


def test_merges_may_be_pairs_or_lines(tmp_path: Path) -> None:
    changed: dict[str, Any] = document()
    changed["model"]["merges"] = [" ".join(pair) for pair in changed["model"]["merges"]]
    file = tmp_path / "lines.json"
    file.write_text(json.dumps(changed), encoding="utf-8")

    assert BytePairs.read(file) == vocabulary(tmp_path)


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a tokenizer\.json of"):
        BytePairs.read(tmp_path / "none")


def test_ids_are_int64() -> None:
    assert bert("uncased")(texts="a")[0].dtype == np.int64
