"""What a trust domain measured at run time: its event log against RTMR0 to RTMR3.

TCG PC Client Platform Firmware Profile, chapter 10, in the ACPI table CCEL (UEFI 2.11,
38.4): register 0 is MRTD, registers 1 to 4 are RTMR0 to RTMR3. The log is not signed.
It counts where it replays to the registers, which are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.verifier import eventlog
from blindai.verifier.procedure import unevaluated

if TYPE_CHECKING:
    from blindai.verifier.intel.td_report import TdReport
    from blindai.verifier.procedure import Procedure

SOURCE: Final = "UEFI 2.11 38.4.1, Confidential Computing Measurement"
_ALGORITHM: Final = "sha384"


def verify_event_log(procedure: Procedure, log: bytes, report: TdReport) -> None:
    """Replay the event log, if there is one, to the registers.

    Raises:
        EvidenceError: If it is malformed.
        VerificationError: If it is another trust domain's.
    """
    if not log:
        procedure.note(
            unevaluated(
                "event log",
                reason="none came with the evidence",
                actual="none",
                source=SOURCE,
            )
        )
        return
    replayed = eventlog.parse(log).replay(_ALGORITHM)
    for number, register in enumerate(report.rtmr):
        _verify_register(procedure, number, register, replayed.get(number + 1))


def _verify_register(
    procedure: Procedure, number: int, register: bytes, replayed: bytes | None
) -> None:
    """One register. A log need not speak of one that something else extends.

    Raises:
        VerificationError: If the log speaks of another value.
    """
    name = f"event log: RTMR{number}"
    if replayed is None and any(register):
        procedure.note(
            unevaluated(
                name,
                reason="the log has no event of this register",
                actual=register.hex(),
                source=SOURCE,
            )
        )
        return
    value = replayed or bytes(len(register))
    procedure.require(
        name,
        holds=value == register,
        expected=f"the register, {register.hex()}",
        actual=value.hex(),
        source=SOURCE,
    )
