"""What a TPM's quote says, and what Azure's paravisor adds. Nothing is believed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blindai.protocol.tpm import Pcrs
    from blindai.verifier.claims import Claims
    from blindai.verifier.tpm.boot import Boot


class AkSource(StrEnum):
    """Who says that the quoting key is a TPM's attestation key."""

    CERTIFICATE = "certificate"
    HARDWARE = "hardware-report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How long a TPM has run (TPM 2.0 Library, part 2, 10.11.1).

    Attributes:
        milliseconds: Its clock, which runs while it is powered.
        reset_count: How often it was started anew.
        restart_count: How often it was resumed since.
        safe: Whether no later clock was ever reported.
    """

    milliseconds: int
    reset_count: int
    restart_count: int
    safe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleInstance:
    """Whose virtual machine an attestation key belongs to, as Google certifies it.

    Attributes:
        zone: Where it runs.
        project_number: Names its project.
        project_id: ... for people.
        instance_id: Names the machine, for ever.
        instance_name: ... for people.
    """

    zone: str
    project_number: int
    project_id: str
    instance_id: int
    instance_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmClaims:
    """What a quote says about what was booted.

    Attributes:
        pcrs: The registers that are quoted.
        firmware_version: Of the TPM, as its maker counts.
        clock: How long it has run.
        ak_source: Who vouches for its key.
        boot: What the event log says and the registers vouch for.
        instance: Whose machine it is, if Google certifies it.
    """

    pcrs: Pcrs
    firmware_version: int
    clock: Clock
    ak_source: AkSource
    boot: Boot
    instance: GoogleInstance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureConfiguration:
    """What Azure's paravisor says about the virtual machine.

    Attributes:
        vm_id: Names it.
        secure_boot: Whether its firmware only boots what is signed.
        console_enabled: Whether it has a console, through which its operator comes in.
        user_data: What the guest wrote to NV index 01400002h, 64 bytes.
    """

    vm_id: str
    secure_boot: bool
    console_enabled: bool
    user_data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureClaims:
    """What an Azure confidential VM says: its hardware, its paravisor and its vTPM.

    Attributes:
        hardware: The report or quote of the processor, made for the paravisor; its
            measurement is the paravisor's.
        configuration: What the paravisor says about the virtual machine.
        tpm: What the vTPM in the paravisor says about what was booted.
    """

    hardware: Claims
    configuration: AzureConfiguration
    tpm: TpmClaims
