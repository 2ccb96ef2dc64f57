"""Text: from words to the numbers that models were trained on, and back.

What a text says is text: where it has the name of a special token (`[SEP]`), WordPiece
takes that for letters. BPE by onnxruntime-extensions knows one, `<|endoftext|>`, and
takes it for the token.

No client needs the vocabulary: it is in the graph.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from onnx import TensorProto

from blindai.errors import ConfigurationError
from blindai.pipelines import characters, strings
from blindai.pipelines.graph import EXTENSIONS
from blindai.pipelines.strings import Frame, TextLimits, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from blindai.pipelines.graph import Value

_MAX_WORD: Final = 100  # characters; a longer word is unknown
_UNKNOWN: Final = "[UNK]"
_END_OF_TEXT: Final = "<|endoftext|>"
_DIGIT: Final = r"(\p{N})"
_LIMITS: Final = TextLimits()
_NO_JSON: Final = OSError, ValueError, RecursionError
_NO_TOKENIZER: Final = LookupError, TypeError, AttributeError


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPieces:
    """The vocabulary of a model of BERT's kind.

    Attributes:
        tokens: Each token, by its number.
        lower: Whether the model knows no capitals and no accents.
    """

    tokens: tuple[str, ...]
    lower: bool = True

    def number(self, token: str) -> int:
        """The number of a token.

        Raises:
            ConfigurationError: If there is none.
        """
        if token not in self.tokens:
            raise ConfigurationError(
                f"vocabulary: expected {token} among its tokens, got it not"
            )
        return self.tokens.index(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class BytePairs:
    """The vocabulary of a model of GPT-2's kind: pairs of bytes, merged.

    Attributes:
        numbers: The number of each token.
        merges: Which two become one, the first ones first.
        digits_apart: Whether each digit is cut out first, as SmolLM2's are.
        special: Tokens that are no text, by number.
    """

    numbers: Mapping[str, int]
    merges: tuple[tuple[str, str], ...]
    digits_apart: bool = False
    special: tuple[int, ...] = ()

    @classmethod
    def read(cls, path: Path) -> BytePairs:
        """Read a `tokenizer.json` of Hugging Face's.

        Raises:
            ConfigurationError: If it is none, or of another kind.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            model, before = document["model"], document["pre_tokenizer"]
            pairs = [_pair(each) for each in model["merges"]]
            steps = before.get("pretokenizers", [before])
            kinds = [(each["type"], each.get("individual_digits")) for each in steps]
            added = {each["id"]: each for each in document.get("added_tokens", [])}
            own = {each["content"]: at for at, each in added.items()}
            numbers = {
                str(token): int(at) for token, at in model["vocab"].items()
            } | own
        except (*_NO_JSON, *_NO_TOKENIZER) as error:
            raise ConfigurationError(
                f"{path}: expected a tokenizer.json of byte-level BPE"
            ) from error
        known: list[list[tuple[str, Any]]] = [
            [("ByteLevel", None)],
            [("Digits", True), ("ByteLevel", None)],
        ]
        if kinds not in known or steps[-1].get("add_prefix_space"):
            raise ConfigurationError(
                f"{path}: expected GPT-2's or SmolLM2's way to cut text, got {kinds}"
            )
        special = tuple(at for at, each in added.items() if each.get("special"))
        return cls(
            numbers=numbers,
            merges=tuple(pairs),
            digits_apart=len(kinds) > 1,
            special=special,
        )


def word_pieces(
    texts: Value,
    vocabulary: WordPieces,
    *,
    max_tokens: int = 512,
    limits: TextLimits = _LIMITS,
) -> Tokens:
    """Tokens of texts, as BERT has them: `[CLS]`, the words' pieces, `[SEP]`.

    Args:
        texts: BYTES, (texts).
        vocabulary: The model's.
        max_tokens: The most of one text, both of these among them; more are cut off.
        limits: How much text is taken.

    Raises:
        ConfigurationError: If the vocabulary has not the tokens that this needs.
    """
    graph = texts.graph
    unknown = vocabulary.number(_UNKNOWN)
    frame = Frame(
        before=vocabulary.number("[CLS]"),
        after=vocabulary.number("[SEP]"),
        padding=vocabulary.number("[PAD]"),
        length=max_tokens,
    )
    texts = normalised(strings.limited(texts, limits), lower=vocabulary.lower)
    words, _ = graph.ops("StringSplit", 2, strings.in_one(texts, f" {strings.END} "))
    words = graph.op("Reshape", words, [-1])
    is_end = graph.op("Equal", words, [strings.END])
    flat, kept = _pieces(graph.op("Where", is_end, [""], words), vocabulary, unknown)
    text = graph.op("CumSum", _whole(is_end), 0, exclusive=1)
    counts = strings.sums(kept, text, graph.op("Shape", texts))
    begins = graph.op("CumSum", counts, 0, exclusive=1)
    return strings.side_by_side(flat, begins, counts, frame)


