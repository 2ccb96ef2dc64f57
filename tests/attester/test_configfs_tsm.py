"""configfs-tsm: one request an entry, and no report that another's write made."""

from __future__ import annotations

import contextlib
import errno
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.attester.conftest import Pauses

from blindai.attester.configfs_tsm import (
    REPORTS,
    SEV_GUEST,
    TDX_GUEST,
    ConfigfsTsm,
    TsmReport,
)
from blindai.errors import HardwareAbsentError, HardwareBusyError, HardwareError
from blindai.testing.devices import FakeConfigfs, FakeFiles, Fault
from blindai.testing.devices.files import FakeFile

BOUND = bytes(range(64))


def quote(bound: bytes, vmpl: int) -> tuple[bytes, bytes]:
    return b"report %d " % vmpl + bound, b"table"


def no_quote(error: int) -> FakeConfigfs:
    """A driver whose hardware fails."""

    def fail(bound: bytes, vmpl: int) -> tuple[bytes, bytes]:
        raise OSError(error, f"{len(bound)} {vmpl}")

    return FakeConfigfs(SEV_GUEST, fail)


@pytest.fixture
def tree() -> FakeConfigfs:
    return FakeConfigfs(SEV_GUEST, quote)


@pytest.fixture
def tdx() -> FakeConfigfs:
    return FakeConfigfs(TDX_GUEST, quote)


def test_a_report_binds_and_comes_with_the_table(tree: FakeConfigfs) -> None:
    report = ConfigfsTsm(files=FakeFiles(tree)).read_report(BOUND, SEV_GUEST, 0)

    assert report == TsmReport(b"report 0 " + BOUND, b"table")


def test_a_quote_has_no_table(tdx: FakeConfigfs) -> None:
    files = FakeFiles(tdx)

    report = ConfigfsTsm(files=files).read_report(BOUND, TDX_GUEST)

    assert report == TsmReport(b"report 0 " + BOUND, b"")
    assert ("open", "auxblob") not in files.calls
    assert ("open", "privlevel") not in files.calls


def test_an_empty_table_is_none() -> None:
    tree = FakeConfigfs(SEV_GUEST, lambda bound, _: (bound, b""))

    report = ConfigfsTsm(files=FakeFiles(tree)).read_report(BOUND, SEV_GUEST, 0)

    assert report.auxblob == b""


def test_the_vmpl_is_the_one_that_is_named(tree: FakeConfigfs) -> None:
    report = ConfigfsTsm(files=FakeFiles(tree)).read_report(BOUND, SEV_GUEST, 2)

    assert report.outblob.startswith(b"report 2 ")


def test_a_report_does_not_show_what_it_holds() -> None:
    assert repr(TsmReport(b"secret", b"secret")) == "TsmReport()"


def test_64_bytes_are_written_at_once(tree: FakeConfigfs) -> None:
    files = FakeFiles(tree, taken_bytes=63)

    with pytest.raises(HardwareError, match="take 64 bytes at once, took 63"):
        ConfigfsTsm(files=files).read_report(BOUND, SEV_GUEST, 0)

    assert not tree.entries


@pytest.mark.parametrize("piece_bytes", [1, 10, 64])
def test_short_reads_are_continued(tree: FakeConfigfs, piece_bytes: int) -> None:
    files = FakeFiles(tree, piece_bytes=piece_bytes)

    report = ConfigfsTsm(files=files).read_report(BOUND, SEV_GUEST, 0)

    assert report == TsmReport(b"report 0 " + BOUND, b"table")


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("mkdir", ""),
        ("open", "inblob"),
        ("write", "inblob"),
        ("read", "generation"),
        ("read", "outblob"),
        ("read", "auxblob"),
        ("rmdir", ""),
    ],
)
def test_interrupted_calls_are_made_again(
    tree: FakeConfigfs, call: str, name: str
) -> None:
    files = FakeFiles(tree, [Fault(call, name, errno.EINTR, 2)])

    report = ConfigfsTsm(files=files).read_report(BOUND, SEV_GUEST, 0)

    assert report.outblob.endswith(BOUND)
    assert not tree.entries


def test_each_report_has_an_entry_of_its_own(tree: FakeConfigfs) -> None:
    seen: list[str] = []
    tree.on_blob = seen.append
    reports = ConfigfsTsm(files=FakeFiles(tree))

    reports.read_report(BOUND, SEV_GUEST, 0)
    reports.read_report(BOUND, SEV_GUEST, 0)

    assert len(set(seen)) == 2
    assert all(entry.startswith(f"{REPORTS}/blindai-") for entry in seen)


