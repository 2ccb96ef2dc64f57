"""An SPDM exchange is cut strictly, by DSP0274."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.testing.vendors.nvidia import MEASUREMENTS, Nvidia, Report, fields
from blindai.verifier.nvidia.spdm import MAX_EXCHANGE_BYTES, parse_exchange

NONCE = bytes(range(32))
GPU = Nvidia().gpu()
BLOCK = bytes.fromhex("01013300013000") + bytes(48)


def exchange(**changes: object) -> bytes:
    return GPU.exchange(NONCE, Report(**changes))  # type: ignore[arg-type]  # one of many


SAMPLE = exchange()


def test_each_field_is_cut() -> None:
    cut = parse_exchange(SAMPLE)

    assert cut.nonce == NONCE
    assert cut.blocks == {index + 1: each for index, each in enumerate(MEASUREMENTS)}
    assert cut.opaque == fields(Report().fields)
    assert cut.signed + cut.signature == SAMPLE
    assert len(cut.signature) == 96


def test_there_may_be_no_measurements() -> None:
    cut = parse_exchange(exchange(blocks=b"", opaque=b""))

    assert not cut.blocks
    assert cut.opaque == b""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"request_head": b"\x12\xe0\x01\xff"}, "request", id="version"),
        pytest.param({"request_head": b"\x11\xe1\x01\xff"}, "request", id="request"),
        pytest.param({"request_head": b"\x11\xe0\x00\xff"}, "request", id="unsigned"),
        pytest.param({"request_head": b"\x11\xe0\x01\x01"}, "request", id="one block"),
        pytest.param({"slot": b"\x01"}, "request", id="slot"),
        pytest.param({"response_head": b"\x12\x60\0\0"}, "response", id="1.2"),
        pytest.param({"response_head": b"\x11\x7f\0\0"}, "response", id="an error"),
        pytest.param({"response_head": b"\x11\x60\1\0"}, "response", id="param 1"),
        pytest.param({"response_head": b"\x11\x60\0\1"}, "response", id="param 2"),
        pytest.param({"count": 63}, "expected 63 blocks", id="fewer blocks"),
        pytest.param({"count": 65}, "expected 65 blocks", id="more blocks"),
        pytest.param({"blocks": BLOCK[:-1], "count": 1}, "1 blocks of 55", id="short"),
        pytest.param({"blocks": b"\0" + BLOCK[1:]}, "each index from 1", id="index 0"),
        pytest.param({"blocks": BLOCK * 2}, "each index from 1", id="twice"),
        pytest.param(
            {"blocks": BLOCK[:1] + b"\2" + BLOCK[2:]}, "DMTF's", id="specification"
        ),
        pytest.param({"blocks": BLOCK[:2] + b"\x32" + BLOCK[3:]}, "DMTF's", id="size"),
        pytest.param(
            {"blocks": BLOCK[:5] + b"\x2f" + BLOCK[6:]}, "DMTF's", id="value size"
        ),
    ],
)
def test_another_exchange_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_exchange(exchange(**changes))


@pytest.mark.parametrize("size", [0, 1, 36, 37, 41, 44, 45, 300, len(SAMPLE) - 1])
def test_an_exchange_that_is_cut_off_is_refused(size: int) -> None:
    with pytest.raises(EvidenceError, match="SPDM"):
        parse_exchange(SAMPLE[:size])


def test_bytes_after_the_signature_are_refused() -> None:
    with pytest.raises(EvidenceError, match=f"bytes, got {len(SAMPLE) - 36}"):
        parse_exchange(SAMPLE + b"\0")


def test_the_size_is_limited() -> None:
    most = MAX_EXCHANGE_BYTES - len(exchange(opaque=b""))

    assert len(parse_exchange(exchange(opaque=bytes(most))).opaque) == most
    with pytest.raises(EvidenceError, match="175 to 8192 bytes, got 8193"):
        parse_exchange(exchange(opaque=bytes(most + 1)))


@given(st.binary(max_size=300))
def test_any_bytes_give_an_exchange_or_the_error(data: bytes) -> None:
    try:
        parse_exchange(data)
    except EvidenceError:
        return


@given(st.binary(max_size=300))
def test_any_response_gives_an_exchange_or_the_error(data: bytes) -> None:
    try:
        parse_exchange(SAMPLE[:41] + data)
    except EvidenceError:
        return


@given(st.data())
def test_any_changed_byte_gives_an_exchange_or_the_error(data: st.DataObject) -> None:
    changed = bytearray(SAMPLE)
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        parse_exchange(bytes(changed))
    except EvidenceError:
        return