def _pieces(words: Value, vocabulary: WordPieces, unknown: int) -> tuple[Value, Value]:
    """The pieces of words, one after the other, and how many each has.

    Where the rest of a word is unknown, the operator gives what it found before; it is
    the word that is unknown then.
    """
    graph = words.graph
    numbers = {token: at for at, token in enumerate(vocabulary.tokens)}
    found, _, begins, ends = graph.ops(
        f"{EXTENSIONS}:WordpieceTokenizer",
        4,
        words,
        graph.op("Slice", graph.value([0]), [0], [0]),
        vocab=json.dumps(numbers, ensure_ascii=False),
        suffix_indicator="##",
        unknown_token=_UNKNOWN,
        max_input_chars_per_word=_MAX_WORD,
    )
    graph.known(found, TensorProto.STRING, [None])
    for each in (begins, ends):
        graph.known(each, TensorProto.INT64, [None])
    ids = strings.lookup(found, numbers, unknown)
    is_unknown = graph.op("Equal", ids, unknown)
    total = graph.op("Add", graph.op("Shape", ids), 1)
    ones = graph.op("Expand", 1, graph.op("Shape", begins))
    began = strings.sums(ones, begins, total)
    word = graph.op("Sub", graph.op("CumSum", began, 0), 1)
    word = graph.op("Slice", word, [0], [-1])
    bad = strings.sums(_whole(is_unknown), word, graph.op("Shape", words))
    of_bad = graph.op("Equal", graph.op("Gather", bad, word), 1)
    keep = graph.op("Or", graph.op("Not", of_bad), is_unknown)
    count = graph.op(
        "Where", graph.op("Equal", bad, 1), 1, graph.op("Sub", ends, begins)
    )
    return graph.op("Compress", ids, keep), count


def _whole(truth: Value) -> Value:
    return truth.graph.op("Cast", truth, to=TensorProto.INT64)


def normalised(texts: Value, *, lower: bool) -> Value:
    """Texts as BERT reads them: words with spaces between, each mark a word.

    Args:
        texts: BYTES, (texts).
        lower: Whether letters become small, and lose their accents.
    """
    texts = strings.replace(texts, characters.REMOVED, "")
    texts = strings.replace(texts, characters.SPACES, " ")
    texts = strings.replace(texts, characters.CHINESE, r" \1 ")
    if lower:
        texts = strings.replace(texts, characters.ACCENTS, "")
    table = characters.table(lower=lower)
    return strings.change_characters(texts, table.encode())


def byte_pairs(
    texts: Value,
    vocabulary: BytePairs,
    *,
    frame: Frame,
    limits: TextLimits = _LIMITS,
) -> Tokens:
    """Tokens of texts, as GPT-2 has them.

    Args:
        texts: BYTES, (texts).
        vocabulary: The model's.
        frame: What stands around them.
        limits: How much text is taken.

    Raises:
        ConfigurationError: If the vocabulary has no `<|endoftext|>`, which this needs.
    """
    graph = texts.graph
    if _END_OF_TEXT not in vocabulary.numbers:
        raise ConfigurationError(
            f"vocabulary: expected {_END_OF_TEXT} among its tokens, got it not"
        )
    texts = strings.limited(texts, limits)
    if vocabulary.digits_apart:
        cut = strings.pieces(texts, _DIGIT)
    else:
        cut = graph.op("Unsqueeze", texts, [1])
    merges = "\n".join(" ".join(pair) for pair in vocabulary.merges)
    ids, mask = graph.ops(
        f"{EXTENSIONS}:GPT2Tokenizer",
        2,
        graph.op("Reshape", cut, [-1]),
        vocab=json.dumps(dict(vocabulary.numbers), ensure_ascii=False),
        merges=f"#version: 0.2\n{merges}",
        padding_length=-1,
    )
    for each in (ids, mask):
        graph.known(each, TensorProto.INT64, [None, None])
    held = graph.op("Cast", graph.op("Reshape", mask, [-1]), to=TensorProto.BOOL)
    flat = graph.op("Compress", graph.op("Reshape", ids, [-1]), held)
    rows = graph.op("Shape", cut)
    sums = graph.op("ReduceSum", mask, [1], keepdims=0)
    table = graph.op("Reshape", sums, rows, allowzero=1)
    counts = graph.op("ReduceSum", table, [1], keepdims=0)
    begins = graph.op("CumSum", counts, 0, exclusive=1)
    return strings.side_by_side(flat, begins, counts, frame)


def _pair(merge: str | Sequence[str]) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right
