"""NVIDIA's opaque data: the fields that are read, and those that are not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.testing.vendors.nvidia import FIELDS, FWID, fields
from blindai.verifier.nvidia.opaque import OpaqueData, parse_opaque


def parse(changes: Mapping[int, bytes] | None = None, without: int = -1) -> OpaqueData:
    present = {**FIELDS, **(changes or {})}
    present.pop(without, None)
    return parse_opaque(fields(present))


def test_each_field_is_read() -> None:
    assert parse() == OpaqueData(
        driver_version="550.90.07",
        vbios_version="96.00.5E.00.01",
        board="1010_0200_882",
        mode="spt",
        nvdec0=True,
        fwid=FWID,
    )


@pytest.mark.parametrize(
    ("version", "flag", "mode"),
    [
        pytest.param("0100", "0000", "mpt", id="MPT"),
        pytest.param("0100", "0100", "spt", id="SPT"),
        pytest.param("0100", "0200", "ppcie", id="PPCIE"),
        pytest.param("0200", "0200", "ppcie", id="later version"),
        pytest.param("0100", "0300", "unknown (3)", id="unknown"),
        pytest.param("0100", "0001", "unknown (256)", id="large"),
        pytest.param("0000", "0200", "", id="version 0"),
    ],
)
def test_the_feature_flag_is_the_mode(version: str, flag: str, mode: str) -> None:
    said = {34: bytes.fromhex(version), 36: bytes.fromhex(flag)}

    assert parse(said).mode == mode


def test_a_mode_that_is_not_said_is_empty() -> None:
    assert parse(without=34).mode == ""


def test_a_flag_that_is_missing_is_no_mode() -> None:
    assert parse(without=36).mode == "unknown (0)"


def test_a_decoder_that_is_off_says_so() -> None:
    assert not parse({11: b"\x55"}).nvdec0
    assert parse({11: b"\x00"}).nvdec0
    assert parse(without=11).nvdec0


def test_a_board_is_written_with_gaps_where_a_part_is_not_said() -> None:
    assert parse(without=15).board == "1010_0200_"
    assert parse({15: b"88X\0"}).board == "1010_0200_88X"


def test_a_fwid_that_is_missing_is_none() -> None:
    assert parse(without=20).fwid is None


def test_other_fields_are_not_read() -> None:
    assert parse({99: b"anything", 12: bytes(256), 22: b""}) == parse()


def test_a_version_of_the_vbios_is_written_as_nvidia_does() -> None:
    said = bytes.fromhex("010288970f000000")

    assert parse({6: said}).vbios_version == "97.88.02.01.0F"


@pytest.mark.parametrize("text", [b"550.90", b"550.90.07", b"5.1.2.3".ljust(64, b"\0")])
def test_a_driver_version_is_numbers_and_dots(text: bytes) -> None:
    assert parse({3: text}).driver_version == text.rstrip(b"\0").decode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({3: b""}, "driver version", id="no driver version"),
        pytest.param({3: b"550"}, "driver version", id="one number"),
        pytest.param({3: b"1.2.3.4.5"}, "driver version", id="five numbers"),
        pytest.param({3: b"550.x"}, "driver version", id="a letter"),
        pytest.param({3: b"123456.1"}, "driver version", id="a long number"),
        pytest.param({3: b"550.90\n"}, "driver version", id="a line"),
        pytest.param({3: b"550\0.90"}, "driver version", id="NUL within"),
        pytest.param({3: "٣.٤".encode()}, "driver version", id="other digits"),
        pytest.param({3: bytes(65)}, "text: expected at most 64", id="long text"),
        pytest.param({6: bytes(7)}, "VBIOS version: expected 8", id="short VBIOS"),
        pytest.param({6: bytes(9)}, "VBIOS version: expected 8", id="long VBIOS"),
        pytest.param({20: bytes(47)}, "FWID: expected 48 bytes, got 47", id="short"),
        pytest.param({20: bytes(64)}, "FWID: expected 48 bytes, got 64", id="long"),
        pytest.param({17: b"\x1b[2J"}, "board: expected letters", id="escape"),
        pytest.param({18: b"a b"}, "board: expected letters", id="blank"),
        pytest.param({15: b"\xe9"}, "board: expected letters", id="accent"),
    ],
)
def test_a_malformed_field_is_refused(changes: dict[int, bytes], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse(changes)


@pytest.mark.parametrize("kind", [3, 6])
def test_a_missing_version_is_refused(kind: int) -> None:
    with pytest.raises(EvidenceError, match="version: expected"):
        parse(without=kind)


@pytest.mark.parametrize("data", ["00", "030000", "0300ff", "0300050041", "0300ffff"])
def test_half_a_field_is_refused(data: str) -> None:
    with pytest.raises(EvidenceError, match="expected whole fields"):
        parse_opaque(bytes.fromhex(data))


def test_a_field_that_is_there_twice_is_refused() -> None:
    with pytest.raises(EvidenceError, match="each field at most once"):
        parse_opaque(fields({99: b"a"}) * 2)


@given(st.binary(max_size=100))
def test_any_bytes_give_data_or_the_error(data: bytes) -> None:
    try:
        parse_opaque(data)
    except EvidenceError:
        return


@given(st.dictionaries(st.sampled_from([3, 6, 11, 20, 34, 36]), st.binary(max_size=9)))
def test_any_fields_give_data_or_the_error(changes: dict[int, bytes]) -> None:
    try:
        parse(changes)
    except EvidenceError:
        return
