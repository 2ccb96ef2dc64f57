"""A TPM, alone or in an Azure VM: what believes a quote, and holds it to a policy."""

from blindai.verifier.tpm.appraisal import appraise
from blindai.verifier.tpm.azure import AZURE_SNP, AZURE_TDX, Azure
from blindai.verifier.tpm.verification import verify

__all__ = ["AZURE_SNP", "AZURE_TDX", "Azure", "appraise", "verify"]
