"""The made-up devices refuse what the kernel refuses."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from blindai.testing.devices import FakeConfigfs, FakeFiles, FakeGramine, FakeSevGuest
from blindai.testing.devices.files import FixedFiles

ROOT = "/sys/kernel/config/tsm/report"
ENTRY = f"{ROOT}/one"


def refused(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


@pytest.fixture
def tree() -> FakeConfigfs:
    return FakeConfigfs("sev_guest", lambda bound, _: (bound, b""), privlevel_floor=1)


@pytest.fixture
def files(tree: FakeConfigfs) -> FakeFiles:
    files = FakeFiles(tree)
    files.mkdir(ENTRY)
    return files


def write(files: FakeFiles, name: str, *pieces: bytes) -> None:
    descriptor = files.open(f"{ENTRY}/{name}", os.O_WRONLY)
    try:
        for piece in pieces:
            files.write(descriptor, piece)
    finally:
        files.close(descriptor)


def read(files: FakeFiles, name: str) -> bytes:
    descriptor = files.open(f"{ENTRY}/{name}", os.O_RDONLY)
    try:
        return files.read(descriptor, 4096)
    finally:
        files.close(descriptor)


def test_entries_lie_under_the_root_and_are_made_once(files: FakeFiles) -> None:
    with refused(errno.ENOENT):
        files.mkdir("/elsewhere/one")
    with refused(errno.EEXIST):
        files.mkdir(ENTRY)
    files.rmdir(ENTRY)
    with refused(errno.ENOENT):
        files.rmdir(ENTRY)
    with refused(errno.ENOENT):
        files.open(f"{ENTRY}/inblob", os.O_WRONLY)


def test_attributes_are_for_reading_or_for_writing(files: FakeFiles) -> None:
    with refused(errno.EACCES):
        files.open(f"{ENTRY}/outblob", os.O_WRONLY)
    with refused(errno.EACCES):
        files.open(f"{ENTRY}/inblob", os.O_RDONLY)
    with refused(errno.ENOENT):
        files.open(f"{ENTRY}/manifestblob", os.O_RDONLY)
    reading = files.open(f"{ENTRY}/outblob", os.O_RDONLY)
    with refused(errno.EBADF):
        files.write(reading, b"x")
    writing = files.open(f"{ENTRY}/inblob", os.O_WRONLY)
    with refused(errno.EBADF):
        files.read(writing, 1)


def test_what_was_written_counts_at_the_close_and_pieces_count_together(
    files: FakeFiles,
) -> None:
    write(files, "privlevel", b"1")
    descriptor = files.open(f"{ENTRY}/inblob", os.O_WRONLY)
    files.write(descriptor, b"a" * 32)
    files.write(descriptor, b"b" * 32)

    assert read(files, "generation") == b"1\n"
    files.close(descriptor)
    assert read(files, "generation") == b"2\n"
    assert read(files, "outblob") == b"a" * 32 + b"b" * 32


def test_a_file_that_is_opened_and_closed_changes_nothing(files: FakeFiles) -> None:
    write(files, "inblob")

    assert read(files, "generation") == b"0\n"


def test_more_than_64_bytes_are_too_many(files: FakeFiles) -> None:
    with refused(errno.EFBIG):
        write(files, "inblob", b"a" * 64, b"b")


@pytest.mark.parametrize("pieces", [[], [b"x" * 63]])
def test_there_is_no_report_for_anything_but_64_bytes(
    files: FakeFiles, pieces: list[bytes]
) -> None:
    write(files, "privlevel", b"1")
    write(files, "inblob", *pieces)

    with refused(errno.EINVAL):
        read(files, "outblob")


def test_there_is_no_report_below_the_floor(files: FakeFiles) -> None:
    with refused(errno.EINVAL):
        write(files, "privlevel", b"0")
    write(files, "inblob", b"x" * 64)

    with refused(errno.EINVAL):
        read(files, "outblob")


def test_tdx_has_neither_levels_nor_a_table() -> None:
    files = FakeFiles(FakeConfigfs("tdx_guest", lambda bound, _: (bound, b"")))
    files.mkdir(ENTRY)

    for name in ("auxblob", "privlevel", "privlevel_floor"):
        with refused(errno.ENOENT):
            files.open(f"{ENTRY}/{name}", os.O_RDONLY)


def test_gramine_has_no_directories_to_make_and_no_other_files() -> None:
    files = FakeFiles(FakeGramine(lambda bound: bound))

    with refused(errno.EACCES):
        files.mkdir("/dev/attestation/one")
    with refused(errno.EACCES):
        files.rmdir("/dev/attestation/keys")
    with refused(errno.ENOENT):
        files.open("/dev/attestation/report", os.O_RDONLY)


def test_fixed_files_are_those_that_were_named() -> None:
    files = FakeFiles(FixedFiles({"/one": b"content"}))

    assert files.read(files.open("/one", os.O_RDONLY), 99) == b"content"
    with refused(errno.ENOENT):
        files.open("/other", os.O_RDONLY)


def test_a_key_is_bound_to_the_fields_that_are_selected() -> None:
    device, other = FakeSevGuest(), FakeSevGuest(guest_policy=1, measurement=b"o" * 48)

    for fields, same in ((0, True), (1, False), (8, False), (9, False)):
        request = struct.pack("<IIQIIQ", 0, 0, fields, 0, 0, 0)
        assert (device._answer(request) == other._answer(request)) is same
