"""A TPM behind a device: interrupted, cut short, busy, absent."""

from __future__ import annotations

import errno
import os

import pytest

from blindai.attester.tpm import Tpm, TpmDevice
from blindai.errors import HardwareAbsentError, HardwareBusyError, HardwareError
from blindai.testing.devices.swtpm import SocketFiles

COMMAND = b"command"
RESPONSE = bytes.fromhex("80010000000c00000000") + b"ok"


class FakeFiles:
    """A device that does as it is told, one step a call.

    Args:
        steps: What each read gives, or raises.
        fails: What each other call raises, by its name.
        takes: How many bytes a write takes.
    """

    def __init__(
        self,
        *steps: bytes | OSError,
        fails: dict[str, list[OSError]] | None = None,
        takes: int | None = None,
    ) -> None:
        self._steps = list(steps)
        self._fails = fails or {}
        self._takes = takes
        self.calls: list[str] = []

    def open(self, path: str, flags: int, /) -> int:
        self._call("open")
        assert path == "/dev/tpmrm0"
        assert flags & os.O_RDWR
        return 7

    def read(self, descriptor: int, size: int, /) -> bytes:
        self._call("read")
        assert descriptor == 7
        step = self._steps.pop(0)
        if isinstance(step, OSError):
            raise step
        assert len(step) <= size
        return step

    def write(self, descriptor: int, data: bytes, /) -> int:
        self._call("write")
        assert descriptor == 7
        assert data == COMMAND
        return len(data) if self._takes is None else self._takes

    def close(self, descriptor: int, /) -> None:
        self._call("close")
        assert descriptor == 7

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self._fails.get(name):
            raise self._fails[name].pop(0)


def test_a_response_comes_whole() -> None:
    assert TpmDevice(files=FakeFiles(RESPONSE)).transmit(COMMAND) == RESPONSE


@pytest.mark.parametrize("size", [1, 9, 10, 11])
def test_a_response_comes_in_pieces(size: int) -> None:
    pieces = [RESPONSE[i : i + size] for i in range(0, len(RESPONSE), size)]

    assert TpmDevice(files=FakeFiles(*pieces)).transmit(COMMAND) == RESPONSE


@pytest.mark.parametrize("call", ["open", "write", "read"])
def test_a_call_that_is_interrupted_is_made_again(call: str) -> None:
    files = FakeFiles(RESPONSE, fails={call: [InterruptedError()] * 3})

    assert TpmDevice(files=files).transmit(COMMAND) == RESPONSE
    assert files.calls.count(call) == 4


def test_a_call_that_is_always_interrupted_fails() -> None:
    files = FakeFiles(fails={"read": [InterruptedError(errno.EINTR, "")] * 16})

    with pytest.raises(HardwareError, match="EINTR"):
        TpmDevice(files=files).transmit(COMMAND)


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.ENOENT, HardwareAbsentError, "ENOENT; the machine has no TPM"),
        (errno.EBUSY, HardwareBusyError, "EBUSY; another process"),
        (errno.EACCES, HardwareError, "EACCES; run the server as root"),
        (errno.EIO, HardwareError, "/dev/tpmrm0: cannot be used, EIO"),
        (None, HardwareError, "/dev/tpmrm0: cannot be used, unknown error"),
    ],
)
def test_a_device_that_fails_says_how(
    number: int | None, kind: type[HardwareError], message: str
) -> None:
    error = OSError() if number is None else OSError(number, "")
    files = FakeFiles(fails={"open": [error]})

    with pytest.raises(kind, match=message):
        TpmDevice(files=files).transmit(COMMAND)


def test_after_a_failure_the_device_is_opened_again() -> None:
    files = FakeFiles(OSError(errno.EIO, ""), RESPONSE)
    device = TpmDevice(files=files)

    with pytest.raises(HardwareError):
        device.transmit(COMMAND)

    assert device.transmit(COMMAND) == RESPONSE
    assert files.calls.count("open") == 2


def test_a_device_is_opened_once_and_given_back() -> None:
    files = FakeFiles(RESPONSE, RESPONSE)

    with TpmDevice(files=files) as device:
        device.transmit(COMMAND)
        device.transmit(COMMAND)
    device.close()

    assert files.calls == ["open", "write", "read", "write", "read", "close"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(FakeFiles(takes=3), "7 bytes at once, took 3", id="short write"),
        pytest.param(FakeFiles(RESPONSE[:-1], b""), "whole response", id="cut"),
        pytest.param(
            FakeFiles(b"\x80\x01\0\0\xff\xff" + bytes(4090), b"x"),
            "whole response",
            id="long",
        ),
    ],
)
def test_a_device_that_cuts_is_refused(files: FakeFiles, message: str) -> None:
    with pytest.raises(HardwareError, match=message):
        TpmDevice(files=files).transmit(COMMAND)


def test_a_tpm_in_software_answers_in_pieces(swtpm_socket: str) -> None:
    with TpmDevice(swtpm_socket, SocketFiles(most=7)) as device:
        assert "sha256" in Tpm(device).banks()
