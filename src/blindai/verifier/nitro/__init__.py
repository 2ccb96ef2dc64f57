"""AWS Nitro Enclaves: attestation documents of the Nitro hypervisor."""

from blindai.verifier.nitro.appraisal import appraise
from blindai.verifier.nitro.verification import verify

__all__ = ["appraise", "verify"]
