"""Intel TDX, seen from the guest: quotes through configfs-tsm, and the event log.

TDX derives no sealing key for a guest: nothing that is sealed by one TD could be opened
by it after a restart, so nothing is kept.
"""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING, Final

from blindai.attester.configfs_tsm import TDX_GUEST, ConfigfsTsm
from blindai.attester.devices import Files, read_file
from blindai.attester.evidence_fields import require_bound
from blindai.errors import HardwareError
from blindai.protocol.attestation import (
    MAX_EVENT_LOG_BYTES,
    TDX_QUOTE_TYPE,
    Evidence,
)

if TYPE_CHECKING:
    from blindai.protocol.keyset import Binding

CCEL: Final = "/sys/firmware/acpi/tables/data/CCEL"
_ADVICE: Final = {errno.EACCES: "run the server as root"}
_log = logging.getLogger("blindai.attester")


class TdxAttester:
    """An Intel TDX guest.

    Args:
        reports: Hands out quotes.
        event_log: Where the firmware's event log is (ACPI 6.5, CCEL).
        files: Reads it.
    """

    def __init__(
        self,
        reports: ConfigfsTsm | None = None,
        event_log: str = CCEL,
        files: Files = os,
    ) -> None:
        self._reports = reports or ConfigfsTsm()
        self._event_log = event_log
        self._files = files

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        return TDX_QUOTE_TYPE

    @property
    def sealing(self) -> str | None:
        """Which sealing key it derives: none."""
        return None

    def attest(self, binding: Binding) -> Evidence:
        """A quote that binds what it is given, with the event log.

        Raises:
            HardwareError: If the hardware gives none.
        """
        bound = binding.report_data
        report = self._reports.read_report(bound, TDX_GUEST)
        evidence = Evidence(
            media_type=self.tee,
            evidence=report.outblob,
            event_log=self._read_event_log(),
        )
        return require_bound(evidence, bound)

    def sealing_key(self) -> bytes | None:
        """None: TDX has no sealing key."""
        return None

    def _read_event_log(self) -> bytes:
        """The log, or nothing where the firmware made none.

        Without it the verifier has the registers, and cannot say what is in them.
        """
        try:
            return read_file(self._files, self._event_log, MAX_EVENT_LOG_BYTES, _ADVICE)
        except HardwareError as error:
            _log.warning("the event log is left out: %s", error.message)
            return b""
