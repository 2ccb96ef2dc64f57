"""Vocabularies that `tokenizers` learns for tests, and what it makes of texts."""

from __future__ import annotations

import json
from functools import cache

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from blindai.pipelines.text import WordPieces

_LEARNT = (
    "Hello world!",
    "  leading  and trailing   ",
    "It's don't we'll I've 'tis 'S",
    "numbers 12345 3.14 1,000  7 a1b22",
    "tabs\tand\nnew\n\nlines \r\n",
    "naïve CAFÉ Straße ÜBER Ångström İstanbul ŒUVRE ﬁ ﬂ",
    "中文字符测试 日本語テスト 한국어 텍스트",
    "русский ПРИВЕТ Ёлка ΣΊΣΥΦΟΣ Tiếng Việt",
    "😀 👩\u200d👩\u200d👧 emoji",
    "a\u00a0b\u2003c\u200bd\u00ade\ufeff",
    "",
    "   ",
    "x²³ ½ Ⅷ ٣٤٥ e\u0301 n\u0303",
    "[SEP] [MASK] [UNK] <|im_start|>",
    "don\u2019t “quotes” \u2013 dash… ¿qué? «oui» 。、",
    "हिन्दी عربى ไทย",
    "a" * 100,
    "a" * 101,
    "z" * 150 + " q",
    "$100 & 5% `x` ~y^z |w| a_b=c+d<e>",
    "\x01\x7f\x85 controls \ufffd",
)
TEXTS = (*_LEARNT, "and\u2603 understanding\u2603s, un\u2603")
_CORPUS = (*_LEARNT * 3, "unbelievable understanding of tokens and words" * 20)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MAX_TOKENS = 24


@cache
def berts(case: str) -> tuple[Tokenizer, WordPieces]:
    """A tokeniser of BERT's kind, and its vocabulary."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106  no password
    made.normalizer = normalizers.BertNormalizer(lowercase=case == "uncased")
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=600, special_tokens=SPECIAL, show_progress=False, min_frequency=4
    )
    made.train_from_iterator(_CORPUS, trainer)
    vocabulary = made.get_vocab()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(each, vocabulary[each]) for each in ("[CLS]", "[SEP]")],
    )
    made.encode_special_tokens = True
    made.enable_truncation(MAX_TOKENS)
    made.enable_padding(pad_id=vocabulary["[PAD]"])
    tokens = tuple(sorted(vocabulary, key=vocabulary.__getitem__))
    return made, WordPieces(tokens=tokens, lower=case == "uncased")


@cache
def gpts(digits: str) -> tuple[Tokenizer, str]:
    """A tokeniser of GPT-2's kind, and its file."""
    made = Tokenizer(models.BPE())
    steps: list[pre_tokenizers.PreTokenizer] = [
        pre_tokenizers.ByteLevel(add_prefix_space=False)
    ]
    if digits == "apart":
        steps.insert(0, pre_tokenizers.Digits(individual_digits=True))
    made.pre_tokenizer = (
        pre_tokenizers.Sequence(steps) if digits == "apart" else steps[0]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<|endoftext|>", "<|im_start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(_CORPUS, trainer)
    made.add_tokens(["zwei wörter"])
    made.encode_special_tokens = True
    return made, made.to_str()


def document() -> dict[str, object]:
    """The same file, to be changed."""
    found: dict[str, object] = json.loads(gpts("together")[1])
    return found
