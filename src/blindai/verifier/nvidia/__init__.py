"""NVIDIA GPUs, attested beside the CPU that drives them."""

from blindai.verifier.nvidia.appraisal import appraise
from blindai.verifier.nvidia.verification import verify

__all__ = ["appraise", "verify"]
