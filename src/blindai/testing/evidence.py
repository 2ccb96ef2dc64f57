"""An enclave without hardware, for tests: honest by default, an attack is one argument.

    enclave = SimulatedEvidence(platform=SimulatedPlatform(vmpl=1))
    verify(enclave.attestation(nonce), nonce=nonce, policy=..., now=...)

Everything in it is simulated and proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from blindai.attester.simulated import SimulatedAttester, SimulatedPlatform
from blindai.protocol import keyset as binding
from blindai.protocol.attestation import Attestation, encode_attestation
from blindai.protocol.keyset import Keyset, Purpose, Statement

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def simulated_keyset(
    *,
    build: str = "blindai test",
    config_digest: bytes = bytes(32),
    not_before: datetime = datetime(2026, 6, 1, tzinfo=UTC),
    not_after: datetime = datetime(2026, 6, 2, tzinfo=UTC),
) -> Keyset:
    """A keyset whose keys nobody has; valid on the day of `NOW`."""
    return Keyset(
        instance=bytes(16),
        ohttp_keys=b"",
        proof_key=bytes(32),
        config_digest=config_digest,
        build=build,
        not_before=not_before,
        not_after=not_after,
    )


@dataclass(frozen=True)
class SimulatedEvidence:
    """What a client meets.

    Attributes:
        platform: What the simulated hardware says of itself.
        keyset: The keys it claims.
        purpose: What its evidence is for.
    """

    platform: SimulatedPlatform = field(default_factory=SimulatedPlatform)
    keyset: Keyset = field(default_factory=simulated_keyset)
    purpose: Purpose = Purpose.ATTESTATION

    @cached_property
    def attester(self) -> SimulatedAttester:
        """The simulated hardware, with one leaf key."""
        return SimulatedAttester(self.platform)

    def statement(self, nonce: bytes | None) -> Statement:
        """What the hardware is asked to sign."""
        digest = binding.digest(self.keyset.encode())
        return Statement(self.purpose, digest, nonce)

    def attestation(self, nonce: bytes | None = None) -> bytes:
        """The CMW collection that answers `nonce`."""
        statement = self.statement(nonce)
        return encode_attestation(
            Attestation(
                keyset=self.keyset.encode(),
                statement=statement.encode(),
                evidence=self.attester.attest(binding.bind(statement)),
            )
        )
