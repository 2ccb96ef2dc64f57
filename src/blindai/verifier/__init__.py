"""What believes the hardware, or says why not: the RATS verifier.

    Evidence -parse-> Claims -verify-> VerifiedClaims -appraise-> AttestationResult

Pure: no network, files, clock or randomness. `now` and `nonce` are arguments, roots are
pinned by digest, endorsements travel with the evidence. The one entry:

    result = verify(collection, nonce=nonce, policy=Policy.parse(text), now=now)

`verify_evidence` looks at evidence alone, of any enclave: it opens no session.
"""

from blindai.verifier.alone import EvidenceResult, verify_evidence
from blindai.verifier.baseline import Baseline
from blindai.verifier.claims import Claims
from blindai.verifier.intel.claims import PlatformClaims, SgxClaims, TdxClaims
from blindai.verifier.intel.policy import PlatformPolicy, SgxPolicy, TdxPolicy
from blindai.verifier.nitro.claims import NitroClaims
from blindai.verifier.nitro.policy import NitroPolicy
from blindai.verifier.nvidia.claims import GpuClaims
from blindai.verifier.nvidia.policy import GpuPolicy, ReferenceValues
from blindai.verifier.policy import (
    EnclavePolicy,
    EvidencePolicy,
    InsecureRoot,
    Policy,
)
from blindai.verifier.result import AttestationResult, VerifiedClaims
from blindai.verifier.snp.claims import GuestPolicy, PlatformInfo, SnpClaims, Tcb
from blindai.verifier.snp.policy import (
    MinimumTcb,
    RequiredGuestPolicy,
    RequiredPlatform,
    SnpPolicy,
)
from blindai.verifier.verification import verify

__all__ = [
    "AttestationResult",
    "Baseline",
    "Claims",
    "EnclavePolicy",
    "EvidencePolicy",
    "EvidenceResult",
    "GpuClaims",
    "GpuPolicy",
    "GuestPolicy",
    "InsecureRoot",
    "MinimumTcb",
    "NitroClaims",
    "NitroPolicy",
    "PlatformClaims",
    "PlatformInfo",
    "PlatformPolicy",
    "Policy",
    "ReferenceValues",
    "RequiredGuestPolicy",
    "RequiredPlatform",
    "SgxClaims",
    "SgxPolicy",
    "SnpClaims",
    "SnpPolicy",
    "Tcb",
    "TdxClaims",
    "TdxPolicy",
    "VerifiedClaims",
    "verify",
    "verify_evidence",
]
