"""/dev/sev-guest: one call, one key for this guest, and refusals by name."""

from __future__ import annotations

import ctypes
import errno
import fcntl

import pytest

from blindai.attester import sev_guest
from blindai.attester.sev_guest import read_derived_key
from blindai.errors import HardwareAbsentError, HardwareBusyError, HardwareError
from blindai.testing.devices import FakeFiles, FakeSevGuest, Fault

OTHER_MEASUREMENT = b"o" * 48
DEBUG_POLICY = 0x30000 | 1 << 19


def key(device: FakeSevGuest, vmpl: int = 0) -> bytes:
    return read_derived_key(vmpl, files=FakeFiles(device), calls=device)


def test_the_key_is_found_again() -> None:
    assert key(FakeSevGuest()) == key(FakeSevGuest())
    assert len(key(FakeSevGuest())) == 32


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(FakeSevGuest(measurement=OTHER_MEASUREMENT), id="measurement"),
        pytest.param(FakeSevGuest(guest_policy=DEBUG_POLICY), id="debug mode"),
        pytest.param(FakeSevGuest(chip_secret=b"another"), id="chip"),
    ],
)
def test_it_is_another_for_another(other: FakeSevGuest) -> None:
    assert key(other) != key(FakeSevGuest())


def test_it_is_another_for_another_vmpl() -> None:
    assert key(FakeSevGuest(), 1) != key(FakeSevGuest(), 0)


def test_a_vmpl_below_the_guest_s_own_is_refused_by_the_firmware() -> None:
    with pytest.raises(HardwareError, match="status 0x16, invalid parameters"):
        key(FakeSevGuest(vmpl=2), 1)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (0x27, "status 0x27, invalid key"),
        (0x15, "status 0x15, not supported by this firmware"),
        (0x99, "status 0x99, not known"),
    ],
)
def test_firmware_that_refuses_is_named(status: int, message: str) -> None:
    with pytest.raises(HardwareError, match=message):
        key(FakeSevGuest(statuses=[status]))


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        ((errno.EIO, 0xFF, 0), HardwareError, "EIO; the secure processor"),
        ((errno.EIO, 0x16, 0), HardwareError, "firmware: status 0x16, invalid param"),
        ((errno.ENOTTY, 0xFF, 0), HardwareError, "ENOTTY; .* restart the VM"),
        ((errno.EBADMSG, 0xFF, 0), HardwareError, "EBADMSG; .* restart the VM"),
        ((errno.EAGAIN, 0, 2), HardwareBusyError, "the host is busy"),
        ((errno.ETIMEDOUT, 0, 2), HardwareBusyError, "the host is busy"),
        ((errno.EBUSY, 0xFF, 0), HardwareBusyError, "EBUSY"),
    ],
)
def test_a_call_that_fails_is_named(
    failure: tuple[int, int, int], kind: type[HardwareError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        key(FakeSevGuest(failures=[failure]))


def test_a_call_that_a_signal_interrupts_is_made_again() -> None:
    device = FakeSevGuest(failures=[(errno.EINTR, 0xFF, 0)] * 3)

    assert key(device) == key(FakeSevGuest())


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (errno.ENOENT, HardwareAbsentError, "modprobe sev-guest"),
        (errno.EACCES, HardwareError, "as root, or give it the device"),
    ],
)
def test_a_device_that_does_not_open_says_what_to_do(
    error: int, kind: type[HardwareError], message: str
) -> None:
    device = FakeSevGuest()
    files = FakeFiles(device, [Fault("open", "sev-guest", error)])

    with pytest.raises(kind, match=message):
        read_derived_key(0, files=files, calls=device)


def test_the_device_is_closed_whatever_happens() -> None:
    device = FakeSevGuest(failures=[(errno.EIO, 0, 0)])
    files = FakeFiles(device)

    with pytest.raises(HardwareError):
        read_derived_key(0, files=files, calls=device)

    assert files.open_descriptors == 0


@pytest.mark.parametrize("statuses", [[], [0x27]], ids=["success", "failure"])
def test_the_response_is_wiped(
    statuses: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    wiped: list[tuple[int, int]] = []

    def memset(buffer: ctypes.Array[ctypes.c_char], value: int, size: int) -> None:
        wiped.append((value, size))
        assert size == len(buffer)

    monkeypatch.setattr(ctypes, "memset", memset)
    device = FakeSevGuest(statuses=statuses)

    try:
        key(device)
    except HardwareError:
        assert statuses == []

    assert wiped == [(0, 64)]


def test_no_key_in_an_error() -> None:
    with pytest.raises(HardwareError) as raised:
        key(FakeSevGuest(statuses=[0x27]))

    assert key(FakeSevGuest()).hex() not in str(raised.value)


def test_the_call_s_number_is_iowr_s_1_of_32_bytes() -> None:
    size = sev_guest._CALL.size

    assert size == 32
    assert 3 << 30 | size << 16 | ord("S") << 8 | 1 == sev_guest.SNP_GET_DERIVED_KEY


def test_fcntl_is_an_implementation() -> None:
    calls: sev_guest.Ioctl = fcntl

    assert calls is fcntl


class TestTheFake:
    """The made-up driver refuses what the driver refuses."""

    def test_another_request_is_no_ioctl(self) -> None:
        with pytest.raises(OSError, match=f"Errno {errno.ENOTTY}"):
            FakeSevGuest().ioctl(0, 1, bytearray(32))

    def test_version_0_is_invalid(self) -> None:
        with pytest.raises(OSError, match=f"Errno {errno.EINVAL}"):
            FakeSevGuest().ioctl(0, sev_guest.SNP_GET_DERIVED_KEY, bytearray(32))

    def test_another_path_is_not_there(self) -> None:
        with pytest.raises(FileNotFoundError):
            FakeSevGuest().open("/dev/other")
