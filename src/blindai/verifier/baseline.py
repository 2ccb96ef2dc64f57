"""What evidence alone is held against where nobody has written a policy yet.

A baseline pins nothing: it does not say which program may run, so it cannot say that an
enclave may be trusted. It refuses what nobody should accept: debug mode, reports that
nobody signed, machines that their vendor calls out of date. Only `verify_evidence`
takes one; with it no session can be opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from blindai.verifier.intel.policy import PlatformPolicy, SgxPolicy, TdxPolicy
from blindai.verifier.intel.tcb_info import UP_TO_DATE
from blindai.verifier.nitro.policy import NitroPolicy
from blindai.verifier.nvidia.policy import GpuPolicy
from blindai.verifier.policy import Policy
from blindai.verifier.snp.policy import SnpPolicy
from blindai.verifier.tpm.claims import AkSource
from blindai.verifier.tpm.policy import TpmPolicy

_SNP: Final = SnpPolicy(vmpl=(0, 1, 2, 3))
# The certificate that signs a document lives for three hours; that dates it here.
_NITRO: Final = NitroPolicy(max_document_age_s=2**32 - 1)

_TPM: Final = TpmPolicy(ak_sources=tuple(AkSource))


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is accepted of any evidence.

    Attributes:
        accept_tcb: What a vendor may say of the machine's level of security beside that
            it is up to date, in the vendor's words.
        snp: What is accepted of SEV-SNP.
    """

    accept_tcb: tuple[str, ...] = ()
    snp: SnpPolicy = _SNP

    @property
    def policy(self) -> Policy:
        """The same in a policy's words, a line for each kind of TEE."""
        machine = PlatformPolicy(tcb_statuses=(UP_TO_DATE, *self.accept_tcb))
        return Policy(
            unpinned=True,
            sev_snp=self.snp,
            sgx=SgxPolicy(platform=machine),
            tdx=TdxPolicy(platform=machine, allow_sept_ve_enabled=True),
            nitro=_NITRO,
            tpm=_TPM,
            nvidia_gpu=GpuPolicy(),
        )
