"""What an event log says, as far as registers vouch for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from blindai.testing.vendors.eventlog import Measurement, write_log
from blindai.testing.vendors.tpm import (
    BOOT,
    SECURE_BOOT,
    MadeUpTpm,
    google_technology,
    secure_boot,
    separator,
)
from blindai.verifier import eventlog
from blindai.verifier.eventlog import EventType
from blindai.verifier.tpm.boot import Boot, read_boot

VARIABLE = EventType.EFI_VARIABLE_DRIVER_CONFIG


def boot_of(*measurements: Measurement) -> Boot:
    tpm = MadeUpTpm(measurements=measurements)
    return read_boot(eventlog.parse(tpm.event_log), tpm.pcrs)


@pytest.mark.parametrize("on", [True, False])
def test_firmware_says_whether_secure_boot_is_on(on: bool) -> None:  # noqa: FBT001  a parameter of a test
    assert boot_of(secure_boot(on=on), separator(7)).secure_boot is on


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "none"), (1, "sev"), (2, "sev-es"), (3, "tdx"), (4, "sev-snp"), (5, None)],
)
def test_googles_firmware_names_the_memory_encryption(
    number: int, name: str | None
) -> None:
    boot = boot_of(google_technology(number), separator(0))

    assert boot.google_technology == name


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(separator(7), id="after the separator"),
        pytest.param(Measurement(register=7), id="another event first"),
        pytest.param(
            Measurement(register=7, type=VARIABLE, data=SECURE_BOOT + b"\x02"),
            id="another value",
        ),
    ],
)
def test_other_events_say_nothing(first: Measurement) -> None:
    assert boot_of(first, separator(7)).secure_boot is None


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(replace(secure_boot(), type=EventType.ACTION), id="another type"),
        pytest.param(
            replace(secure_boot(), digests={"sha256": bytes(32)}), id="another digest"
        ),
    ],
)
def test_data_that_no_register_vouches_for_says_nothing(event: Measurement) -> None:
    assert boot_of(event, separator(7)).secure_boot is None


def test_other_information_than_googles_says_nothing() -> None:
    other = Measurement(register=0, type=EventType.NONHOST_INFO, data=b"other")

    assert boot_of(other, separator(0)).google_technology is None


def test_the_first_event_that_says_so_counts() -> None:
    boot = boot_of(secure_boot(on=False), secure_boot(), separator(7))

    assert boot.secure_boot is False


@pytest.mark.parametrize("register", [0, 7])
def test_a_register_that_the_log_does_not_give_vouches_for_nothing(
    register: int,
) -> None:
    tpm = MadeUpTpm()
    more = MadeUpTpm(measurements=(*BOOT, Measurement(register=register)))

    boot = read_boot(eventlog.parse(tpm.event_log), more.pcrs)

    said = {0: boot.google_technology, 7: boot.secure_boot}
    assert said.pop(register) is None
    assert set(said.values()) < {"sev-snp", True}
    assert boot.replayed == {*range(17), 23} - {register}


def test_the_strongest_bank_is_replayed() -> None:
    forged = replace(secure_boot(), digests={"sha1": bytes(20)})
    tpm = MadeUpTpm(measurements=(forged, separator(7)), banks=("sha1", "sha384"))

    boot = read_boot(eventlog.parse(tpm.event_log), tpm.pcrs)

    assert boot.secure_boot


def test_without_a_common_bank_nothing_is_replayed() -> None:
    log = eventlog.parse(write_log(BOOT, ("sha1",)))

    assert read_boot(log, MadeUpTpm().pcrs) == Boot()
