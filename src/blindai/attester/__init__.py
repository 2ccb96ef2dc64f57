"""What asks the hardware, inside the enclave, for evidence.

An attester is asked for two things only: evidence that binds a statement, and a key
that the same enclave finds again after a restart. A new TEE is one module beside this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from blindai.protocol.attestation import Evidence
    from blindai.protocol.keyset import Binding

SEALING_KEY_BYTES = 32


class DeviceAttester(Protocol):
    """Devices beside the CPU that attest themselves: GPUs. Calls block."""

    def attest(self, nonce: bytes) -> bytes:
        """Evidence of all of them that binds a nonce of 32 bytes."""
        ...


class Attester(Protocol):
    """A TEE, seen from inside. Calls block and may take milliseconds to seconds."""

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        ...

    @property
    def sealing(self) -> str | None:
        """Which sealing key it derives and what that is bound to, in words, if any."""
        ...

    def attest(self, binding: Binding) -> Evidence:
        """Evidence that binds what it is given."""
        ...

    def sealing_key(self) -> bytes | None:
        """A key of 32 bytes for this enclave alone, or None if the TEE has none."""
        ...
