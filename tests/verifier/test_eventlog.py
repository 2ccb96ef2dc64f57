"""A TCG event log: cut, replayed, and never believed for what it says."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vectors import FOLDER, needs_vectors
from tests.verifier.protobuf import read_fields

from blindai.errors import EvidenceError
from blindai.testing.vendors.eventlog import (
    Measurement,
    startup_locality,
    write_event,
    write_header,
    write_log,
)
from blindai.verifier import eventlog
from blindai.verifier.eventlog import EventLog, EventType, Measured

BANKS = ("sha1", "sha256")
KERNEL = Measurement(register=4, data=b"kernel")
MODULES = Measurement(register=4, data=b"modules")
FIRMWARE = Measurement(register=0, type=EventType.S_CRTM_VERSION, data=b"1")
LOG = write_log([FIRMWARE, KERNEL, MODULES], BANKS)


def extended(*measurements: Measurement, start: bytes = bytes(32)) -> bytes:
    for measurement in measurements:
        start = hashlib.sha256(start + measurement.digest("sha256")).digest()
    return start


def test_a_log_is_replayed_in_order_into_each_register() -> None:
    registers = eventlog.parse(LOG).replay("sha256")

    assert registers == {0: extended(FIRMWARE), 4: extended(KERNEL, MODULES)}


def test_each_bank_is_replayed_from_its_own_digests() -> None:
    registers = eventlog.parse(LOG).replay("sha1")

    digest = hashlib.sha1(b"1", usedforsecurity=False).digest()
    expected = hashlib.sha1(bytes(20) + digest, usedforsecurity=False).digest()
    assert registers[0] == expected


def test_an_event_without_action_extends_nothing() -> None:
    silent = Measurement(
        register=0xFFFFFFFF, type=EventType.NO_ACTION, data=b"anything"
    )
    log = eventlog.parse(write_log([silent, KERNEL]))

    assert log.replay("sha256") == {4: extended(KERNEL)}


@pytest.mark.parametrize("locality", [0, 3, 4])
def test_pcr_0_starts_at_the_locality_that_started_the_tpm(locality: int) -> None:
    log = eventlog.parse(write_log([startup_locality(locality), FIRMWARE]))

    start = bytes(31) + bytes([locality])
    assert log.replay("sha256") == {0: extended(FIRMWARE, start=start)}


def test_a_startup_locality_accounts_for_pcr_0_by_itself() -> None:
    log = eventlog.parse(write_log([startup_locality(3)]))

    assert log.replay("sha256") == {0: bytes(31) + b"\x03"}


def test_an_event_that_extends_is_no_startup_locality() -> None:
    like_one = Measurement(register=0, data=startup_locality(3).data)

    log = eventlog.parse(write_log([FIRMWARE, like_one]))

    assert log.replay("sha256") == {0: extended(FIRMWARE, like_one)}


def test_other_registers_may_come_before_the_startup_locality() -> None:
    log = eventlog.parse(write_log([KERNEL, startup_locality(3), FIRMWARE]))

    assert log.replay("sha256")[4] == extended(KERNEL)


@pytest.mark.parametrize("padding", [b"", b"\xff" * 100, b"\x00" * 100])
def test_padding_means_nothing(padding: bytes) -> None:
    assert eventlog.parse(LOG + padding) == eventlog.parse(LOG)


@pytest.mark.parametrize("end", [b"\xff", b"\x00"])
def test_data_that_looks_like_padding_is_data(end: bytes) -> None:
    ends = Measurement(register=4, data=end * 8)
    log = eventlog.parse(write_log([ends]) + end * 8)

    assert [event.data for event in log.events] == [end * 8]


def test_an_algorithm_without_a_name_is_carried_along() -> None:
    header = bytearray(write_header(("sha1", "sha256")))
    header[60:62] = (0x0012).to_bytes(2, "little")
    event = bytearray(write_event(KERNEL, ("sha1", "sha256")))
    event[12:14] = (0x0012).to_bytes(2, "little")

    log = eventlog.parse(bytes(header + event))

    assert log.algorithms == ("algorithm 0012", "sha256")
    assert log.replay("sha256") == {4: extended(KERNEL)}


def test_a_log_without_a_bank_is_not_replayed_into_it() -> None:
    with pytest.raises(EvidenceError, match="expected sha384 digests, got none"):
        eventlog.parse(LOG).replay("sha384")


def test_an_unknown_bank_is_the_programmers_error() -> None:
    with pytest.raises(ValueError, match="algorithm: expected sha1"):
        eventlog.parse(LOG).replay("md5")


@pytest.mark.parametrize(
    ("measurement", "expected"),
    [
        pytest.param(KERNEL, Measured.DATA, id="its data"),
        pytest.param(
            Measurement(register=4, data=b"kernel", digests={"sha256": bytes(32)}),
            Measured.OTHER,
            id="not its data",
        ),
        pytest.param(
            Measurement(register=4, type=EventType.IPL, data=b"kernel"),
            Measured.UNDEFINED,
            id="no rule",
        ),
    ],
)
def test_data_counts_only_where_its_digest_is_recomputed(
    measurement: Measurement, expected: Measured
) -> None:
    (event,) = eventlog.parse(write_log([measurement])).events

    assert event.measured("sha256") is expected


SEPARATOR = Measurement(register=4, type=EventType.SEPARATOR, data=bytes(4))


@pytest.mark.parametrize(
    ("measurements", "expected"),
    [
        pytest.param([KERNEL, SEPARATOR, MODULES], [b"kernel"], id="before it"),
        pytest.param([KERNEL, MODULES], [], id="no separator"),
        pytest.param(
            [FIRMWARE, KERNEL, startup_locality(3), SEPARATOR],
            [b"kernel"],
            id="its own",
        ),
        pytest.param(
            [
                Measurement(register=4, type=EventType.IPL, data=b"\xff" * 4),
                KERNEL,
                SEPARATOR,
            ],
            [],
            id="a separator by another name",
        ),
    ],
)
def test_only_what_comes_before_the_separator_is_from_firmware(
    measurements: list[Measurement], expected: list[bytes]
) -> None:
    log = EventLog(("sha256",), eventlog.parse(write_log(ordered(measurements))).events)

    events = log.from_firmware(4, "sha256")

    assert [event.data for event in events] == expected


def ordered(measurements: list[Measurement]) -> list[Measurement]:
    """The start-up locality before all else of its register."""
    return sorted(measurements, key=lambda each: each.type != EventType.NO_ACTION)


@pytest.mark.parametrize(
    ("kind", "name"), [(EventType.IPL, "EV_IPL"), (0xB0000001, "0xb0000001")]
)
def test_an_event_has_a_name_or_a_number(kind: int, name: str) -> None:
    (event,) = eventlog.parse(write_log([Measurement(register=1, type=kind)])).events

    assert event.name == name


def header_with(offset: int, patch: bytes) -> bytes:
    header = write_header(BANKS)
    return header[:offset] + patch + header[offset + len(patch) :]


def header_of(algorithms: bytes, count: int) -> bytes:
    """A header with these algorithms, as bytes."""
    body = write_header(())[32:56] + struct.pack("<I", count) + algorithms + b"\x00"
    return write_header(())[:28] + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "expected 4 bytes, got 0", id="empty"),
        pytest.param(header_with(4, b"\x08"), "header of a crypto-agile", id="type"),
        pytest.param(header_with(8, b"\x01"), "header of a crypto-agile", id="digest"),
        pytest.param(header_with(46, b"2"), "header of a crypto-agile", id="version"),
        pytest.param(header_of(b"", 0), "1 to 8 algorithms", id="no algorithm"),
        pytest.param(header_of(b"\x04\x00\x14\x00" * 9, 9), "1 to 8", id="nine"),
        pytest.param(header_of(b"\x04\x00\x14\x00" * 2, 2), "each", id="twice"),
        pytest.param(header_of(b"\x04\x00\x15\x00", 1), "with its size", id="size"),
        pytest.param(header_of(b"\x12\x00\x00\x00", 1), "with its size", id="none"),
        pytest.param(header_of(b"\x12\x00\x41\x00", 1), "with its size", id="huge"),
        pytest.param(header_with(68, b"\x05"), "expected 5 bytes", id="vendor"),
        pytest.param(
            header_with(28, b"\x26") + b"\x00", "expected its end", id="long header"
        ),
        pytest.param(LOG[:-1], "expected 7 bytes, got 6", id="cut"),
        pytest.param(LOG + b"\x01", "expected 4 bytes, got 1", id="trailing"),
        pytest.param(LOG + b"\xff\x00", "expected 4 bytes, got 2", id="mixed"),
        pytest.param(
            write_header(BANKS) + write_event(KERNEL, ("sha1",)),
            "expected 2 digests, got 1",
            id="one digest",
        ),
        pytest.param(
            write_header(BANKS) + write_event(KERNEL, ("sha1", "sha1")),
            "one digest of each",
            id="the same digest twice",
        ),
        pytest.param(
            write_header(BANKS) + write_event(KERNEL, ("sha1", "sha384")),
            "one digest of each",
            id="a digest that the header lacks",
        ),
        pytest.param(
            write_log([Measurement(register=24)]), "up to 23, got 24", id="register"
        ),
        pytest.param(
            write_log([startup_locality(1)]), "start-up locality", id="locality 1"
        ),
        pytest.param(
            write_log([FIRMWARE, startup_locality(3)]),
            "start-up locality",
            id="late locality",
        ),
        pytest.param(
            write_log([startup_locality(3), startup_locality(3)]),
            "start-up locality",
            id="two localities",
        ),
        pytest.param(
            write_log([Measurement(register=1)] * 4097), "4096 events", id="events"
        ),
        pytest.param(bytes(256 * 1024 + 1), "at most 262144 bytes", id="bytes"),
    ],
)
def test_other_logs_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        eventlog.parse(data)


def test_a_log_may_be_as_long_as_the_limit_says() -> None:
    longest = LOG.ljust(256 * 1024, b"\x00")

    assert eventlog.parse(longest) == eventlog.parse(LOG)


def test_a_header_may_have_as_many_algorithms_as_the_limit_says() -> None:
    unknown = [(0x30, 1), (0x31, 64), *((0x32 + more, 32) for more in range(6))]
    header = header_of(b"".join(struct.pack("<HH", *each) for each in unknown), 8)

    assert len(eventlog.parse(header).algorithms) == 8


@given(st.binary(max_size=128))
def test_any_bytes_give_a_log_or_the_one_error(data: bytes) -> None:
    try:
        log = eventlog.parse(write_header(BANKS) + data)
    except EvidenceError:
        return

    assert isinstance(log, EventLog)


@given(st.integers(0, len(LOG)), st.binary(max_size=64))
def test_any_changed_bytes_give_a_log_or_the_one_error(
    offset: int, patch: bytes
) -> None:
    try:
        log = eventlog.parse(LOG[:offset] + patch + LOG[offset + len(patch) :])
    except EvidenceError:
        return

    assert isinstance(log, EventLog)


@needs_vectors
def test_the_log_of_a_genuine_td_replays_to_its_registers() -> None:
    folder = FOLDER / "tdx"
    log = eventlog.parse((folder / "gotdx_cos113_ccel.bin").read_bytes())
    quote = (folder / "gotdx_cos113_v4_quote.bin").read_bytes()

    rtmrs = quote[0x178 : 0x178 + 4 * 48]
    registers = log.replay("sha384")

    assert [rtmrs[i : i + 48] for i in range(0, 192, 48)] == [
        registers.get(register, bytes(48)) for register in range(1, 5)
    ]
    assert {event.measured("sha384") for event in log.events} == {
        Measured.DATA,
        Measured.UNDEFINED,
    }


@needs_vectors
@pytest.mark.parametrize(
    ("quote", "algorithm"), [(0, "sha1"), (1, "sha256"), (2, "sha384")]
)
def test_the_log_of_a_genuine_vm_replays_to_its_pcrs(
    quote: int, algorithm: str
) -> None:
    data = (FOLDER / "tpm" / "gotpm_gce-cos-85-nonce9009.pb").read_bytes()
    attestation = read_fields(data)
    (pcrs,) = read_fields(attestation[2][quote])[3]
    values = {}
    for entry in read_fields(pcrs)[2]:
        pair = read_fields(entry)
        values[int.from_bytes(pair.get(1, [b""])[0])] = pair[2][0]

    registers = eventlog.parse(attestation[3][0]).replay(algorithm)

    assert len(registers) == 10
    assert registers == {register: values[register] for register in registers}
