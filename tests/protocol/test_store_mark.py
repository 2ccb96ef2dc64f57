"""How new a store is, as one field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import ProtocolError
from blindai.protocol.store_mark import MAX_EPOCH, StoreMark

MARK = StoreMark(b"s" * 16, 7, b"i" * 32, b"p" * 32)
TEXT = f'id="{"73" * 16}", epoch=7, index="{"69" * 32}", previous="{"70" * 32}"'


def test_a_mark_is_a_dictionary_of_structured_fields() -> None:
    assert MARK.encode() == TEXT


@given(
    st.builds(
        StoreMark,
        st.binary(min_size=16, max_size=16),
        st.integers(0, MAX_EPOCH),
        st.binary(min_size=32, max_size=32),
        st.binary(min_size=32, max_size=32),
    )
)
def test_what_was_written_is_read(mark: StoreMark) -> None:
    assert StoreMark.parse(mark.encode()) == mark


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT + " ",
        TEXT + "\n",
        TEXT.upper(),
        TEXT.replace("epoch=7", "epoch=07"),
        TEXT.replace("epoch=7", "epoch=-7"),
        TEXT.replace("epoch=7", "epoch=1000000000000000"),
        TEXT.replace("epoch=7", "epoch=\N{ARABIC-INDIC DIGIT SEVEN}"),
        TEXT.replace("73", "7", 1),
        TEXT.replace(", previous", ",previous"),
    ],
)
def test_another_text_is_none(text: str) -> None:
    with pytest.raises(ProtocolError, match="store mark"):
        StoreMark.parse(text)


@given(st.text(max_size=200))
def test_any_text_is_a_mark_or_the_documented_error(text: str) -> None:
    with pytest.raises(ProtocolError):
        StoreMark.parse(text)
