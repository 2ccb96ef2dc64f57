"""Whether this machine has a TPM, and whether it is the vTPM of Azure's paravisor."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from blindai.attester.azure_metadata import (
    ADDRESS,
    read_amd_certificates,
    read_td_quote,
)
from blindai.attester.tpm.attester import AzureAttester, Sources, TpmAttester
from blindai.attester.tpm.commands import Tpm
from blindai.attester.tpm.device import TpmDevice
from blindai.errors import HardwareError
from blindai.protocol.attestation import AZURE_SNP_TYPE, PEM_CHAIN_TYPE, Endorsement

if TYPE_CHECKING:
    from blindai.attester.tpm.device import Transport

_log = logging.getLogger("blindai.attester")


def probe_tpm(
    device: Transport | None = None, sources: Sources | None = None
) -> TpmAttester:
    """A TPM.

    Raises:
        HardwareAbsentError: If there is none.
        HardwareError: If it has no registers in the bank that is to be quoted.
    """
    tpm, sources = Tpm(device or TpmDevice()), sources or Sources()
    if sources.bank not in tpm.banks():
        raise HardwareError(f"TPM: expected a bank of {sources.bank}")
    return TpmAttester(tpm, sources)


def probe_azure(
    device: Transport | None = None,
    sources: Sources | None = None,
    address: str = ADDRESS,
) -> AzureAttester:
    """The vTPM of an Azure confidential VM; AMD's certificates from Azure's service.

    Without the service there are none: then they have to come from AMD's.

    Raises:
        HardwareAbsentError: If this is no such VM.
        HardwareError: If it is one, and cannot be used.
    """
    tpm, sources = Tpm(device or TpmDevice()), sources or Sources()
    attester = AzureAttester(
        tpm, sources, lambda report: read_td_quote(report, address)
    )
    if attester.tee != AZURE_SNP_TYPE or sources.endorsements:
        return attester
    try:
        chain = Endorsement(PEM_CHAIN_TYPE, read_amd_certificates(address))
    except HardwareError as error:
        _log.warning("no certificates of the processor: %s", error.message)
        return attester
    return AzureAttester(tpm, replace(sources, endorsements=(chain,)))
