"""What an operator can change about a machine, and how `blindai verify` ends then.

Each row is one change: what it is about, how the made-up machine is told of it, the
exit code, and all checks that do not hold. What a TEE has no notion of stands in
`NOT_THERE`, with the reason, so that no field of the table is empty by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from blindai.cli.exits import Exit

MALFORMED, NOT_AUTHENTIC, NOT_ACCEPTED = (
    Exit.MALFORMED,
    Exit.NOT_AUTHENTIC,
    Exit.NOT_ACCEPTED,
)
ABOUT: Final = ("measurement", "debug", "TCB", "signature", "date")
"""What every TEE has a row about, or a reason why not. Nonce and keys: see front.py."""

_32, _48, _64 = "aa" * 32, "aa" * 48, "aa" * 64
_PAST = "2026-01-01T00:00:00+00:00"
_OLD_TCB = "0900000000001754"


@dataclass(frozen=True)
class Row:
    """One change.

    Attributes:
        about: What it is about, in a word or two.
        change: Names and values, as `--change` takes them.
        code: How the command ends.
        checks: The checks that do not hold.
    """

    about: str
    change: str
    code: Exit
    checks: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The change on the command line."""
        return tuple(
            word for each in self.change.split() for word in ("--change", each)
        )


def row(about: str, change: str, code: Exit, *checks: str) -> Row:
    return Row(about, change, code, checks)


