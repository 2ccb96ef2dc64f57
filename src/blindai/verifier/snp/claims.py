"""What an SEV-SNP report says, beyond what all evidence says. Nothing is believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from blindai.tables import between

_Level = Annotated[int, between(0, 255)]  # in a policy file


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcb:
    """Security patch levels of the platform's firmware, each 0..255.

    Attributes:
        bootloader: The security processor's boot loader.
        tee: The security processor's operating system.
        snp: The SEV-SNP firmware.
        microcode: The cores' microcode.
    """

    bootloader: _Level = 0
    tee: _Level = 0
    snp: _Level = 0
    microcode: _Level = 0

    def reaches(self, floor: Tcb) -> bool:
        """Whether every component is at least the floor's."""
        return (
            self.bootloader >= floor.bootloader
            and self.tee >= floor.tee
            and self.snp >= floor.snp
            and self.microcode >= floor.microcode
        )

    def __str__(self) -> str:
        """The four levels with their names, for a transcript."""
        return (
            f"bootloader {self.bootloader}, tee {self.tee},"
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
class SnpClaims:
    """What a report says about the enclave and the platform below it.

    Attributes:
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
        tcb: The firmware that the evidence vouches for.
        committed_tcb: The firmware that cannot be rolled back.
        chip_id: Names the processor, 64 bytes; zero where it is hidden.
    """

    vmpl: int
    guest_policy: GuestPolicy
    guest_svn: int
    family_id: bytes
    image_id: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    tcb: Tcb
    committed_tcb: Tcb
    chip_id: bytes
