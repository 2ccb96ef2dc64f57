"""Whole machines with a TEE, made up: the attester inside, and a policy that fits.

    machine = MACHINES["sev-snp"]({"vmpl": "1"})
    SimulatedEnclave(attester=machine.attester)

Attester and device protocol are the real ones; only who signs is made up. The policy
describes the machine as it is without any change, so a changed one is refused under it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.testing.machines.azure import azure, azure_tdx
from blindai.testing.machines.intel import sgx, tdx, tdx_1_0
from blindai.testing.machines.machine import Machine
from blindai.testing.machines.nitro import nitro
from blindai.testing.machines.nvidia import sev_snp_gpu
from blindai.testing.machines.sev_snp import sev_snp
from blindai.testing.machines.tpm import tpm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MACHINES", "Machine"]

MACHINES: Final[Mapping[str, Callable[[Mapping[str, str]], Machine]]] = {
    "sgx": sgx,
    "sev-snp": sev_snp,
    "sev-snp-gpu": sev_snp_gpu,
    "tdx": tdx,
    "tdx-1.0": tdx_1_0,
    "nitro": nitro,
    "tpm": tpm,
    "azure": azure,
    "azure-tdx": azure_tdx,
}
"""By the TEE's name; each takes changes, a field's name and its new value as text."""
