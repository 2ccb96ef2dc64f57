"""What was booted, as far as quoted registers vouch for the event log.

TCG PC Client Platform Firmware Profile (PFP) 1.05 revision 23, 3.3.4 (which PCR holds
what) and 10.4 (events). Google's firmware says in PCR 0 which memory encryption it
found (EV_NONHOST_INFO, "GCE NonHostInfo"; go-tpm-tools, server/policy_constants.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from blindai.verifier.eventlog import EventType, Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blindai.protocol.tpm import Pcrs
    from blindai.verifier.eventlog import EventLog

_STRONGEST_FIRST: Final = ("sha512", "sha384", "sha256")  # SHA-1 vouches for nothing
_FIRMWARE_PCR: Final = 0
_SECURE_BOOT_PCR: Final = 7
# UEFI_VARIABLE_DATA (PFP 10.2.6): EFI_GLOBAL_VARIABLE, lengths u64 of the name in
# letters and the value in bytes, the name in UTF-16, the value.
_SECURE_BOOT: Final = (
    bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
    + (10).to_bytes(8, "little")
    + (1).to_bytes(8, "little")
    + "SecureBoot".encode("utf-16-le")
)
_ON, _OFF = b"\x01", b"\x00"
_NONHOST_INFO: Final = b"GCE NonHostInfo\x00"
_TECHNOLOGIES: Final = MappingProxyType(
    {
        bytes([number]) + bytes(15): name
        for number, name in enumerate(("none", "sev", "sev-es", "tdx", "sev-snp"))
    }
)
GOOGLE_TECHNOLOGIES: Final = tuple(_TECHNOLOGIES.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What the event log says and registers vouch for.

    Attributes:
        replayed: Registers that the log accounts for.
        secure_boot: Whether only what is signed was booted; None if nothing says so.
        google_technology: Memory encryption that Google's firmware found, or None.
    """

    replayed: frozenset[int] = frozenset()
    secure_boot: bool | None = None
    google_technology: str | None = None


def read_boot(log: EventLog, pcrs: Pcrs) -> Boot:
    """Replay a log into the strongest bank that it has and that is quoted.

    Args:
        log: Unsigned; whatever it says beyond its digests counts for nothing.
        pcrs: The registers that are quoted, authentic already.
    """
    common = (bank for bank in _STRONGEST_FIRST if bank in pcrs.keys() & log.algorithms)
    bank = next(common, None)
    if bank is None:
        return Boot()
    expected = log.replay(bank)
    replayed = {
        index
        for index, value in pcrs[bank].items()
        if expected.get(index, bytes(len(value))) == value
    }
    secure_boot = google_technology = None
    if _SECURE_BOOT_PCR in replayed:
        secure_boot = _secure_boot(log, bank)
    if _FIRMWARE_PCR in replayed:
        google_technology = _google_technology(log, bank)
    return Boot(
        replayed=frozenset(replayed),
        secure_boot=secure_boot,
        google_technology=google_technology,
    )


def _secure_boot(log: EventLog, bank: str) -> bool | None:
    kind = EventType.EFI_VARIABLE_DRIVER_CONFIG
    for data in _firmware_data(log, bank, _SECURE_BOOT_PCR, kind):
        if data in {_SECURE_BOOT + _ON, _SECURE_BOOT + _OFF}:
            return data.endswith(_ON)
    return None


def _google_technology(log: EventLog, bank: str) -> str | None:
    for data in _firmware_data(log, bank, _FIRMWARE_PCR, EventType.NONHOST_INFO):
        if data.startswith(_NONHOST_INFO):
            return _TECHNOLOGIES.get(data.removeprefix(_NONHOST_INFO))
    return None


def _firmware_data(
    log: EventLog, bank: str, register: int, kind: EventType
) -> Iterator[bytes]:
    """Data that firmware measured, and that the register vouches for."""
    for event in log.from_firmware(register, bank):
        if event.type == kind and event.measured(bank) is Measured.DATA:
            yield event.data
