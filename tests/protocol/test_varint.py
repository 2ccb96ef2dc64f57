"""Variable-length integers: RFC 9000, section 16 and appendix A.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.protocol import varint

INTEGERS = st.integers(0, varint.MAX)

# RFC 9000, appendix A.1.
SAMPLES = [
    ("c2197c5eff14e88c", 151_288_809_941_952_652),
    ("9d7f3e7d", 494_878_333),
    ("7bbd", 15_293),
    ("25", 37),
]


@pytest.mark.parametrize(("encoded", "value"), SAMPLES)
def test_writes_the_samples_of_the_rfc(encoded: str, value: int) -> None:
    assert varint.encode(value).hex() == encoded


@pytest.mark.parametrize(("encoded", "value"), [*SAMPLES, ("4025", 37)])
def test_reads_the_samples_of_the_rfc(encoded: str, value: int) -> None:
    data = bytes.fromhex(encoded)
    assert varint.decode(data) == (value, len(data))


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 1),
        (63, 1),
        (64, 2),
        (16383, 2),
        (16384, 4),
        (2**30 - 1, 4),
        (2**30, 8),
        (2**62 - 1, 8),
    ],
)
def test_writes_the_smallest_size(value: int, size: int) -> None:
    encoded = varint.encode(value)
    assert len(encoded) == size
    assert varint.decode(encoded) == (value, size)


@pytest.mark.parametrize("value", [-1, 2**62])
def test_refuses_to_write_what_does_not_fit(value: int) -> None:
    with pytest.raises(ValueError, match=r"varint: expected 0 to \d+, got"):
        varint.encode(value)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_reads_zero_in_any_size(size: int) -> None:
    first = {1: 0x00, 2: 0x40, 4: 0x80, 8: 0xC0}[size]
    assert varint.decode(bytes([first]) + bytes(size - 1)) == (0, size)


@given(INTEGERS, st.binary(max_size=9), st.binary(max_size=9))
def test_reads_what_it_wrote_at_any_offset(
    value: int, before: bytes, after: bytes
) -> None:
    encoded = varint.encode(value)
    view = memoryview(before + encoded + after)
    assert varint.decode(view, len(before)) == (value, len(before) + len(encoded))


@given(INTEGERS)
def test_asks_for_more_bytes_at_every_cut(value: int) -> None:
    encoded = varint.encode(value)
    cuts = [varint.decode(encoded[:size]) for size in range(len(encoded))]
    assert cuts == [None] * len(encoded)


@given(st.binary(max_size=10), st.integers(0, 12))
def test_any_bytes_give_an_integer_or_need_more(data: bytes, at: int) -> None:
    value, end = varint.decode(data, at) or (0, at)
    assert 0 <= value <= varint.MAX
    assert at <= end <= max(at, len(data))


@given(st.lists(st.integers(0, 70).map(bytes) | st.just(bytes(16384))))
def test_strings_are_written_with_their_lengths(strings: list[bytes]) -> None:
    parts = (part for each in strings for part in (varint.encode(len(each)), each))
    assert varint.encode_strings(strings) == b"".join(parts)
