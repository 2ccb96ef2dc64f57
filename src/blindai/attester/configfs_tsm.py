"""Reports of SEV-SNP and TDX through configfs-tsm, the kernel's one interface to both.

Linux 6.7 and later (Documentation/ABI/testing/configfs-tsm-report):

    /sys/kernel/config/tsm/report/NAME/     made with mkdir, gone with rmdir
      inblob           w   64 bytes to bind; counts only when the file is closed
      privlevel        w   SEV-SNP: the VMPL that the report is for
      privlevel_floor  r   ... the lowest that this guest may ask for
      generation       r   how often inblob and privlevel were written
      provider         r   "sev_guest" or "tdx_guest"
      outblob          r   the report or quote; reading it asks the hardware
      auxblob          r   SEV-SNP: the host's certificate table, may be empty

The kernel drops an error that it meets while `inblob` is closed, and another process
may write to the same entry. So a report counts only if, after it was read, the
generation is what it was before plus our own writes. Each report has an entry of its
own.

    report = ConfigfsTsm().read_report(report_data, SEV_GUEST)
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blindai.attester.devices import (
    Folders,
    failure,
    read_file,
    uninterrupted,
    write_file,
)
from blindai.errors import HardwareBusyError, HardwareError
from blindai.protocol.attestation import MAX_EVIDENCE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPORTS: Final = "/sys/kernel/config/tsm/report"
SEV_GUEST: Final = "sev_guest"
TDX_GUEST: Final = "tdx_guest"
MAX_VMPL: Final = 3  # TSM_REPORT_PRIVLEVEL_MAX

_MAX_TEXT_BYTES: Final = 4096
_PAUSES_S: Final = (0.05, 0.2, 0.8)  # before another try where somebody was faster
_ENTRY_ADVICE: Final = {
    errno.ENOENT: "needs Linux 6.7 or later with configfs mounted: "
    "mount -t configfs none /sys/kernel/config",
    errno.ENXIO: "no TEE driver is loaded: modprobe sev-guest, or tdx-guest",
    errno.EACCES: "run the server as root",
    errno.EPERM: "run the server as root; a container needs configfs writable",
    errno.EROFS: "a container needs /sys/kernel/config mounted writable",
}
_BLOB_ADVICE: Final = {
    errno.EINVAL: "the driver refuses; is the VMPL one that this guest has?",
    errno.ENXIO: "no driver, or the firmware failed: see the kernel's log",
    errno.ENOTTY: "the guest's key with the secure processor was given up after a "
    "failure (see the kernel's log): restart the VM",
    errno.EBADMSG: "the secure processor's answer was not authentic: restart the VM",
    errno.ETIMEDOUT: "the host's quote generation service did not answer in time: "
    "ask the host's operator to look at it",
    errno.EIO: "the host could not make a quote: is its quote generation service up?",
    errno.EFBIG: "larger than this kernel can hand out: update the kernel",
    errno.EBUSY: "an earlier quote is still being made",
    errno.EACCES: "run the server as root",
}
_log = logging.getLogger("blindai.attester")


@dataclass(frozen=True, slots=True)
class TsmReport:
    """What the kernel hands out.

    Attributes:
        outblob: The SEV-SNP report or the TDX quote.
        auxblob: The certificate table; empty where there is none.
    """

    outblob: bytes = field(repr=False)
    auxblob: bytes = field(default=b"", repr=False)


class ConfigfsTsm:
    """The kernel's reports, each from an entry of its own.

    Args:
        root: Where the entries are made.
        files: Makes the calls.
        pause: Waits so many seconds.
    """

    def __init__(
        self,
        root: str = REPORTS,
        files: Folders = os,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._root = root
        self._files = files
        self._pause = pause

    def read_provider(self) -> str:
        """Which TEE's driver answers, as the kernel names it.

        Raises:
            HardwareAbsentError: If there is no such interface, or no driver behind it.
            HardwareError: If it is there and cannot be used.
        """
        with self._entry() as entry:
            return self._read_text(f"{entry}/provider")

    def read_vmpl_floor(self) -> int:
        """The lowest VMPL that this guest may name, 0 to 3.

        Raises:
            HardwareError: If the kernel does not say.
        """
        with self._entry() as entry:
            floor = self._read_number(f"{entry}/privlevel_floor")
        if floor > MAX_VMPL:
            raise HardwareError(f"privlevel_floor: expected at most 3, got {floor}")
        return floor

    def read_report(
        self, report_data: bytes, provider: str, vmpl: int | None = None
    ) -> TsmReport:
        """A report that binds 64 bytes.

        Args:
            report_data: What to bind.
            provider: Whose report it must be.
            vmpl: The VMPL to name, where the provider knows such; or None.

        Raises:
            HardwareError: If there is none, or it is of another provider.
            HardwareBusyError: If the device stays busy, or others keep writing.
        """
        for pause_s in _PAUSES_S:
            try:
                return self._read_once(report_data, provider, vmpl)
            except HardwareBusyError as error:
                _log.info("trying again: %s", error.message)
                self._pause(pause_s)
        return self._read_once(report_data, provider, vmpl)

    def _read_once(
        self, report_data: bytes, provider: str, vmpl: int | None
    ) -> TsmReport:
        with self._entry() as entry:
            actual = self._read_text(f"{entry}/provider")
            if actual != provider:
                raise HardwareError(f"TEE: expected {provider}, got {actual!r}")
            before = self._read_number(f"{entry}/generation")
            expected = before + self._write_request(entry, report_data, vmpl)
            self._require_generation(entry, expected)
            outblob = self._read_blob(f"{entry}/outblob")
            auxblob = b""
            if provider == SEV_GUEST:
                auxblob = self._read_blob(f"{entry}/auxblob")
            self._require_generation(entry, expected)
        return TsmReport(outblob, auxblob)

    def _write_request(self, entry: str, report_data: bytes, vmpl: int | None) -> int:
        """Write what to ask for; how many writes that took."""
        writes = 1
        if vmpl is not None:
            text = str(vmpl).encode()
            write_file(self._files, f"{entry}/privlevel", text, _BLOB_ADVICE)
            writes += 1
        write_file(self._files, f"{entry}/inblob", report_data, _BLOB_ADVICE)
        return writes

    def _require_generation(self, entry: str, expected: int) -> None:
        actual = self._read_number(f"{entry}/generation")
        if actual != expected:
            raise HardwareBusyError(
                f"{entry}: expected generation {expected}, got {actual}; "
                "another process writes to it, or a write was lost"
            )

    def _read_blob(self, path: str) -> bytes:
        return read_file(self._files, path, MAX_EVIDENCE_BYTES, _BLOB_ADVICE)

    def _read_text(self, path: str) -> str:
        content = read_file(self._files, path, _MAX_TEXT_BYTES, _BLOB_ADVICE)
        return content.decode("ascii", "replace").strip()

    def _read_number(self, path: str) -> int:
        text = self._read_text(path)
        if not (text.isascii() and text.isdigit()):
            raise HardwareError(f"{path}: expected a number, got another text")
        return int(text)

    @contextlib.contextmanager
    def _entry(self) -> Iterator[str]:
        """An entry of our own, and its end."""
        entry = f"{self._root}/blindai-{secrets.token_hex(8)}"
        try:
            uninterrupted(lambda: self._files.mkdir(entry))
        except OSError as error:
            failed = failure(self._root, "get an entry", error, _ENTRY_ADVICE)
            raise failed from error
        try:
            yield entry
        finally:
            self._remove(entry)

    def _remove(self, entry: str) -> None:
        """Remove an entry; one that stays does no harm but to be there."""
        try:
            uninterrupted(lambda: self._files.rmdir(entry))
        except OSError as error:
            _log.warning("%s", failure(entry, "be removed", error, {}).message)
