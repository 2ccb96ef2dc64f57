"""What BERT makes of each character before it looks for words.

Devlin et al., google-research/bert, tokenization.py (`BasicTokenizer`), as
`tokenizers` of Hugging Face has it (`BertNormalizer`, `BertPreTokenizer`): control
characters go, each Chinese character and each punctuation mark is a word of its own,
and where a model knows no capitals, letters lose their accents and become small.

Unicode is the one of the Python that writes the graph.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache
from typing import Final

_CHINESE: Final = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_SURROGATES: Final = range(0xD800, 0xE000)
_REPLACEMENT: Final = "\ufffd"

CHINESE: Final = "([" + "".join(f"{chr(a)}-{chr(b)}" for a, b in _CHINESE) + "])"
"""A regular expression (RE2) for one Chinese character."""
REMOVED: Final = rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\p{{Cf}}\p{{Co}}{_REPLACEMENT}]"
"""... for one character that is not seen, or a sign that something was not UTF-8."""
ACCENTS: Final = r"\p{Mn}"
"""... for one accent that is a character of its own."""
SPACES: Final = r"[\t\n\r\p{Z}]"
"""... for one that separates words."""


@cache
def table(*, lower: bool) -> str:
    """What becomes of each character that does not stay as it is.

    Args:
        lower: Whether letters become small, and lose their accents.

    Returns:
        Lines of a character, a tabulator and what becomes of it. Those that the
        regular expressions of this module are for are not among them.
    """
    changes = []
    for code in range(sys.maxunicode + 1):
        if code in _SURROGATES:
            continue
        character = chr(code)
        category = unicodedata.category(character)
        if category[0] in "CZ":
            continue
        change = _change(character, lower=lower)
        if change not in {character, ""}:
            changes.append(f"{character}\t{change}")
    return "\n".join(changes)


def _change(character: str, *, lower: bool) -> str:
    parts = character
    if lower:
        parts = unicodedata.normalize("NFD", character)
        parts = "".join(each for each in parts if unicodedata.category(each) != "Mn")
        parts = "".join(map(str.lower, parts))
    return "".join(f" {each} " if _is_punctuation(each) else each for each in parts)


def _is_punctuation(character: str) -> bool:
    code = ord(character)
    ascii_marks = code < 0x80 and character.isprintable() and not character.isalnum()
    marks = ascii_marks and character != " "
    return marks or unicodedata.category(character)[0] == "P"
