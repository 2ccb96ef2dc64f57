"""What believes the hardware, or says why not: the RATS verifier.

    Evidence -parse-> Claims -verify-> VerifiedClaims -appraise-> AttestationResult

Pure: no network, files, clock or randomness. `now` and `nonce` are arguments, roots are
pinned by digest, endorsements travel with the evidence. The one entry:

    result = verify(collection, nonce=nonce, policy=Policy.parse(text), now=now)
"""

from blindai.verifier.claims import Claims
from blindai.verifier.intel.claims import PlatformClaims, SgxClaims, TdxClaims
from blindai.verifier.intel.policy import PlatformPolicy, SgxPolicy, TdxPolicy
from blindai.verifier.policy import (
    EnclavePolicy,
    EvidencePolicy,
    InsecureRoot,
    Policy,
)
from blindai.verifier.result import AttestationResult, VerifiedClaims
from blindai.verifier.snp.claims import GuestPolicy, SnpClaims, Tcb
from blindai.verifier.snp.policy import SnpPolicy
from blindai.verifier.verification import verify

__all__ = [
    "AttestationResult",
    "Claims",
    "EnclavePolicy",
    "EvidencePolicy",
    "GuestPolicy",
    "InsecureRoot",
    "PlatformClaims",
    "PlatformPolicy",
    "Policy",
    "SgxClaims",
    "SgxPolicy",
    "SnpClaims",
    "SnpPolicy",
    "Tcb",
    "TdxClaims",
    "TdxPolicy",
    "VerifiedClaims",
    "verify",
]