class TestGenerations:
    """Who else writes to the entry is noticed, whenever it happens."""

    def test_another_s_write_before_the_report_is_made(
        self, tree: FakeConfigfs, pauses: Pauses
    ) -> None:
        def interfere(entry: str) -> None:
            tree.on_blob = lambda _: None
            tree.write(entry, b"x" * 64)

        tree.on_blob = interfere

        report = ConfigfsTsm(files=FakeFiles(tree), pause=pauses).read_report(
            BOUND, SEV_GUEST, 0
        )

        assert report.outblob.endswith(BOUND)
        assert pauses.seconds == [0.05]

    def test_one_who_writes_the_same_each_time(
        self, tree: FakeConfigfs, pauses: Pauses
    ) -> None:
        tree.on_blob = lambda entry: tree.write(entry, BOUND)

        with pytest.raises(HardwareBusyError, match="expected generation 2, got 4"):
            ConfigfsTsm(files=FakeFiles(tree), pause=pauses).read_report(
                BOUND, SEV_GUEST, 0
            )

        assert pauses.seconds == [0.05, 0.2, 0.8]
        assert not tree.entries

    def test_a_write_that_the_kernel_drops_at_the_close(
        self, tree: FakeConfigfs, pauses: Pauses
    ) -> None:
        tree.lost_writes = 4

        with pytest.raises(HardwareBusyError, match="expected generation 2, got 1"):
            ConfigfsTsm(files=FakeFiles(tree), pause=pauses).read_report(
                BOUND, SEV_GUEST, 0
            )

    def test_a_write_that_is_dropped_once(
        self, tdx: FakeConfigfs, pauses: Pauses
    ) -> None:
        tdx.lost_writes = 1

        report = ConfigfsTsm(files=FakeFiles(tdx), pause=pauses).read_report(
            BOUND, TDX_GUEST
        )

        assert report.outblob.endswith(BOUND)

    def test_a_generation_that_is_no_number(self) -> None:
        class Odd(FakeConfigfs):
            def open(self, path: str, /) -> FakeFile:
                if path.endswith("generation"):
                    return FakeFile(load=lambda: b"-1\n")
                return super().open(path)

        with pytest.raises(HardwareError, match="generation: expected a number"):
            ConfigfsTsm(files=FakeFiles(Odd(SEV_GUEST, quote))).read_report(
                BOUND, SEV_GUEST, 0
            )


class TestBusy:
    """A device that is busy is asked again, within bounds."""

    @pytest.mark.parametrize("error", [errno.EBUSY, errno.EAGAIN])
    def test_busy_for_a_moment_it_still_reports(
        self, tree: FakeConfigfs, pauses: Pauses, error: int
    ) -> None:
        files = FakeFiles(tree, [Fault("read", "outblob", error, 2)])

        report = ConfigfsTsm(files=files, pause=pauses).read_report(BOUND, SEV_GUEST, 0)

        assert report.outblob.endswith(BOUND)
        assert pauses.seconds == [0.05, 0.2]

    def test_busy_for_long_it_is_given_up(
        self, tree: FakeConfigfs, pauses: Pauses
    ) -> None:
        files = FakeFiles(tree, [Fault("read", "outblob", errno.EBUSY, 99)])

        with pytest.raises(HardwareBusyError, match="EBUSY; an earlier quote"):
            ConfigfsTsm(files=files, pause=pauses).read_report(BOUND, SEV_GUEST, 0)

        assert len(pauses.seconds) == 3
        assert not tree.entries
        assert files.open_descriptors == 0


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errno.ETIMEDOUT, "quote generation service did not answer"),
        (errno.EIO, "is its quote generation service up"),
        (errno.ENOTTY, "restart the VM"),
        (errno.EBADMSG, "restart the VM"),
        (errno.EINVAL, "is the VMPL one that this guest has"),
        (errno.ENXIO, "see the kernel's log"),
        (errno.EFBIG, "update the kernel"),
    ],
)
def test_hardware_that_fails_is_named_and_not_tried_again(
    pauses: Pauses, error: int, message: str
) -> None:
    tree = no_quote(error)
    files = FakeFiles(tree)

    with pytest.raises(HardwareError, match=message) as raised:
        ConfigfsTsm(files=files, pause=pauses).read_report(BOUND, SEV_GUEST, 0)

    assert errno.errorcode[error] in raised.value.message
    assert not pauses.seconds
    assert not tree.entries
    assert files.open_descriptors == 0


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errno.ENOENT, "needs Linux 6.7"),
        (errno.EACCES, "run the server as root"),
        (errno.EPERM, "configfs writable"),
        (errno.EROFS, "mounted writable"),
    ],
)
def test_an_entry_that_cannot_be_made_says_what_to_do(
    tree: FakeConfigfs, error: int, message: str
) -> None:
    files = FakeFiles(tree, [Fault("mkdir", "", error)])

    with pytest.raises(HardwareError, match=message):
        ConfigfsTsm(files=files).read_report(BOUND, SEV_GUEST, 0)


