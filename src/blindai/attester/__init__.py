"""What asks the hardware, inside the enclave, for evidence.

An attester is asked for two things only: evidence that binds 64 bytes, and a key that
the same enclave finds again after a restart. A new TEE is one module beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

REPORT_DATA_BYTES = 64
SEALING_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the hardware signed, and what the vendor says about its key.

    Attributes:
        media_type: Names the TEE and the format of the evidence.
        evidence: What the hardware signed.
        endorsements: Media type and bytes of each endorsement.
    """

    media_type: str
    evidence: bytes = field(repr=False)
    endorsements: tuple[tuple[str, bytes], ...] = field(repr=False)


class Attester(Protocol):
    """A TEE, seen from inside. Calls block and may take milliseconds to seconds."""

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        ...

    def attest(self, report_data: bytes) -> Evidence:
        """Evidence that binds `report_data`, exactly 64 bytes."""
        ...

    def sealing_key(self) -> bytes | None:
        """A key of 32 bytes for this enclave alone, or None if the TEE has none."""
        ...
