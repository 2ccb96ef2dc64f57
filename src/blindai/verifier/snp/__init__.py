"""AMD SEV-SNP: what believes a report, and what holds it against a policy."""

from blindai.verifier.snp.appraisal import appraise
from blindai.verifier.snp.verification import verify

__all__ = ["appraise", "verify"]