def test_a_report_of_another_tee_is_refused(tdx: FakeConfigfs) -> None:
    with pytest.raises(HardwareError, match="expected sev_guest, got 'tdx_guest'"):
        ConfigfsTsm(files=FakeFiles(tdx)).read_report(BOUND, SEV_GUEST)


def test_a_blob_over_the_limit_is_refused() -> None:
    tree = FakeConfigfs(TDX_GUEST, lambda _, __: (bytes((1 << 16) + 1), b""))

    with pytest.raises(HardwareError, match="outblob: expected at most 65536 bytes"):
        ConfigfsTsm(files=FakeFiles(tree)).read_report(BOUND, TDX_GUEST)


def test_an_entry_that_stays_is_logged_and_the_report_counts(
    tree: FakeConfigfs, caplog: pytest.LogCaptureFixture
) -> None:
    files = FakeFiles(tree, [Fault("rmdir", "", errno.EBUSY)])

    with caplog.at_level(logging.WARNING):
        report = ConfigfsTsm(files=files).read_report(BOUND, SEV_GUEST, 0)

    assert report.outblob.endswith(BOUND)
    assert "cannot be removed, EBUSY" in caplog.text


def test_the_provider_is_the_kernel_s_name(tdx: FakeConfigfs) -> None:
    assert ConfigfsTsm(files=FakeFiles(tdx)).read_provider() == TDX_GUEST
    assert not tdx.entries


def test_without_a_driver_there_is_no_provider() -> None:
    tree = FakeConfigfs(None, quote)

    with pytest.raises(HardwareAbsentError, match="ENXIO; no TEE driver is loaded"):
        ConfigfsTsm(files=FakeFiles(tree)).read_provider()


@pytest.mark.parametrize("floor", [0, 3])
def test_the_floor_is_the_kernel_s(floor: int) -> None:
    tree = FakeConfigfs(SEV_GUEST, quote, privlevel_floor=floor)

    assert ConfigfsTsm(files=FakeFiles(tree)).read_vmpl_floor() == floor


def test_a_floor_above_3_is_refused() -> None:
    tree = FakeConfigfs(SEV_GUEST, quote, privlevel_floor=4)

    with pytest.raises(HardwareError, match="expected at most 3, got 4"):
        ConfigfsTsm(files=FakeFiles(tree)).read_vmpl_floor()


CALLS = ("open", "read", "write", "close", "mkdir", "rmdir")
NAMES = ("", "provider", "generation", "privlevel", "inblob", "outblob", "auxblob")
FAULTS = st.builds(
    Fault,
    st.sampled_from(CALLS),
    st.sampled_from(NAMES),
    st.sampled_from(sorted(errno.errorcode)),
    st.integers(1, 20),
)


@given(st.lists(FAULTS, max_size=4), st.integers(1, 70), st.integers(0, 3))
def test_whatever_fails_there_is_the_report_or_a_hardware_error(
    faults: list[Fault], piece_bytes: int, lost_writes: int
) -> None:
    tree = FakeConfigfs(SEV_GUEST, quote)
    tree.lost_writes = lost_writes
    files = FakeFiles(tree, faults, piece_bytes=piece_bytes)

    with contextlib.suppress(HardwareError):
        reports = ConfigfsTsm(files=files, pause=Pauses())
        report = reports.read_report(BOUND, SEV_GUEST, 0)
        assert report == TsmReport(b"report 0 " + BOUND, b"table")

    assert files.open_descriptors == 0
