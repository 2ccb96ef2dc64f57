"""Whole machines with a TEE, made up: the attester inside, and a policy that fits.

    machine = MACHINES["sev-snp"]({"vmpl": "1"})
    SimulatedEnclave(attester=machine.attester)

Attester and device protocol are the real ones; only who signs is made up. The policy
describes the machine as it is without any change, so a changed one is refused under it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.testing.machines.machine import Machine
from blindai.testing.machines.nitro import nitro
from blindai.testing.machines.sev_snp import sev_snp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MACHINES", "Machine"]

MACHINES: Final[Mapping[str, Callable[[Mapping[str, str]], Machine]]] = {
    "nitro": nitro,
    "sev-snp": sev_snp,
}
"""By the TEE's name; each takes changes, a field's name and its new value as text."""
