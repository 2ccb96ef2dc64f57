"""A TPM, asked in raw commands: quotes, and a secret sealed to what was booted."""

from blindai.attester.tpm.attester import AzureAttester, TpmAttester
from blindai.attester.tpm.commands import Tpm
from blindai.attester.tpm.device import TpmDevice
from blindai.attester.tpm.probe import probe_azure, probe_tpm
from blindai.attester.tpm.sealing import SealedSecret

__all__ = [
    "AzureAttester",
    "SealedSecret",
    "Tpm",
    "TpmAttester",
    "TpmDevice",
    "probe_azure",
    "probe_tpm",
]
