"""SEV-SNP, seen from the guest: reports of configfs-tsm, keys of sev-guest."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from blindai.attester import sev_guest
from blindai.attester.certificate_table import parse_certificate_table
from blindai.attester.configfs_tsm import MAX_VMPL, SEV_GUEST, ConfigfsTsm
from blindai.attester.evidence_fields import require_bound
from blindai.errors import EvidenceError, HardwareError
from blindai.protocol.attestation import SEV_SNP_REPORT_TYPE, Evidence
from blindai.sealing import derive_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from blindai.protocol.attestation import Endorsement
    from blindai.protocol.keyset import Binding

REPORT_BYTES: Final = 1184  # AMD 56860, 7.3
_log = logging.getLogger("blindai.attester")


class SevSnpAttester:
    """An AMD SEV-SNP guest.

    Args:
        vmpl: The VMPL to attest and to derive keys for; if None, the lowest that this
            guest may name, which is its own.
        reports: Hands out reports.
        read_key: Derives a key for a VMPL.
    """

    def __init__(
        self,
        vmpl: int | None = None,
        reports: ConfigfsTsm | None = None,
        read_key: Callable[[int], bytes] = sev_guest.read_derived_key,
    ) -> None:
        if vmpl is not None and not 0 <= vmpl <= MAX_VMPL:
            raise ValueError(f"VMPL: expected 0 to {MAX_VMPL}, got {vmpl}")
        self._vmpl = vmpl
        self._reports = reports or ConfigfsTsm()
        self._read_key = read_key

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        return SEV_SNP_REPORT_TYPE

    @property
    def sealing(self) -> str | None:
        """Which sealing key it derives, in words."""
        return (
            "derived by AMD's secure processor from its endorsement key for this "
            "measurement, guest policy and VMPL"
        )

    def attest(self, binding: Binding) -> Evidence:
        """A report that binds what it is given, with the certificates the host gave.

        Raises:
            HardwareError: If the hardware gives none.
        """
        bound = binding.report_data
        report = self._reports.read_report(bound, SEV_GUEST, self._own_vmpl())
        if len(report.outblob) != REPORT_BYTES:
            raise HardwareError(
                f"SEV-SNP report: expected {REPORT_BYTES} bytes,"
                f" got {len(report.outblob)}"
            )
        evidence = Evidence(
            media_type=self.tee,
            evidence=report.outblob,
            endorsements=_endorsements(report.auxblob),
        )
        return require_bound(evidence, bound)

    def sealing_key(self) -> bytes | None:
        """A key of 32 bytes for this measurement, guest policy and VMPL.

        Raises:
            HardwareError: If the secure processor derives none.
        """
        vmpl = self._own_vmpl()
        return derive_key(self._read_key(vmpl), f"sev-snp measurement vmpl {vmpl}")

    def _own_vmpl(self) -> int:
        if self._vmpl is None:
            self._vmpl = self._reports.read_vmpl_floor()
        return self._vmpl


def _endorsements(table: bytes) -> tuple[Endorsement, ...]:
    """What the host gave; a table that is none is left out, and said so."""
    try:
        return parse_certificate_table(table)
    except EvidenceError as error:
        _log.warning("the host's certificates are left out: %s", error.message)
        return ()