# fmt: off
_TDX: Final = (
    row("measurement", f"mr_td={_48}", NOT_ACCEPTED, "MRTD"),
    row("kernel", "boot=another", NOT_ACCEPTED, "RTMR1"),
    row("event log", "log=another", NOT_AUTHENTIC, "event log: RTMR1"),
    row("debug", "td_attributes=0x10000001", NOT_ACCEPTED, "debug mode"),
    row("TCB", "tcb=3", NOT_ACCEPTED, "TCB status"),
    row("TCB unknown", "tcb=1", NOT_AUTHENTIC, "platform TCB level"),
    row("signature", "signing_key=another", NOT_AUTHENTIC, "quote signature"),
    row("revoked", "revoked=3", NOT_AUTHENTIC, "PCK leaf certificate: revocation"),
    row("date", "age_days=40", NOT_AUTHENTIC, "TCB info: validity"),
)
_VTPM: Final = (
    row("kernel", "boot=another", NOT_ACCEPTED, "PCR 11 (sha256)"),
    row("event log", "log=another", NOT_ACCEPTED, "event log"),
    row("secure boot", "secure_boot=off", NOT_ACCEPTED, "secure boot"),
    row("TPM's key", "signing_key=another", NOT_AUTHENTIC, "vTPM: quote signature"),
)
_PARAVISOR: Final = (
    row("paravisor", f"report_data={_64}", NOT_AUTHENTIC, "paravisor's claims"),
)
REFUSALS: Final[Mapping[str, tuple[Row, ...]]] = {
    "sgx": (
        row("measurement", f"mr_enclave={_32}", NOT_ACCEPTED, "MRENCLAVE"),
        row("debug", "flags=0x7", NOT_ACCEPTED, "debug mode"),
        row("TCB", "tcb=3", NOT_ACCEPTED, "TCB status"),
        row("TCB unknown", "tcb=1", NOT_AUTHENTIC, "platform TCB level"),
        row("signature", "signing_key=another", NOT_AUTHENTIC, "quote signature"),
        row("revoked", "revoked=3", NOT_AUTHENTIC, "PCK leaf certificate: revocation"),
        row("date", "age_days=40", NOT_AUTHENTIC, "TCB info: validity"),
    ),
    "tdx": _TDX,
    "tdx-1.0": tuple(each for each in _TDX if each.about in ABOUT),
    "sev-snp": (
        row("measurement", f"measurement={_48}", NOT_ACCEPTED, "measurement"),
        row("debug", "guest_policy=0xb001f", NOT_ACCEPTED, "debug mode"),
        row("VMPL", "vmpl=1", NOT_ACCEPTED, "VMPL"),
        row("TCB", f"tcb={_OLD_TCB} leaf_tcb={_OLD_TCB}", NOT_ACCEPTED, "platform TCB"),
        row("TCB forged", f"tcb={_OLD_TCB}", NOT_AUTHENTIC, "reported TCB"),
        row("chip", f"chip_id={_64}", NOT_AUTHENTIC, "chip ID"),
        row("signature", "signing_key=another", NOT_AUTHENTIC, "report signature"),
        row("date", f"leaf_not_after={_PAST}", NOT_AUTHENTIC,
            "leaf certificate: validity"),
        row("date to come", "leaf_not_before=2074-01-01T00:00:00+00:00", NOT_AUTHENTIC,
            "leaf certificate: validity"),
    ),
    "sev-snp-gpu": (
        row("measurement", f"gpu_measured={_48}", NOT_ACCEPTED,
            "GPU 0: driver measurements", "GPU 0: VBIOS measurements"),
        row("mode", "gpu_mode=mpt", NOT_ACCEPTED, "GPU 0: mode"),
        row("TCB", "gpu_driver=535.104.05", NOT_ACCEPTED,
            "GPU 0: least driver version", "GPU 0: driver measurements"),
        row("debug", "guest_policy=0xb001f", NOT_ACCEPTED, "debug mode"),
        row("signature", "gpu_signing_key=another", NOT_AUTHENTIC,
            "GPU 0: measurements signature"),
        row("date", f"gpu_not_after={_PAST}", NOT_AUTHENTIC,
            "GPU 0: leaf certificate: validity"),
    ),
    "nitro": (
        row("measurement", f"pcr0={_48}", NOT_ACCEPTED, "PCR0"),
        row("debug", f"pcr0={'00' * 48}", NOT_ACCEPTED, "debug mode", "PCR0"),
        row("signature", "signing_key=another", NOT_AUTHENTIC, "document signature"),
        row("date", f"now={_PAST}", NOT_AUTHENTIC, "leaf certificate: validity"),
    ),
    "tpm": (
        row("measurement", "boot=another", NOT_ACCEPTED, "PCR 11 (sha256)"),
        row("event log", "log=another", NOT_ACCEPTED, "event log"),
        row("secure boot", "secure_boot=off", NOT_ACCEPTED, "secure boot"),
        row("signature", "signing_key=another", NOT_AUTHENTIC, "quote signature"),
        row("date", f"ak_not_after={_PAST}", NOT_AUTHENTIC,
            "leaf certificate: validity"),
    ),
    "azure": (
        row("measurement", f"measurement={_48}", NOT_ACCEPTED, "measurement"),
        row("debug", "guest_policy=0xb001f", NOT_ACCEPTED, "debug mode"),
        row("VMPL", "vmpl=1", NOT_AUTHENTIC, "paravisor's privilege level"),
        row("TCB", f"tcb={_OLD_TCB} leaf_tcb={_OLD_TCB}", NOT_ACCEPTED, "platform TCB"),
        row("TCB forged", f"tcb={_OLD_TCB}", NOT_AUTHENTIC, "reported TCB"),
        row("signature", "hardware_key=another", NOT_AUTHENTIC, "report signature"),
        row("date", f"leaf_not_after={_PAST}", NOT_AUTHENTIC,
            "leaf certificate: validity"),
        *_VTPM,
        *_PARAVISOR,
    ),
    "azure-tdx": (
        row("measurement", f"mr_td={_48}", NOT_ACCEPTED, "MRTD"),
        row("debug", "td_attributes=0x10000001", NOT_ACCEPTED, "debug mode"),
        row("TCB", "tcb=3", NOT_ACCEPTED, "TCB status"),
        row("TCB unknown", "tcb=1", NOT_AUTHENTIC, "platform TCB level"),
        row("signature", "hardware_key=another", NOT_AUTHENTIC, "quote signature"),
        row("revoked", "revoked=3", NOT_AUTHENTIC, "PCK leaf certificate: revocation"),
        row("date", "age_days=40", NOT_AUTHENTIC, "TCB info: validity"),
        *_VTPM,
        *_PARAVISOR,
    ),
}
# fmt: on
NOT_THERE: Final[Mapping[tuple[str, str], str]] = {
    ("nitro", "TCB"): "AWS's documents name no version of hypervisor or firmware",
    ("tpm", "TCB"): "a TPM in software has one firmware; a policy asks more, below",
    ("tpm", "debug"): "a TPM says nothing of a debug mode; what it has is secure boot",
}


@dataclass(frozen=True)
class Demand:
    """What a policy asks more than the honest machine has.

    Attributes:
        about: What, in a word or two.
        tee: Of which machine.
        below: The line of the policy below which it stands.
        line: What it says.
        code: How the command ends.
        checks: The checks that do not hold.
    """

    about: str
    tee: str
    below: str
    line: str
    code: Exit
    checks: tuple[str, ...]

    def of(self, policy: str) -> str:
        """The policy with it."""
        assert self.below in policy
        return policy.replace(self.below, f"{self.below}\n{self.line}", 1)


DEMANDS: Final = (
    Demand(
        about="lists of revoked certificates",
        tee="sev-snp",
        below="version = 1",
        line="[evidence]\nrequire_revocation = true",
        code=Exit.NOT_EVALUATED,
        checks=("intermediate certificate: revocation",),
    ),
    Demand(
        about="newer firmware of the TPM",
        tee="tpm",
        below="[tpm]",
        line=f"minimum_firmware = {1 << 62}",
        code=NOT_ACCEPTED,
        checks=("TPM firmware",),
    ),
)
