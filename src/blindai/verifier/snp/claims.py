"""What an SEV-SNP report says, beyond what all evidence says. Nothing is believed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from blindai.tables import between

_Level = Annotated[int, between(0, 255)]  # in a policy file
_Version = tuple[int, int, int]


class SigningKey(IntEnum):
    """Which kind of key signed a report (SIGNING_KEY): one chip's, or a provider's."""

    VCEK = 0
    VLEK = 1
    NONE = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcb:
    """Security patch levels of the platform's firmware, each 0..255.

    Attributes:
        fmc: The security processor's FMC, which Turin has; None if there is none.
        bootloader: The security processor's boot loader.
        tee: The security processor's operating system.
        snp: The SEV-SNP firmware.
        microcode: The cores' microcode.
    """

    fmc: _Level | None = None
    bootloader: _Level = 0
    tee: _Level = 0
    snp: _Level = 0
    microcode: _Level = 0

    def reaches(self, floor: Tcb) -> bool:
        """Whether every component is at least the floor's."""
        return (
            (self.fmc or 0) >= (floor.fmc or 0)
            and self.bootloader >= floor.bootloader
            and self.tee >= floor.tee
            and self.snp >= floor.snp
            and self.microcode >= floor.microcode
        )

    def __str__(self) -> str:
        """The levels with their names, for a transcript."""
        fmc = "" if self.fmc is None else f"fmc {self.fmc}, "
        return (
            f"{fmc}bootloader {self.bootloader}, tee {self.tee},"
            f" snp {self.snp}, microcode {self.microcode}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestPolicy:
    """What the enclave's owner allows its host (AMD 56860, 4.3, Guest Policy).

    Attributes:
        abi_major: Least major version of the firmware's interface.
        abi_minor: Least minor version of the firmware's interface.
        smt: Simultaneous multithreading may be on.
        migrate_ma: A migration agent may be associated.
        debug: The host may read and write the enclave's memory.
        single_socket: The enclave runs on one socket only.
        cxl_allow: CXL devices and memory may be there.
        mem_aes_256_xts: Memory must be encrypted with AES-256-XTS.
        rapl_dis: Power metering must be off.
        ciphertext_hiding_dram: The host must not see ciphertext.
        page_swap_disable: The host must not move pages.
    """

    abi_major: int
    abi_minor: int
    smt: bool
    migrate_ma: bool
    debug: bool
    single_socket: bool
    cxl_allow: bool
    mem_aes_256_xts: bool
    rapl_dis: bool
    ciphertext_hiding_dram: bool
    page_swap_disable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformInfo:
    """How the machine is set up (AMD 56860, 7.3, PLATFORM_INFO).

    Attributes:
        smt: Simultaneous multithreading is on.
        tsme: All memory is encrypted, the host's too.
        ecc: Memory corrects errors.
        rapl_dis: Power metering is off.
        ciphertext_hiding_dram: The host does not see ciphertext.
        alias_check: No two addresses lead to one place in memory, as was looked at
            since the last reset; None where the report's version does not say.
        tio: Devices may be trusted with the enclave's memory (SEV-TIO); None where the
            report's version does not say.
        others: The bits that have no name in the report's version, 64 bits.
    """

    smt: bool
    tsme: bool
    ecc: bool
    rapl_dis: bool
    ciphertext_hiding_dram: bool
    alias_check: bool | None
    tio: bool | None
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpClaims:
    """What a report says about the enclave and the platform below it.

    Attributes:
        version: Of the report, 2 to 5.
        vmpl: Privilege level that asked for the evidence, 0 (highest) to 3.
        guest_policy: What the enclave's owner allows its host.
        guest_svn: Security version number of the image.
        family_id: Names the family of images, 16 bytes.
        image_id: Names the image, 16 bytes.
        host_data: What the host said at launch, 32 bytes.
        id_key_digest: SHA-384 of the key that signed the image's identity, 48 bytes;
            zero if there was none.
        author_key_digest: SHA-384 of the key that certified it, 48 bytes; zero if
            there was none.
        report_id: Names the running enclave, 32 bytes.
        report_id_ma: Names its migration agent, 32 bytes; all ones if there is none.
        signing_key: Whether a chip's key or a provider's signed the report.
        csp_id: Names the cloud provider; empty where a chip's key signed.
        chip_id: Names the processor, 64 bytes; zero where it is hidden.
        platform: How the machine is set up.
        tcb: The firmware that the evidence vouches for.
        current_tcb: The firmware that runs.
        committed_tcb: The firmware that cannot be rolled back.
        launch_tcb: The firmware when the enclave was launched.
        current_version: Major, minor and build of the SEV-SNP firmware that runs.
        committed_version: The same of the one that cannot be rolled back.
        launch_mitigations: Which mitigations the firmware had verified when the enclave
            was launched, 64 bits; None before version 5.
        current_mitigations: The same when it was asked for evidence.
    """

    version: int
    vmpl: int
    guest_policy: GuestPolicy
    guest_svn: int
    family_id: bytes
    image_id: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    signing_key: SigningKey
    csp_id: str
    chip_id: bytes
    platform: PlatformInfo
    tcb: Tcb
    current_tcb: Tcb
    committed_tcb: Tcb
    launch_tcb: Tcb
    current_version: _Version
    committed_version: _Version
    launch_mitigations: int | None
    current_mitigations: int | None
