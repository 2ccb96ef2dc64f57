"""Files of devices: whole, within limits, and with errors that say what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from blindai.attester import devices
from blindai.attester.devices import failure, read_file, uninterrupted, write_file
from blindai.errors import HardwareAbsentError, HardwareBusyError, HardwareError
from blindai.testing.devices import FakeFiles, Fault
from blindai.testing.devices.files import FakeFile

ADVICE = {errno.EACCES: "run the server as root"}


class OneFile:
    """A tree of one file, which remembers what was written."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.written: list[bytes] = []

    def open(self, path: str, /) -> FakeFile:
        assert path == "/dev/one"
        return FakeFile(load=lambda: self.content, store=self.written.append)


def test_the_kernel_s_own_files_can_be_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")

    write_file(os, str(path), b"content", ADVICE)

    assert read_file(os, str(path), 7, ADVICE) == b"content"


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 8])
def test_short_reads_are_continued(piece_bytes: int) -> None:
    files = FakeFiles(OneFile(b"content"), piece_bytes=piece_bytes)

    assert read_file(files, "/dev/one", 7, ADVICE) == b"content"
    assert files.open_descriptors == 0


def test_a_file_over_the_limit_is_refused() -> None:
    files = FakeFiles(OneFile(b"content"))

    with pytest.raises(HardwareError, match="expected at most 6 bytes, got more"):
        read_file(files, "/dev/one", 6, ADVICE)

    assert files.open_descriptors == 0


@pytest.mark.parametrize("call", ["open", "read"])
def test_a_read_that_a_signal_interrupts_is_made_again(call: str) -> None:
    files = FakeFiles(OneFile(b"content"), [Fault(call, "one", errno.EINTR, 3)])

    assert read_file(files, "/dev/one", 7, ADVICE) == b"content"


@pytest.mark.parametrize("call", ["open", "write"])
def test_a_write_that_a_signal_interrupts_is_made_again(call: str) -> None:
    tree = OneFile()
    files = FakeFiles(tree, [Fault(call, "one", errno.EINTR, 3)])

    write_file(files, "/dev/one", b"content", ADVICE)

    assert tree.written == [b"content"]


def test_a_call_that_is_interrupted_for_ever_ends() -> None:
    files = FakeFiles(OneFile(), [Fault("read", "one", errno.EINTR, 1000)])

    with pytest.raises(HardwareError, match="cannot be read, EINTR"):
        read_file(files, "/dev/one", 7, ADVICE)

    assert len(files.calls) < 50
    assert files.open_descriptors == 0


def test_a_write_that_is_taken_in_part_is_not_continued() -> None:
    tree = OneFile()
    files = FakeFiles(tree, taken_bytes=3)

    with pytest.raises(HardwareError, match="take 7 bytes at once, took 3"):
        write_file(files, "/dev/one", b"content", ADVICE)

    assert tree.written == [b"con"]


@pytest.mark.parametrize("call", ["open", "write", "close"])
def test_a_write_that_fails_is_an_error_and_the_file_is_closed(call: str) -> None:
    files = FakeFiles(OneFile(), [Fault(call, "one", errno.EACCES)])

    with pytest.raises(HardwareError, match="cannot be written, EACCES; run the serv"):
        write_file(files, "/dev/one", b"content", ADVICE)

    assert files.open_descriptors == 0


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EBUSY, HardwareBusyError),
        (errno.EAGAIN, HardwareBusyError),
        (errno.ENOENT, HardwareAbsentError),
        (errno.ENODEV, HardwareAbsentError),
        (errno.ENXIO, HardwareAbsentError),
        (errno.EIO, HardwareError),
    ],
)
def test_what_an_error_means(number: int, kind: type[HardwareError]) -> None:
    error = failure("/dev/one", "be read", OSError(number, "?"), ADVICE)

    assert type(error) is kind
    assert error.message == f"/dev/one: cannot be read, {errno.errorcode[number]}"


def test_an_error_without_a_number_is_an_error() -> None:
    error = failure("/dev/one", "be read", OSError("?"), ADVICE)

    assert error.message == "/dev/one: cannot be read, unknown error"


def test_other_errors_are_not_tried_again() -> None:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise BlockingIOError

    with pytest.raises(BlockingIOError):
        uninterrupted(call)

    assert len(calls) == 1


def test_os_is_an_implementation() -> None:
    files: devices.Files = os

    assert files is os
