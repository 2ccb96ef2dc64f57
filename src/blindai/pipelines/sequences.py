"""Numbers to text: what a recogniser or a language model says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.errors import ConfigurationError
from blindai.pipelines import strings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from blindai.pipelines.graph import Value
    from blindai.pipelines.text import BytePairs

_SEEN: Final = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_HIDDEN: Final = tuple(byte for byte in range(0x100) if byte not in _SEEN)
_LETTERS: Final = {byte: chr(byte) for byte in _SEEN} | {
    byte: chr(0x100 + place) for place, byte in enumerate(_HIDDEN)
}
"""The letter that GPT-2 writes for each byte."""
_BYTES: Final = {letter: byte for byte, letter in _LETTERS.items()}
_TAB, _NEWLINE = "\ufdd0", "\ufdd1"  # for those that a table of characters cannot have
_CONTROLS: Final = tuple(byte for byte in range(0x20) if byte not in b"\t\n\r")
_A, _B, _C = "\x04", "\x05", "\x06"  # around bytes that are UTF-8, or are not
_TAIL: Final = (0x80, 0xBF)
# Unicode, table 3-7: well-formed sequences of bytes.
_UTF8: Final[tuple[tuple[tuple[int, int], ...], ...]] = (
    ((0x00, 0x7F),),
    ((0xC2, 0xDF), _TAIL),
    ((0xE0, 0xE0), (0xA0, 0xBF), _TAIL),
    ((0xE1, 0xEC), _TAIL, _TAIL),
    ((0xED, 0xED), (0x80, 0x9F), _TAIL),
    ((0xEE, 0xEF), _TAIL, _TAIL),
    ((0xF0, 0xF0), (0x90, 0xBF), _TAIL, _TAIL),
    ((0xF1, 0xF3), _TAIL, _TAIL, _TAIL),
    ((0xF4, 0xF4), (0x80, 0x8F), _TAIL, _TAIL),
)


def ctc(scores: Value, symbols: Sequence[str], *, blank: int = 0) -> Value:
    """The likeliest text of a recogniser that was trained with CTC.

    The best symbol of each step; those that follow themselves are one, and blanks go.

    Args:
        scores: FP32, (texts, steps, symbols).
        symbols: What each stands for.
        blank: The one that stands for nothing.

    Returns:
        BYTES, (texts).

    Raises:
        ConfigurationError: If no symbol is left, or the blank is none of them.
    """
    if not 0 <= blank < len(symbols) or len(symbols) == 1:
        raise ConfigurationError(
            f"symbols: expected some, and the blank among them, got {len(symbols)}"
            f" and {blank}"
        )
    graph = scores.graph
    count = graph.op("Gather", graph.op("Shape", scores), -1)
    scores = graph.require(
        scores,
        graph.op("Equal", count, len(symbols)),
        f"symbols: expected a model of {len(symbols)} symbols, got another",
    )
    best = graph.op("ArgMax", scores, axis=-1, keepdims=0)
    before = graph.op("Pad", best, [0, 1, 0, 0], graph.value(-1))
    before = graph.op("Slice", before, [0], [-1], [1])
    repeated = graph.op("Equal", best, before)
    kept = graph.op("Where", repeated, blank, best)
    letters = {number: text for number, text in enumerate(symbols) if number != blank}
    return strings.join(strings.texts_of(kept, letters))


def byte_pairs(tokens: Value, vocabulary: BytePairs) -> Value:
    """The text of tokens of GPT-2's kind; special and unknown ones are left out.

    What is no UTF-8, as where a text was cut off within a character, becomes U+FFFD, as
    Python and Rust have it; so do control characters.

    Args:
        tokens: INT64, (texts, tokens).
        vocabulary: The model's.

    Returns:
        BYTES, (texts).
    """
    letters = {
        number: _as_letters(token)
        for token, number in vocabulary.numbers.items()
        if number not in vocabulary.special
    }
    texts = strings.join(strings.texts_of(tokens, letters))
    bad = _letters("\ufffd".encode())
    texts = strings.replace(texts, f"[{_letters(_CONTROLS)}]", bad)
    texts = strings.replace(
        texts, f"((?:{_whole()})+)|({_broken()}|.)", rf"{_A}\1{_B}\2{_C}"
    )
    texts = strings.replace(texts, f"{_B}[^{_C}]+{_C}", bad)
    texts = strings.replace(texts, f"[{_A}{_B}{_C}]", "")
    texts = strings.replace(texts, _LETTERS[ord("\t")], _TAB)
    texts = strings.replace(texts, _LETTERS[ord("\n")], _NEWLINE)
    texts = strings.change_characters(texts, _table())
    return strings.replace(strings.replace(texts, _TAB, "\t"), _NEWLINE, "\n")


def _letters(data: Iterable[int]) -> str:
    return "".join(_LETTERS[byte] for byte in data)


def _as_letters(token: str) -> str:
    """A token in GPT-2's letters, which those that were added later are not in."""
    written = all(letter in _BYTES for letter in token)
    return token if written else _letters(token.encode())


def _table() -> bytes:
    """The byte of each letter that stands for another one than itself."""
    lines = [
        letter.encode() + b"\t" + bytes([byte])
        for byte, letter in _LETTERS.items()
        if byte not in b"\t\n"
        and byte not in _CONTROLS
        and letter.encode() != bytes([byte])
    ]
    return b"\n".join(lines)


def _class(span: tuple[int, int]) -> str:
    """A regular expression for the letters of a span of bytes."""
    first, last = span
    codes = (f"\\x{{{ord(_LETTERS[byte]):x}}}" for byte in range(first, last + 1))
    return f"[{''.join(codes)}]"


def _whole() -> str:
    """A regular expression for what is UTF-8."""
    return "|".join("".join(map(_class, spans)) for spans in _UTF8)


def _broken() -> str:
    """... for the longest beginning of it that goes on otherwise."""
    beginnings = {
        "".join(map(_class, spans[:length]))
        for spans in _UTF8
        for length in range(2, len(spans))
    }
    return "|".join(sorted(beginnings, key=len, reverse=True))
