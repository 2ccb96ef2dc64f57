"""Intel SGX and TDX: what believes a quote, and what holds it against a policy."""

from blindai.verifier.intel.appraisal import appraise_sgx, appraise_tdx
from blindai.verifier.intel.verification import verify_sgx, verify_tdx

__all__ = ["appraise_sgx", "appraise_tdx", "verify_sgx", "verify_tdx"]
